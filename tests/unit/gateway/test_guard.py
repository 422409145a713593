"""Whom the gateway listens to, and where it dares to listen."""

from __future__ import annotations

from datetime import timedelta

import pytest
from starlette.requests import Request

from services.gateway.failures import Refused, failure_json, failure_response, http_status
from services.gateway.guard import Guard, host_name
from services.gateway.server import Config
from shared import errors
from shared.config import load
from shared.loopback import is_loopback


def request(method: str = "POST", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request(
        {"type": "http", "method": method, "path": "/", "headers": raw, "query_string": b""}
    )


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost", True), ("LOCALHOST", True), ("127.0.0.1", True), ("127.9.9.9", True),
        ("[::1]", True),
        ("0.0.0.0", False), ("[::]", False), ("10.0.0.1", False), ("localhost.evil.example", False),
        ("", False),
    ],
)  # fmt: skip
def test_loopback_is_this_machine_and_nothing_else(host: str, own: bool) -> None:
    assert is_loopback(host) is own


@pytest.mark.parametrize(
    ("authority", "name"),
    [
        ("[::1]:8080", "::1"),
        ("Sonic.Example:80", "sonic.example"),
        ("a@127.0.0.1", "127.0.0.1"),
        ("[", ""),
        ("", ""),
    ],
)
def test_a_host_header_is_read_without_its_port(authority: str, name: str) -> None:
    assert host_name(authority) == name


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        ("localhost:8080", True), ("127.0.0.1", True), ("[::1]:1", True), ("sonic.example", True),
        ("SONIC.example:443", True), ("evil.example", False), ("sonic.example.evil", False), ("",
        False),
    ],
)  # fmt: skip
def test_a_name_that_was_rebound_to_us_is_refused(host: str, taken: bool) -> None:
    guard = Guard(["sonic.example"])
    if taken:
        guard.check_host(request(host=host))
        return
    with pytest.raises(Refused) as caught:
        guard.check_host(request(host=host))
    assert (caught.value.status, caught.value.reason) == (403, "HOST_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({}, True),
        ({"origin": "http://localhost:8080"}, True),
        ({"origin": "http://localhost:3000"}, False),
        ({"origin": "https://sonic.example"}, True),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "file://localhost:8080"}, False),
        ({"origin": ""}, False),
        ({"sec_fetch_site": "same-origin", "origin": "http://localhost:8080"}, True),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "same-site", "origin": "http://localhost:8080"}, False),
    ],
)
def test_a_change_is_taken_from_our_own_page_or_from_no_page(
    headers: dict[str, str], taken: bool
) -> None:
    guard = Guard(["sonic.example"])
    asked = request(host="localhost:8080", **headers)
    if taken:
        guard.check_origin(asked)
        return
    with pytest.raises(Refused) as caught:
        guard.check_origin(asked)
    assert (caught.value.status, caught.value.reason) == (403, "ORIGIN_NOT_ALLOWED")


def test_reading_needs_no_origin() -> None:
    Guard([]).check_origin(request("GET", host="localhost", origin="http://evil.example"))


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "[::]:8080", "192.168.1.5:8080", ":8080"])
def test_an_address_of_the_world_needs_a_proxy(
    listen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        load(Config, {"LISTEN_ADDRESS": listen})
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert "GATEWAY_BEHIND_PROXY" in told and listen in told and "127.0.0.1" in told
    assert load(
        Config, {"LISTEN_ADDRESS": listen, "GATEWAY_BEHIND_PROXY": "1"}
    ).gateway_behind_proxy


def test_settings_are_read_by_their_names() -> None:
    config = load(
        Config, {"GATEWAY_HOSTS": "sonic.example, other.example", "CYCLONE_ADDRESS": "h:1"}
    )
    assert config.gateway_hosts == ["sonic.example", "other.example"]
    assert (config.cyclone_address, config.listen_address) == ("h:1", "127.0.0.1:8080")


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (errors.InvalidArgument("R", "m"), 400, "INVALID_ARGUMENT"),
        (errors.FailedPrecondition("R", "m"), 400, "FAILED_PRECONDITION"),
        (errors.Unauthenticated("R", "m"), 401, "UNAUTHENTICATED"),
        (errors.PermissionDenied("R", "m"), 403, "PERMISSION_DENIED"),
        (errors.NotFound("R", "m"), 404, "NOT_FOUND"),
        (errors.AlreadyExists("R", "m"), 409, "ALREADY_EXISTS"),
        (errors.Conflict("R", "m"), 409, "ABORTED"),
        (errors.Exhausted("R", "m"), 429, "RESOURCE_EXHAUSTED"),
        (errors.Unavailable("R", "m"), 503, "UNAVAILABLE"),
        (errors.Unavailable("DEADLINE_EXCEEDED", "m"), 504, "DEADLINE_EXCEEDED"),
        (errors.Internal("UNIMPLEMENTED", "m"), 501, "UNIMPLEMENTED"),
        (errors.Internal("R", "m"), 500, "INTERNAL"),
        (ValueError("a secret"), 500, "INTERNAL"),
    ],
)
def test_an_error_has_its_http_status(error: Exception, status: int, name: str) -> None:
    told = failure_json(error, "sonic.price.v1", "inc-1")["error"]
    assert (http_status(error), told["code"], told["status"]) == (status, status, name)
    assert told["details"][0]["domain"] == "sonic.price.v1"
    assert "secret" not in str(told)


def test_every_code_of_an_error_class_has_a_place() -> None:
    kinds = errors.SonicError.__subclasses__()
    assert all(http_status(kind("R", "m")) in range(400, 504) for kind in kinds)


def test_a_failure_tells_fields_metadata_and_when_to_try_again() -> None:
    error = errors.Exhausted(
        "SLOW_DOWN", "m", fields={"a": "b"}, metadata={"k": "v"}, retry_after=timedelta(seconds=1.2)
    )
    response = failure_response(error, "sonic.xcom.v1")
    details = failure_json(error, "sonic.xcom.v1")["error"]["details"]
    assert response.headers["retry-after"] == "2"
    assert details[0]["reason"] == "SLOW_DOWN" and details[0]["metadata"] == {"k": "v"}
    assert details[1]["field_violations"] == [{"field": "a", "description": "b"}]
    assert details[2]["retry_delay"] == "1.200s"


@pytest.mark.parametrize(
    ("behind_proxy", "lines", "client"),
    [
        (True, ["10.0.0.7"], "10.0.0.7"),
        (True, ["1.2.3.4, 10.0.0.7"], "10.0.0.7"),
        # HAProxy leaves the caller's line as it is and writes one after it.
        (True, ["1.2.3.4", "10.0.0.7"], "10.0.0.7"),
        (True, ["1.2.3.4", "5.6.7.8, 10.0.0.7 "], "10.0.0.7"),
        (True, ["2001:db8::1"], "2001:db8::/64"),
        (True, ["1.2.3.4", ""], "192.0.2.1"),
        (True, [], "192.0.2.1"),
        (False, ["1.2.3.4"], "192.0.2.1"),
    ],
)
def test_a_client_is_whom_our_own_proxy_named_last(
    behind_proxy: bool, lines: list[str], client: str
) -> None:
    asked = request()
    asked.scope["client"] = ("192.0.2.1", 5000)
    asked.scope["headers"] = [(b"x-forwarded-for", line.encode()) for line in lines]
    assert Guard([], behind_proxy=behind_proxy).client(asked) == client
