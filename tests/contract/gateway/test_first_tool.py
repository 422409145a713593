"""The names of the first tool, in front of a real withdrawals server with a simulated supply."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from services.gateway import server as gateway
from services.withdrawals import server as withdrawals
from shared.clock import PushedClock
from shared.http import trust
from tests.contract.gateway.conftest import client, config
from tests.contract.gateway.test_http import JSON, reason
from tests.contract.withdrawals.conftest import START, FakeAlerts, FakePrices, FakeVenue
from tests.fakes.databases import Databases

WEB = Path(gateway.__file__).parent / "web"


@pytest.fixture
def venue() -> FakeVenue:
    return FakeVenue()


@pytest.fixture
async def tool(databases: Databases, venue: FakeVenue) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway in front of withdrawals."""
    settings = withdrawals.Config(
        listen_address="127.0.0.1:0",
        database_url=databases.url("withdrawals"),
        sonic_live=False,
    )
    clock = PushedClock(START)
    world = withdrawals.Outside(venue, [FakePrices(clock)], FakeAlerts())
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(withdrawals.build(settings, clock, world))
        front = await stack.enter_async_context(gateway.build(config({"withdrawals": app.address})))
        yield await stack.enter_async_context(client(front))


async def test_assets_and_decisions_answer_by_their_old_names(tool: httpx.AsyncClient) -> None:
    await tool.post("/v1/withdrawals:evaluate", json={})
    for old, name in (("assets", "assets"), ("decisions", "decisions")):
        answer = await tool.get(f"/api/{old}")
        assert answer.status_code == 200, answer.text
        assert answer.json() == (await tool.get(f"/v1/withdrawals/{name}")).json()
    (decision,) = (await tool.get("/api/decisions?asset=djed")).json()["decisions"]
    assert decision["summary"].startswith("djed: decision=1, wmax_usd=")
    assert reason(await tool.get("/api/decisions?colour=red")) == "UNKNOWN_FIELD"


async def test_the_normalised_configuration_is_json_itself(tool: httpx.AsyncClient) -> None:
    await tool.post("/v1/withdrawals/assets", json={"name": "djed", "safety_factor": 0.4})
    (asset,) = (await tool.get("/api/config/normalized")).json()["assets"]
    assert (asset["name"], asset["safety_factor"]) == ("djed", 0.4)


async def test_a_synchronisation_answers_with_its_end(
    tool: httpx.AsyncClient, venue: FakeVenue
) -> None:
    simulated = await tool.post("/api/sync/transactions", json={})
    assert simulated.status_code == 200
    told = simulated.json()
    assert (told["done"], told["demo"], told["errors"]) == (True, True, [])
    for name in ("first", "second"):
        await tool.put(f"/v1/withdrawals/wallets/{name}", json={"addresses": [f"addr1{name}"]})
    venue.failing.add("addr1second")
    answer = await tool.post("/api/sync/transactions", json={})
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert (told["done"], told["wallet_count"], told["wallets_total"]) == (True, 2, 2)
    # The asset of the test before is of a market that this venue does not list.
    assert "second: the venue does not answer" in told["errors"]


async def test_a_page_elsewhere_cannot_ask_for_a_synchronisation(tool: httpx.AsyncClient) -> None:
    at = "/api/sync/transactions"
    foreign = await tool.post(at, json={}, headers={"Origin": "http://evil.example"})
    assert (foreign.status_code, reason(foreign)) == (403, "ORIGIN_NOT_ALLOWED")
    rebound = await tool.get("/api/assets", headers={"Host": "evil.example"})
    assert (rebound.status_code, reason(rebound)) == (403, "HOST_NOT_ALLOWED")
    plain = await tool.post(at, content=b"{}", headers={"Content-Type": "text/plain"})
    assert (plain.status_code, reason(plain)) == (415, "NOT_JSON")
    read = await tool.get(at)
    assert (read.status_code, read.headers["allow"]) == (405, "POST")
    assert (await tool.post("/api/assets", json={}, headers=JSON)).status_code == 405


