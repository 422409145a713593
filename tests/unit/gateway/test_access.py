"""Who is asked, who may, and how fast tokens can be tried."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import pytest
from starlette.requests import Request

from services.gateway.access import Access, Attempts, TrustedProxy, presented
from services.gateway.failures import Refused
from services.gateway.scopes import OPERATE, scope_of
from services.gateway.server import Config
from services.gateway.surface import FILES, Route, routes
from shared import tokens
from shared.clock import PushedClock
from shared.errors import Exhausted
from shared.tokens import Scope, TokenFile

NOW = datetime(2026, 11, 29, 3, tzinfo=UTC)
ROUTES = routes()
PROXY = TrustedProxy([ip_network("10.0.0.0/8")], "X-Forwarded-User", Scope.READ)


def request(address: str = "127.0.0.1", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": raw, "query_string": b""}
    return Request(scope | {"client": (address, 1)})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / tokens.FILE_NAME


def access(file: Path, *, is_open: bool = True, proxy: TrustedProxy | None = None) -> Access:
    clock = PushedClock(NOW)
    return Access(TokenFile(file, clock), clock, proxy, is_open=is_open)


def refused(access: Access, asked: Request) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        access.admit(asked, "somebody")
    return caught.value.status, caught.value.reason


def test_on_loopback_nobody_is_asked_until_there_is_a_token(file: Path) -> None:
    assert access(file).admit(request(), "").scope is Scope.ADMIN
    assert refused(access(file, is_open=False), request()) == (401, "NOT_SIGNED_IN")
    _, text = tokens.create(file, "me", Scope.READ, NOW, None)
    assert refused(access(file), request()) == (401, "NOT_SIGNED_IN")
    caller = access(file).admit(request(authorization=f"Bearer {text}"), "")
    assert (caller.name, caller.scope, caller.way) == ("me", Scope.READ, "token")


def test_nobody_is_let_in_again_when_the_last_token_is_revoked(file: Path) -> None:
    tokens.create(file, "me", Scope.READ, NOW, None)
    tokens.revoke(file, "me", NOW)
    assert refused(access(file), request()) == (401, "NOT_SIGNED_IN")


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"authorization": "Bearer T"}, ("T", "token")),
        ({"authorization": "bearer  T "}, ("T", "token")),
        (
            {"authorization": "Basic " + base64.b64encode(b"me:T").decode()},
            ("T", "token"),
        ),
        ({"authorization": "Basic !"}, ("", "token")),
        ({"authorization": "Basic " + base64.b64encode(b"\xff:T").decode()}, ("", "token")),
        ({"cookie": "a=b; sonic_token=T"}, ("T", "cookie")),
        ({"authorization": "Digest x", "cookie": "sonic_token=T"}, ("T", "cookie")),
        ({}, ("", "cookie")),
    ],
)
def test_a_token_is_shown_as_bearer_as_a_password_or_in_the_cookie(
    headers: dict[str, str], found: tuple[str, str]
) -> None:
    assert presented(request(**headers)) == found


def test_a_proxy_is_believed_from_its_own_networks_only(file: Path) -> None:
    asked = access(file, proxy=PROXY)
    caller = asked.admit(request("10.1.2.3", x_forwarded_user="ann"), "")
    assert (caller.name, caller.scope, caller.way) == ("ann", Scope.READ, "proxy")
    assert asked.admit(request("::ffff:10.1.2.3", x_forwarded_user="ann"), "").name == "ann"
    assert refused(asked, request("127.0.0.1", x_forwarded_user="ann"))[0] == 401
    assert refused(asked, request("::ffff:127.0.0.1", x_forwarded_user="ann"))[0] == 401
    assert refused(asked, request("10.1.2.3"))[0] == 401
    # The person wrote one, and the proxy added its own.
    twice = request("10.1.2.3", x_forwarded_user="root")
    twice.scope["headers"].append((b"x-forwarded-user", b"ann"))
    assert refused(asked, twice)[0] == 401


def test_wrong_tokens_of_one_address_are_slowed_and_a_right_one_never_waits(file: Path) -> None:
    _, text = tokens.create(file, "me", Scope.READ, NOW, None)
    asked = access(file)
    wrong = request(authorization="Bearer nonsense")
    assert [refused(asked, wrong)[0] for _ in range(5)] == [401] * 5
    with pytest.raises(Exhausted) as caught:
        asked.admit(wrong, "somebody")
    assert caught.value.retry_after is not None
    assert asked.admit(request(authorization=f"Bearer {text}"), "somebody").name == "me"
    with pytest.raises(Refused):
        asked.admit(wrong, "somebody else")


def test_an_address_has_a_few_hundred_tries_an_hour_at_most() -> None:
    clock = PushedClock(NOW)
    attempts, looked_at = Attempts(clock), 0
    for _ in range(3_600):
        try:
            attempts.failed("somebody")
            looked_at += 1
        except Exhausted:
            pass
        clock.advance(1)
    assert looked_at <= 5 + 6 + 60
    for place in range(5_000):
        attempts.failed(f"client {place}")
    assert len(attempts._of) <= 1_024


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.service}.{route.method.name}")
def test_what_clears_or_says_who_is_told_asks_for_admin(route: Route) -> None:
    scope = scope_of(route)
    if route.reads:
        assert scope is Scope.READ
    elif route.method.name.startswith(("Clear", "DeleteAll", "Send", "UpdateChannel", "Seal")):
        assert scope is (Scope.OPERATE if route.method.name == "ClearStaleAlerts" else Scope.ADMIN)
    elif route.method.name in ("UpdateLevelMap", "UpdateEscalationChain", "RaiseDeath"):
        assert scope is Scope.ADMIN


def test_each_name_of_the_table_is_a_method_that_changes_something() -> None:
    known = {(route.service, route.method.name) for route in ROUTES if not route.reads}
    named = {(service, name) for service, names in OPERATE.items() for name in names}
    assert named <= known
    assert OPERATE.keys() == FILES.keys()


PLACES = {f"{name}_address": "127.0.0.1:9" for name in FILES}


@pytest.mark.parametrize(
    ("settings", "is_open"),
    [
        ({"listen_address": "127.0.0.1:0"}, True),
        ({"listen_address": "0.0.0.0:0", "gateway_behind_proxy": True}, True),
        ({"listen_address": "0.0.0.0:0", "tokens_file": Path("tokens.json")}, False),
        (
            {
                "listen_address": "127.0.0.1:0",
                "gateway_second_address": "10.0.0.1:80",
                "sonic_home": Path("home"),
            },
            False,
        ),
    ],
)
def test_where_others_can_reach_it_everybody_is_asked(
    settings: dict[str, object], is_open: bool
) -> None:
    assert Config.model_validate(PLACES | settings).is_open is is_open


@pytest.mark.parametrize(
    ("settings", "host", "is_many"),
    [
        ({}, "127.0.0.1", True),
        ({}, "10.1.2.3", False),
        ({"gateway_trusted_proxies": ["10.0.0.0/8"]}, "10.1.2.3", True),
        ({"gateway_trusted_proxies": ["10.0.0.0/8"]}, "::ffff:10.1.2.3", True),
        ({"gateway_trusted_proxies": ["10.0.0.0/8"]}, "11.1.2.3", False),
        ({"gateway_behind_proxy": True}, "11.1.2.3", True),
    ],
)
def test_a_network_that_hides_addresses_is_many_clients_also_when_it_names_nobody(
    settings: dict[str, object], host: str, is_many: bool
) -> None:
    assert Config.model_validate(PLACES | settings).is_many(host) is is_many


def test_a_header_that_anybody_could_write_is_refused() -> None:
    with pytest.raises(ValueError, match="anybody could write"):
        Config.model_validate(PLACES | {"gateway_user_header": "X-Forwarded-User"})
