"""The page of withdrawals in a real browser, in front of a real gateway and a real service. Needs a
Chromium on the machine; without one it says so and is skipped.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from services.gateway import server as gateway
from services.withdrawals import server as withdrawals
from services.withdrawals.supply.domain.venue import TransactionPage, VenueTransaction
from shared.clock import PushedClock
from tests.browser.chromium import Browser, found, started
from tests.contract.gateway.conftest import client, config
from tests.contract.withdrawals.conftest import FakeAlerts, FakePrices, FakeVenue
from tests.fakes.databases import Databases

MARKUP = "<img src=x onerror=document.title='broken'>"
ADDRESS = "addr1q8abcdefghijklmnopqrstuvwxyz0123456789wxyz99"
SHORT = "addr1q8abcd...wxyz99"
MARKS = "document.querySelectorAll('#position .mark').length"
# Of hours before now; the position grows a little unevenly beside.
FLOWS = ((150, "deposit", 300), (100, "withdrawal", 20), (40, "deposit", 50))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        found() is None, reason="no Chromium on this machine: the page is not tested"
    ),
]


@dataclass
class SlowVenue(FakeVenue):
    """Tells transactions once it is let."""

    let: asyncio.Event = field(default_factory=asyncio.Event)

    async def transactions(
        self, addresses: Sequence[str], start: datetime, end: datetime
    ) -> TransactionPage:
        await self.let.wait()
        return await super().transactions(addresses, start, end)


@dataclass
class Scene:
    """The servers, and what a test says to them."""

    web: httpx.AsyncClient
    address: str
    venue: SlowVenue
    clock: PushedClock
    prices: FakePrices
    service: Any
    browser: Browser

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.web.post(path, json=body)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def problems(self) -> list[str]:
        """What went wrong on the page; that the services beside are not there is known."""
        return [one for one in self.browser.problems if "status of 503" not in one]

    async def show(self, query: str = "", width: int = 1400) -> Browser:
        await self.browser.open(f"{self.address}/withdrawals{query}", width, 1000)
        await self.browser.until("document.querySelectorAll('#position canvas').length === 1")
        return self.browser


@pytest.fixture
async def scene(databases: Databases) -> AsyncIterator[Scene]:
    """An asset with a wallet of samples and flows, judged once."""
    clock, venue = PushedClock(datetime.now(UTC)), SlowVenue()
    prices = FakePrices(clock, {"djed": 0.9985})
    settings = withdrawals.Config(
        listen_address="127.0.0.1:0", database_url=databases.url("withdrawals"), sonic_live=True
    )
    world = withdrawals.Outside(venue, [prices], FakeAlerts())
    path = found()
    assert path is not None
    venue.let.set()
    async with AsyncExitStack() as stack:
        service = withdrawals.build(settings, clock, world)
        await service.start()
        stack.push_async_callback(service.stop)
        front = await stack.enter_async_context(
            gateway.build(config({"withdrawals": service.address}))
        )
        web = await stack.enter_async_context(client(front))
        browser = await stack.enter_async_context(started(path))
        made = Scene(web, f"http://{front.address}", venue, clock, prices, service, browser)
        await _fill(made)
        yield made


async def _fill(scene: Scene) -> None:
    now = scene.clock.now()
    samples = ["asset,wallet,market,time,units,price_usd"]
    flows = ["asset,wallet,market,tx_id,kind,units,time,note"]
    for number, (hours, kind, units) in enumerate(FLOWS):
        moment = (now - timedelta(hours=hours, minutes=-30)).isoformat()
        flows.append(f"djed,{ADDRESS},DJED,t{number},{kind},{units},{moment},{MARKUP}")
    for hour in range(200, -1, -1):
        moved = sum(
            units if kind == "deposit" else -units for at, kind, units in FLOWS if hour < at
        )
        grown = Decimal(1000 + moved) + Decimal(200 - hour) / 50
        uneven = Decimal((hour * 7919) % 13 - 6) / 10_000
        time = (now - timedelta(hours=hour)).isoformat()
        samples.append(f"djed,{ADDRESS},DJED,{time},{grown + uneven},0.999")
    await scene.post("/v1/withdrawals/assets", {"name": "djed", "ref_mode": "data_range"})
    for kind, lines in (("samples", samples), ("flows", flows)):
        told = await scene.post(f"/v1/withdrawals/{kind}:import", {"content": "\n".join(lines)})
        assert told["refusals"] == []
    units = str(Decimal(1000 + 330 + 4))
    scene.venue.hold(ADDRESS, units)
    await scene.post("/v1/withdrawals/assets", {"name": "iusd"})
    await scene.post("/v1/withdrawals:evaluate", {})


async def text(page: Browser, id_: str) -> str:
    return str(await page.run(f"document.getElementById('{id_}').innerText"))


async def test_a_decision_its_wallets_and_its_charts_are_on_the_page(scene: Scene) -> None:
    page = await scene.show()
    for chart in ("residual", "distribution", "prices"):
        await page.until(f"document.querySelectorAll('#{chart} canvas').length === 1")
    (decision,) = (await scene.web.get("/v1/withdrawals/decisions?asset=djed")).json()["decisions"]
    word = "may be withdrawn now" if decision["value"].endswith("OK") else "Hold"
    await page.until(f"document.getElementById('decision').innerText.includes('{word}')")
    wallets = await text(page, "wallets-panel")
    assert SHORT in wallets and ADDRESS not in wallets
    assert await page.run("document.querySelector('#wallets-panel .whose').title") == ADDRESS
    for reason in decision["reasons"]:
        name = reason.removeprefix("REASON_").replace("_", " ").lower()
        assert name in (await text(page, "decision")).lower()
    assert "DEMO" not in str(await page.run("document.querySelector('.choices').innerText"))
    assert "minswap" in await text(page, "prices-panel")
    assert scene.problems() == []


async def test_flows_are_marked_and_their_notes_never_become_markup(scene: Scene) -> None:
    page = await scene.show()
    await page.until(f"{MARKS} === {len(FLOWS)}")
    kinds = await page.run(
        "[...document.querySelectorAll('#position .mark')].map(mark => mark.className)"
    )
    assert kinds == [f"mark {kind}" for _, kind, _ in FLOWS]
    lefts = await page.run(
        "[...document.querySelectorAll('#position .mark')].map(mark => parseFloat(mark.style.left))"
    )
    assert lefts == sorted(lefts) and lefts[0] > 0
    await page.run("document.querySelector('#position-panel summary').click()")
    assert (await text(page, "position-panel")).count(MARKUP) == len(FLOWS)
    assert str(await page.run("document.title")).endswith("Withdrawals · Sonic")
    assert await page.run("document.querySelectorAll('img').length") == 1
    # Of the last day alone there is none.
    await page.run(
        "document.getElementById('range').value = '1d';"
        "document.getElementById('range').dispatchEvent(new Event('change'))"
    )
    await page.until(f"{MARKS} === 0")


async def test_another_asset_view_and_aggregation_are_shown_and_kept_in_the_address(
    scene: Scene,
) -> None:
    page = await scene.show("?asset=djed&view=rate")
    await page.until("document.getElementById('position-panel-title').innerText === 'Price, USD'")
    for name, value in (("view", "position"), ("bin", "1d"), ("range", "all")):
        await page.run(
            f"document.getElementById('{name}').value = '{value}';"
            f"document.getElementById('{name}').dispatchEvent(new Event('change'))"
        )
    await page.until("document.getElementById('position').innerText.includes('90 %')")
    for asset, shown in (("iusd", "No samples in this range."), ("total", "90 %")):
        await page.run(
            f"document.getElementById('asset').value = '{asset}';"
            "document.getElementById('asset').dispatchEvent(new Event('change'))"
        )
        await page.until(f"document.getElementById('position').innerText.includes('{shown}')")
    assert await page.run("document.getElementById('prices-panel').hidden")
    address = await page.run("location.search")
    assert address == "?asset=total&view=position&range=all&bin=1d"
    assert scene.problems() == []


async def test_a_synchronisation_shows_how_far_it_is_and_how_it_ended(scene: Scene) -> None:
    now = scene.clock.now()
    for name in ("first", "second"):
        body = {"addresses": [f"addr1{name}"]}
        assert (await scene.web.put(f"/v1/withdrawals/wallets/{name}", json=body)).is_success
    scene.venue.let.clear()
    scene.venue.told["addr1first"] = [
        VenueTransaction("s1", "SUPPLY", "", "DJED", now - timedelta(hours=5), Decimal(7))
    ]
    page = await scene.show()
    await page.run("document.getElementById('sync').focus()")
    await page.key("Enter")
    await page.until("!document.getElementById('asked').hidden")
    assert await page.run("document.getElementById('sync').ariaDisabled")
    assert not (await text(page, "asked-text")).startswith("Synchronised")
    scene.venue.let.set()
    await page.until(
        "document.getElementById('asked-text').innerText.startsWith('Synchronised: 1 new flows.')"
    )
    # The venue of this scene lists the one asset and not the other.
    assert "Not read: iusd: the venue lists no such market" in await text(page, "asked-text")
    assert await page.run("document.getElementById('asked-bar').value") == 2
    await page.until("!document.getElementById('sync').ariaDisabled")
    await page.until(f"{MARKS} === {len(FLOWS) + 1}")


async def test_a_new_decision_comes_by_itself(scene: Scene) -> None:
    page = await scene.show()
    await page.until("document.getElementById('decision').innerText.length > 40")
    assert "depeg" not in await text(page, "decision")
    scene.clock.advance(600)
    scene.venue.listed[0] = type(scene.venue.listed[0])(
        **{
            name: getattr(scene.venue.listed[0], name)
            for name in scene.venue.listed[0].__dataclass_fields__
        }
        | {"price_usd": 0.9}
    )
    scene.prices.usd["djed"] = 0.9
    await page.run("document.getElementById('evaluate').click()")
    await page.until("document.getElementById('decision').innerText.includes('Depeg')")
    # What to do about it, in words.
    await page.until("document.getElementById('decision').innerText.includes('news')")
    assert "Hold" in await text(page, "decision")


async def test_a_service_that_is_down_is_said_and_its_figures_are_old(scene: Scene) -> None:
    page = await scene.show()
    await scene.service.stop()
    await page.until("document.querySelector('#decision-panel .trouble').innerText !== ''")
    said = str(await page.run("document.querySelector('#decision-panel .trouble').innerText"))
    assert said.startswith("old, since ") and "withdrawals" in said
    # The shell says it too, beside the worst that is known.
    await page.until("document.getElementById('worst').innerText.includes('withdrawals')")
    body = "getComputedStyle(document.querySelector('#decision-panel > .body')).filter"
    assert "saturate" in await page.run(body)
    assert await page.run("document.querySelectorAll('#position canvas').length") == 1


@pytest.mark.parametrize("width", [390, 768, 1400])
async def test_nothing_sticks_out_of_the_page_of_withdrawals(scene: Scene, width: int) -> None:
    page = await scene.show("?bin=6h", width)
    for chart in ("residual", "distribution", "prices"):
        await page.until(f"document.querySelectorAll('#{chart} canvas').length === 1")
    await page.run("document.querySelector('#position-panel summary').click()")
    wide = """[...document.querySelectorAll('body *')].filter(node =>
        node.getBoundingClientRect().right > innerWidth + 1
        && !node.closest('.scroll, .nav, .tickers') && getComputedStyle(node).position
        !== 'absolute').map(node => node.className || node.tagName)"""
    assert await page.run("document.documentElement.scrollWidth") <= width, await page.run(wide)
    assert await page.run(wide) == []


async def test_charts_are_read_by_keys_and_follow_the_theme(scene: Scene) -> None:
    page = await scene.show()
    await page.run("document.getElementById('position').focus()")
    read = "document.querySelector('#position .u-legend').innerText"
    before = await page.run(read)
    key = (
        "document.getElementById('position').dispatchEvent("
        "new KeyboardEvent('keydown', {key: 'ArrowRight', cancelable: true}))"
    )
    # The canvas is there before what it shows.
    await page.until(f"{key}, {read} !== {json.dumps(before)}")
    pixels = (
        "document.querySelector('#position canvas').toDataURL().length + "
        "document.querySelector('#position canvas').toDataURL().slice(-4000)"
    )
    dark = await page.run(pixels)
    await page.run("document.getElementById('theme').click()")
    await page.until(f"({pixels}) !== {json.dumps(dark)}")
    assert await page.run("document.documentElement.dataset.theme") == "light"
