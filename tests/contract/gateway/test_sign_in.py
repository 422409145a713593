"""Tokens at the gateway: what is asked of whom, signing in with a browser, and out again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sonic.price.v1 import price_pb2 as pb

from services.gateway import server as gateway
from services.gateway.access import COOKIE
from shared import tokens
from shared.clock import PushedClock
from shared.tokens import Scope
from tests.contract.gateway.conftest import Script, client, config
from tests.contract.gateway.test_hooks import START

HTML = {"Accept": "text/html"}
PATH = "/v1/prices/BTC"


@pytest.fixture
def clock() -> PushedClock:
    return PushedClock(START)


@pytest.fixture
def made(tmp_path: Path, clock: PushedClock) -> Callable[..., str]:
    def make(name: str = "me", scope: Scope = Scope.ADMIN, hours: float | None = None) -> str:
        end = clock.now() + timedelta(hours=hours) if hours else None
        return tokens.create(tmp_path / tokens.FILE_NAME, name, scope, clock.now(), end)[1]

    return make


@pytest.fixture
async def web(
    scripted: str, tmp_path: Path, clock: PushedClock, made: Callable[..., str]
) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway on loopback with one token in its file."""
    made("first")
    built = gateway.build(config({"price": scripted}, sonic_home=tmp_path), clock)
    async with built as app, client(app) as one:
        yield one


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def reason(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["details"][0]["reason"])


async def test_without_a_token_everything_stays_as_easy_as_it_was(
    scripted: str, tmp_path: Path
) -> None:
    built = gateway.build(config({"price": scripted}, sonic_home=tmp_path))
    async with built as app, client(app) as web:
        assert (await web.get(PATH)).status_code == 200
        who = (await web.get("/whoami")).json()
        assert who == {"name": "", "scope": "ADMIN", "way": "machine"}


@pytest.mark.parametrize(
    "path",
    [
        PATH, "/v1/prices:watch", "/v1:watch?path=/v1/prices:watch", "/openapi.json", "/metrics",
        "/whoami", "/nothing", "/", "/positions/x", "/withdrawals/config", "/get_transactions",
    ],
)  # fmt: skip
async def test_whoever_is_nobody_gets_nothing(web: httpx.AsyncClient, path: str) -> None:
    answer = await web.get(path)
    assert (answer.status_code, reason(answer)) == (401, "NOT_SIGNED_IN")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "sonic token create" in answer.json()["error"]["message"]


async def test_services_hear_the_name_of_whoever_signed_in_and_nobody_elses_word_for_it(
    web: httpx.AsyncClient, script: Script, made: Callable[..., str]
) -> None:
    given = {name: made(name) for name in ("anna", "bo-2")}
    for name, token in given.items():
        signed = bearer(token) | {"x-person": "bob", "Grpc-Metadata-x-person": "bob"}
        assert (await web.get(PATH, headers=signed)).status_code == 200
        assert script.person == name


async def test_where_nobody_is_asked_it_was_a_person(
    scripted: str, script: Script, tmp_path: Path
) -> None:
    built = gateway.build(config({"price": scripted}, sonic_home=tmp_path))
    async with built as app, client(app) as web:
        assert (await web.get(PATH, headers={"x-person": "bob"})).status_code == 200
    assert script.person == "person"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/sign-in", "/web/style.css"])
async def test_what_says_nothing_of_anybody_is_open(web: httpx.AsyncClient, path: str) -> None:
    assert (await web.get(path)).status_code in (200, 503)


async def test_links_calls_and_hooks_show_by_themselves_who_they_are(
    web: httpx.AsyncClient,
) -> None:
    assert (await web.get("/link/abc")).status_code == 503  # xcom is not there
    assert (await web.post("/calls/keys", content=b"")).status_code == 503
    assert (await web.post("/hooks/cycle")).status_code == 401  # no key is set: not there


async def test_a_token_is_taken_as_bearer_and_as_a_password(
    web: httpx.AsyncClient, made: Callable[..., str]
) -> None:
    text = made("script", Scope.READ)
    assert (await web.get(PATH, headers=bearer(text))).status_code == 200
    assert (await web.get(PATH, auth=("script", text))).status_code == 200
    who = (await web.get("/whoami", headers=bearer(text))).json()
    assert who == {"name": "script", "scope": "READ", "way": "token"}


@pytest.mark.parametrize(
    ("scope", "verb", "path", "status"),
    [
        (Scope.READ, "POST", "/v1/prices:refresh", 403),
        (Scope.READ, "POST", "/v1/positions:evaluateAtPrice", 503),
        (Scope.OPERATE, "POST", "/v1/alerts/x:acknowledge", 503),
        (Scope.OPERATE, "POST", "/v1/data:clear", 403),
        (Scope.OPERATE, "PATCH", "/v1/channels/smtp", 403),
        (Scope.ADMIN, "POST", "/v1/data:clear", 503),
        (Scope.READ, "POST", "/run_full_cycle", 403),
        (Scope.OPERATE, "POST", "/clear_all_data", 403),
    ],
)
async def test_a_scope_lets_through_what_it_names(  # 503: asked, and the service is not there
    web: httpx.AsyncClient,
    made: Callable[..., str],
    scope: Scope,
    verb: str,
    path: str,
    status: int,
) -> None:
    text = made("other", scope)
    answer = await web.request(verb, path, json={}, headers=bearer(text))
    assert answer.status_code == status, answer.text
    if status == 403:
        assert reason(answer) == "SCOPE_TOO_SMALL"


