"""Clearing everything, by kind, and what the reasons are."""

from __future__ import annotations

import ast
from pathlib import Path

import grpc
import pytest
from sonic.alerts.v1 import alerts_pb2
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.hedges.v1 import hedges_pb2
from sonic.positions.v1 import positions_pb2
from sonic.price.v1 import price_pb2

from services import cyclone
from shared.errors import InvalidArgument, Unavailable
from tests.contract.cyclone.conftest import Servers
from tests.fakes.peers import aborts, answers

# Raised for us by the plumbing: names, pages, masks, and the rules in the proto.
_OF_SHARED = {
    "PRIVATE_KEY_REFUSED",
    "PEER_UNAVAILABLE",
    "BAD_PAGE_TOKEN",
    "PAGE_TOKEN_MISMATCH",
    "UNKNOWN_FIELD",
    "INVALID_FIELD",
    "NOT_CONFIRMED",
}
_ERRORS = {
    "InvalidArgument",
    "NotFound",
    "FailedPrecondition",
    "Conflict",
    "Unavailable",
    "AlreadyExists",
}
# What became of a call we made ourselves, never an answer of ours.
_OF_CALLS = {"OUTSIDE_UNAVAILABLE"}


@pytest.mark.parametrize("word", ["", "yes", "CLEAR"])
async def test_nothing_is_cleared_without_the_word(servers: Servers, word: str) -> None:
    stub = await servers.start()
    with pytest.raises(InvalidArgument) as caught:
        await stub.ClearAllData(pb.ClearAllDataRequest(confirm=word))
    assert caught.value.reason == "NOT_CONFIRMED"
    assert servers.peers.calls == []


async def test_clearing_asks_every_service_and_keeps_the_schedule(servers: Servers) -> None:
    told = servers.peers.told
    told["price.ClearData"] = answers(price_pb2.ClearDataResponse(deleted_count=5))
    told["positions.DeleteAllPositions"] = answers(
        positions_pb2.DeleteAllPositionsResponse(deleted_count=7)
    )
    told["positions.ClearData"] = answers(positions_pb2.ClearDataResponse(deleted_count=2))
    told["hedges.UnlinkHedges"] = answers(hedges_pb2.UnlinkHedgesResponse(unlinked_count=1))
    told["alerts.ClearData"] = answers(alerts_pb2.ClearDataResponse(deleted_count=9))
    stub = await servers.start()
    await servers.run(stub, "NOTIFY")
    answer = await stub.ClearAllData(pb.ClearAllDataRequest(confirm="clear"))
    assert dict(answer.deleted_count) == {
        "prices": 5,
        "positions": 9,
        "hedges": 1,
        "alerts": 9,
        "monitors": 0,
        "messages": 0,
        "withdrawals": 0,
        "cycles": 1,
    }
    assert {request.confirm for request in servers.peers.requests("price.ClearData")} == {"clear"}
    assert {
        request.confirm for request in servers.peers.requests("positions.DeleteAllPositions")
    } == {"delete"}
    assert await servers.value("select count(*) from cycle") == 0
    assert await servers.value("select count(*) from setting") == 1
    assert await servers.value("select message from event") != ""


async def test_one_kind_clears_that_kind_only(servers: Servers) -> None:
    stub = await servers.start()
    await servers.run(stub, "NOTIFY")
    answer = await stub.ClearAllData(pb.ClearAllDataRequest(confirm="clear", kinds=["Cycles"]))
    assert dict(answer.deleted_count) == {"cycles": 1}
    # What a report reads beside the cycle may still be asked for; nobody is told to clear.
    assert [call for call in servers.peers.calls if "Clear" in call[0] or "Delete" in call[0]] == []


async def test_what_could_not_be_cleared_is_named_and_the_rest_is_cleared(servers: Servers) -> None:
    servers.peers.told["alerts.ClearData"] = aborts(grpc.StatusCode.UNAVAILABLE)
    stub = await servers.start()
    with pytest.raises(Unavailable) as caught:
        await stub.ClearAllData(pb.ClearAllDataRequest(confirm="clear"))
    assert caught.value.reason == "CLEAR_INCOMPLETE"
    assert set(caught.value.metadata) == {"alerts"}
    assert len(servers.peers.requests("price.ClearData")) == 1


async def test_an_unknown_kind_is_refused_before_anything_is_deleted(servers: Servers) -> None:
    stub = await servers.start()
    with pytest.raises(InvalidArgument, match="cycles"):
        await stub.ClearAllData(
            pb.ClearAllDataRequest(confirm="clear", kinds=["prices", "wallets"])
        )
    assert servers.peers.calls == []


def test_every_reason_raised_is_in_the_schema_and_the_reverse() -> None:
    known = {
        name.removeprefix("ERROR_REASON_") for name in pb.ErrorReason.DESCRIPTOR.values_by_name
    } - {"UNSPECIFIED"}
    raised = {
        node.args[0].value
        for path in Path(cyclone.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _ERRORS
        and isinstance(node.args[0], ast.Constant)
    }
    assert raised - _OF_CALLS == known - _OF_SHARED