@pytest.mark.parametrize(
    ("asked", "led_to"),
    [
        ("/dashboard", "/withdrawals"),
        ("/dashboard?asset=djed&view=rate", "/withdrawals?asset=djed&view=rate"),
        ("/dashboard?asset=a%26b%0d%0a&other=1", "/withdrawals?asset=a%26b%0D%0A"),
    ],
)
async def test_the_old_page_leads_to_the_new_one(
    web: httpx.AsyncClient, asked: str, led_to: str
) -> None:
    answer = await web.get(asked)
    assert (answer.status_code, answer.headers["location"]) == (307, led_to)
    assert (await web.get(led_to)).headers["content-type"] == "text/html; charset=utf-8"
    assert (await web.post("/dashboard", headers=JSON)).status_code == 405


async def test_a_service_that_is_down_is_said_under_the_old_names_too(
    web: httpx.AsyncClient,
) -> None:
    for answer in (
        await web.get("/api/decisions"),
        await web.post("/api/sync/transactions", json={}),
    ):
        assert (answer.status_code, reason(answer)) == (503, "PEER_UNAVAILABLE")


async def test_old_names_are_counted_by_themselves(web: httpx.AsyncClient) -> None:
    await web.get("/api/assets")
    await web.get("/dashboard?asset=my-own")
    text = (await web.get("/metrics")).text
    assert 'route="/api/assets"' in text and 'route="/dashboard"' in text
    assert "my-own" not in text


async def test_the_page_of_withdrawals_holds_no_script_and_no_style_of_its_own(
    web: httpx.AsyncClient,
) -> None:
    page = (await web.get("/withdrawals")).text
    assert "style=" not in page and "<style" not in page and "onclick" not in page
    assert page.count("<script") == page.count("<script src=") + page.count("<script type=") == 2
    assert "http://" not in page and "https://" not in page
    (router,) = re.findall(r'href="(/web/r-[0-9a-f]+/router\.js)"', page)
    assert 'path: "/withdrawals"' in (await web.get(router)).text, "of the one shell"


async def test_the_files_of_others_are_served_small_and_named_by_their_hash(
    web: httpx.AsyncClient,
) -> None:
    told = (WEB / "vendor" / "README.md").read_text()
    for name in ("uplot.min.js", "uplot.min.css", "uplot.LICENSE.txt"):
        got = await web.get(f"/web/vendor/{name}", headers={"Accept-Encoding": "gzip"})
        assert got.status_code == 200
        assert hashlib.sha256(got.content).hexdigest() in told
        again = await web.get(f"/web/vendor/{name}", headers={"If-None-Match": got.headers["etag"]})
        assert again.status_code == 304
    assert (await web.get("/web/vendor/README.md")).status_code == 404
    script = await web.get("/web/vendor/uplot.min.js", headers={"Accept-Encoding": "gzip"})
    assert script.headers["content-encoding"] == "gzip"
    assert int(script.headers["content-length"]) < 25_000


async def test_a_second_address_is_listened_on_when_it_is_set(
    unused_tcp_port: int,
) -> None:
    second = f"127.0.0.1:{unused_tcp_port}"
    async with gateway.build(config({}, gateway_second_address=second)) as app:
        for address in (app.address, second):
            async with httpx.AsyncClient(base_url=f"http://{address}", verify=trust()) as asking:
                assert (await asking.get("/livez")).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{second}/livez")


def test_a_second_address_is_for_this_machine_only() -> None:
    with pytest.raises(ValidationError, match=r"GATEWAY_SECOND_ADDRESS 0\.0\.0\.0:9808"):
        config({}, gateway_second_address="0.0.0.0:9808")
    config({}, gateway_second_address="0.0.0.0:9808", gateway_behind_proxy=True)