async def test_a_browser_is_sent_to_sign_in_and_back_to_where_it_was_going(
    web: httpx.AsyncClient, made: Callable[..., str]
) -> None:
    text = made("ann", Scope.OPERATE)
    sent = await web.get("/alerts?level=HIGH", headers=HTML)
    assert sent.status_code == 303
    shown = await web.get(sent.headers["location"], headers=HTML)
    assert 'value="/alerts?level=HIGH"' in shown.text
    signed = await web.post("/sign-in", data={"token": text, "next": "/alerts?level=HIGH"})
    assert (signed.status_code, signed.headers["location"]) == (303, "/alerts?level=HIGH")
    cookie = signed.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.replace("; ", ";").split(";"))
    assert "Secure" not in cookie
    assert (await web.get("/alerts", headers=HTML)).status_code == 200
    assert (await web.get("/whoami")).json() == {"name": "ann", "scope": "OPERATE", "way": "cookie"}
    gone = await web.post("/sign-out")
    assert gone.status_code == 303
    assert (await web.get(PATH)).status_code == 401


async def test_off_loopback_the_cookie_is_for_https_only(
    scripted: str, tmp_path: Path, clock: PushedClock, made: Callable[..., str]
) -> None:
    text = made()
    wanted = config({"price": scripted}, sonic_home=tmp_path, gateway_hosts=["sonic.example"])
    async with gateway.build(wanted, clock) as app, client(app) as web:
        there = {"Host": "sonic.example"}
        shown = await web.get("/sign-in", headers=there)
        assert "plain HTTP" in shown.text
        behind = await web.get("/sign-in", headers=there | {"X-Forwarded-Proto": "https"})
        assert "plain HTTP" not in behind.text
        signed = await web.post("/sign-in", data={"token": text, "next": "/"}, headers=there)
        assert "Secure" in signed.headers["set-cookie"]


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "",
     "/\t/evil.example", "/a\r\nSet-Cookie: x=y"],
)  # fmt: skip
async def test_signing_in_leads_to_no_other_place(
    web: httpx.AsyncClient, made: Callable[..., str], wanted: str
) -> None:
    signed = await web.post("/sign-in", data={"token": made(), "next": wanted})
    assert signed.headers["location"] == "/"
    assert COOKIE in signed.headers["set-cookie"]


async def test_a_wrong_token_is_told_so_and_tried_slowly(web: httpx.AsyncClient) -> None:
    statuses = [
        (await web.post("/sign-in", data={"token": "<script>", "next": "/"})).status_code
        for _ in range(7)
    ]
    assert statuses == [401] * 5 + [429] * 2
    slow = await web.get(PATH, headers=bearer("sonic_x"))
    assert (slow.status_code, reason(slow)) == (429, "TOO_MANY_ATTEMPTS")
    assert int(slow.headers["retry-after"]) >= 1


async def test_a_page_elsewhere_can_neither_sign_in_nor_out(web: httpx.AsyncClient) -> None:
    for path in ("/sign-in", "/sign-out"):
        answer = await web.post(path, headers={"Origin": "https://evil.example"})
        assert (answer.status_code, reason(answer)) == (403, "ORIGIN_NOT_ALLOWED")


async def test_a_token_that_is_revoked_ends_what_is_signed_in_with_it(
    web: httpx.AsyncClient, made: Callable[..., str], tmp_path: Path, clock: PushedClock
) -> None:
    text = made("lost", Scope.ADMIN)
    await web.post("/sign-in", data={"token": text, "next": "/"})
    assert (await web.get(PATH)).status_code == 200
    tokens.revoke(tmp_path / tokens.FILE_NAME, "lost", clock.now())
    clock.advance(1)
    answer = await web.get(PATH)
    assert (answer.status_code, reason(answer)) == (401, "BAD_TOKEN")


@pytest.mark.parametrize("ended", ["revoked", "expired", "first"])
@pytest.mark.parametrize("path", ["/v1/prices:watch", "/v1:watch?path=/v1/prices:watch"])
async def test_an_open_stream_ends_with_what_opened_it(
    web: httpx.AsyncClient,
    script: Script,
    made: Callable[..., str],
    tmp_path: Path,
    clock: PushedClock,
    ended: str,
    path: str,
) -> None:
    file = tmp_path / tokens.FILE_NAME
    headers = bearer(made("lost", Scope.READ, 1.0))
    if ended == "first":
        # Open to everybody, until somebody makes a token.
        file.unlink()
        clock.advance(1)
        headers = {}
    script.watched.put_nowait(pb.WatchPricesResponse(prices=[pb.Price(asset="BTC")]))
    async with web.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200
        lines = response.aiter_lines()
        seen = [line async for line in _until(lines, "BTC")]
        if ended == "revoked":
            tokens.revoke(file, "lost", clock.now())
        elif ended == "first":
            made("first")
        clock.advance(3601 if ended == "expired" else 1)
        script.watched.put_nowait(pb.WatchPricesResponse(prices=[pb.Price(asset="ETH")]))
        async with asyncio.timeout(30):
            rest = "\n".join([line async for line in lines])
    assert seen
    assert "TOKEN_ENDED" in rest
    assert "ETH" not in rest


async def _until(lines: AsyncIterator[str], word: str) -> AsyncIterator[str]:
    async with asyncio.timeout(30):
        async for line in lines:
            yield line
            if word in line:
                return


async def test_a_file_that_is_broken_lets_nobody_in(
    web: httpx.AsyncClient, tmp_path: Path, clock: PushedClock
) -> None:
    (tmp_path / tokens.FILE_NAME).write_text("{")
    clock.advance(1)
    answer = await web.get(PATH)
    assert (answer.status_code, reason(answer)) == (503, "TOKENS_UNREADABLE")
    assert (await web.get("/livez")).status_code == 200
