"""Errors to status and back, without a wire."""

import re
from datetime import timedelta

import grpc
import pytest
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import ErrorInfo

from shared import errors
from shared.rpc.failures import from_rpc_error, from_status, to_status

DOMAIN = "sonic.test.v1"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.InvalidArgument, code_pb2.INVALID_ARGUMENT),
        (errors.NotFound, code_pb2.NOT_FOUND),
        (errors.AlreadyExists, code_pb2.ALREADY_EXISTS),
        (errors.FailedPrecondition, code_pb2.FAILED_PRECONDITION),
        (errors.Conflict, code_pb2.ABORTED),
        (errors.Exhausted, code_pb2.RESOURCE_EXHAUSTED),
        (errors.Unavailable, code_pb2.UNAVAILABLE),
        (errors.Unauthenticated, code_pb2.UNAUTHENTICATED),
        (errors.PermissionDenied, code_pb2.PERMISSION_DENIED),
        (errors.Internal, code_pb2.INTERNAL),
    ],
)
def test_each_error_has_its_code_and_comes_back(kind: type[errors.SonicError], code: int) -> None:
    error = kind(
        "WHY", "So.", fields={"a.b": "bad"}, metadata={"k": "v"}, retry_after=timedelta(seconds=3)
    )
    status = to_status(error, DOMAIN, "inc-1")
    restored = from_status(status)
    assert status.code == code
    assert type(restored) is kind
    assert (restored.reason, restored.message, restored.fields) == ("WHY", "So.", {"a.b": "bad"})
    assert restored.metadata["k"] == "v"
    assert restored.retry_after == timedelta(seconds=3)


def test_a_subclass_counts_as_its_parent() -> None:
    class StaleEtag(errors.Conflict):
        """One of a service's own."""

    assert to_status(StaleEtag("STALE_ETAG", "Changed."), DOMAIN).code == code_pb2.ABORTED


def test_an_unknown_error_says_nothing_but_its_incident() -> None:
    status = to_status(ValueError("token=abc"), DOMAIN, "inc-7")
    info = ErrorInfo.FromString(status.details[0].value)
    assert (status.code, info.reason, info.metadata["incident_id"]) == (
        code_pb2.INTERNAL,
        "INTERNAL",
        "inc-7",
    )
    assert "abc" not in str(status)


def test_not_implemented_is_its_own_code() -> None:
    status = to_status(NotImplementedError(), DOMAIN)
    assert status.code == code_pb2.UNIMPLEMENTED
    assert from_status(status).reason == "UNIMPLEMENTED"


def test_a_status_stays_small_whatever_is_wrong() -> None:
    fields = {f"rows[{index}].price_usd": "x" * 1000 for index in range(500)}
    status = to_status(errors.InvalidArgument("MANY", "y" * 10_000, fields=fields), DOMAIN)
    assert len(status.SerializeToString()) < 6_000


def test_reasons_are_upper_snake() -> None:
    from shared.rpc.failures import REASONS

    assert all(re.fullmatch(r"[A-Z][A-Z_]+", reason) for reason in REASONS)


@pytest.mark.parametrize(
    "tried",
    [
        "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:42227: ",
        "failed to connect to all addresses; last error: INTERNAL: ipv6:%5B::1%5D:42227: ",
        "connections to all backends failing; last error: UNKNOWN: ipv4:127.0.0.1:42227: ",
        "connections to all backends failing; last error: UNAVAILABLE: unix:/run/x.sock: ",
        "UNAVAILABLE: ipv4:127.0.0.1:42227: ",
        "",
    ],
)
def test_what_people_read_says_what_came_of_it_and_no_address_that_was_tried(tried: str) -> None:
    none = grpc.aio.Metadata()
    words = "Failed to connect to remote host: Connection refused"
    raised = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, none, none, f"{tried}{words}")
    told = from_rpc_error(raised)
    assert (told.reason, told.message) == ("PEER_UNAVAILABLE", words)
