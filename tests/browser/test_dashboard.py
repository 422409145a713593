"""The dashboard over the whole system as a person starts it: what is done in a browser is looked
up in the store. Needs a Chromium on the machine; without one it is skipped, and counted so.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser.chromium import Browser, found, started
from tests.chaos.conftest import Up, home, up

__all__ = ["home"]

MARKUP = "<img src=x onerror=document.title='broken'>"
WALLET = "<b onclick=alert(1)>wallet</b>"
PAST = "past-liquidation"
VENDOR = Path(__file__).parent / "vendor"
PAGES = ["/", "/positions", f"/positions/{PAST}", "/alerts", "/withdrawals"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(420),
    pytest.mark.skipif(
        found() is None, reason="no Chromium on this machine: the dashboard is not tested"
    ),
]


@dataclass
class Board:
    """A running system, a client of its gateway and a browser."""

    running: Up
    web: httpx.AsyncClient
    page: Browser

    async def get(self, path: str) -> Any:
        answer = await self.web.get(path)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    async def post(self, path: str, body: object) -> Any:
        answer = await self.web.post(path, json=body)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json() if answer.headers["content-type"] == "application/json" else None

    async def show(self, path: str, width: int = 1400, height: int = 1000) -> Browser:
        await self.page.show(f"{self.web.base_url}".rstrip("/") + path, width, height)
        await self.page.until(
            "document.readyState === 'complete' && !document.querySelector('.loading')"
            " && document.querySelector('.page .panel') !== null"
            " && !document.body.classList.contains('waiting')"
        )
        return self.page

    async def text(self, selector: str) -> str:
        return str(await self.page.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    async def click(self, selector: str, words: str = "") -> None:
        """Presses what the selector finds and says these words."""
        find = (
            f"[...document.querySelectorAll({json.dumps(selector)})]"
            f".find(one => one.textContent.includes({json.dumps(words)}))"
        )
        await self.page.until(f"{find} && !{find}.disabled")
        await self.page.run(f"{find}.click()")

    async def write(self, field: str, value: str) -> None:
        """Fills a field of the open form."""
        control = f"document.querySelector('[data-field={field}] :is(input, select, textarea)')"
        await self.page.until(f"!!{control}")
        await self.page.run(
            f"{control}.value = {json.dumps(value)};"
            f"{control}.dispatchEvent(new Event('input', {{bubbles: true}}))"
        )

    async def alert(self, id_: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.get(f"/v1/alerts/{id_}")
        return found


@pytest.fixture
async def board(home: Path) -> AsyncIterator[Board]:
    """The demo with a position of somebody's own that is past liquidation, judged once."""
    path = found()
    assert path is not None
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(up(home, {}, start_seconds=240))
        (line,) = [line for line in running.lines if "dashboard" in line]
        at = re.search(r"http://[\w.:]+", line)
        assert at is not None
        web = await stack.enter_async_context(httpx.AsyncClient(base_url=at[0], timeout=60))
        made = Board(running, web, await stack.enter_async_context(started(path)))
        await made.post("/v1/wallets", {"name": WALLET, "chain": "CHAIN_MANUAL"})
        position = {
            "id": PAST,
            "wallet": WALLET,
            "venue": "manual",
            "asset": "SOL",
            "side": "SIDE_LONG",
            "entry_price_usd": 200,
            "liquidation_price_usd": 185,
            "mark_price_usd": 180,
            "size_usd": 2000,
            "collateral_usd": 250,
            "note": MARKUP,
        }
        await made.post("/v1/positions", position)
        await made.post("/v1/cycles:run", {})
        yield made


async def test_what_is_past_liquidation_is_said_first_and_badges_are_dismissed_for_all(
    board: Board,
) -> None:
    page = await board.show("/")
    await page.until("document.getElementById('worst').innerText.includes('not acknowledged')")
    line = await board.text("#worst")
    assert re.search(
        r"HIGH\s+SOL long, past liquidation by .* %, HIGH since \d\d:\d\d, "
        r"told nobody: .*, not acknowledged",
        line,
    ), line
    assert await page.run("document.title") == "HIGH · Sonic"
    assert (await page.run("document.querySelector('link[rel=icon]').href")).endswith("-high.svg")
    first = await board.text("#positions-panel tbody tr")
    assert "past liquidation" in first and WALLET in first and MARKUP in first
    assert await page.run("document.querySelector('.positions .bar i').className") == "losing"
    assert await page.run("document.querySelectorAll('.page img').length") == 0
    # The server orders and filters; the choice is kept in the address.
    await page.run(
        "const asset = document.querySelectorAll('#positions-panel input')[1];"
        "asset.value = 'btc'; asset.dispatchEvent(new Event('input'))"
    )
    await page.until("location.search === '?asset=btc'")
    await page.until("!document.querySelector('#positions-panel tbody').innerText.includes('SOL')")
    # A badge, by its key alone.
    await page.until("document.querySelector('#badges .badge') !== null")
    shown = await board.get("/v1/badges")
    badge = await board.text("#badges .badge")
    await page.run("document.querySelector('#badges .badge').focus()")
    await page.key("Enter")
    await page.until(f"document.querySelector('#badges .badge')?.innerText !== {json.dumps(badge)}")
    left = (await board.get("/v1/badges"))["badges"]
    key = [(one["name"], one["subject"], one["value"]) for one in shown["badges"]]
    assert [(one["name"], one["subject"], one["value"]) for one in left] != key
    assert page.problems == []


async def test_a_position_is_reached_by_its_link_with_advice_and_what_would_be(
    board: Board,
) -> None:
    page = await board.show("/")
    await board.click("#positions-panel a.name", "SOL")
    await page.until(f"location.pathname === '/positions/{PAST}'")
    await page.until("document.querySelectorAll('.plain-facts div').length >= 25")
    await page.until(
        "document.getElementById('position-panel').innerText.includes('past liquidation')"
    )
    figures = await board.text("#figures-panel")
    assert "$2,000.00" in figures and "185.00 USD" in figures and "180.00 USD" in figures
    await page.until("document.querySelector('.what-if .facts') !== null")
    await page.run(
        "const slider = document.querySelector('.what-if input'); slider.value = '1000';"
        "slider.dispatchEvent(new Event('input'))"
    )
    await page.until(
        "document.querySelector('.told-figures').innerText.includes('+$')"
        " && document.querySelector('.told-figures li') !== null"
    )
    assert "HIGH → NORMAL" in await board.text(".told-figures")
    await page.run("document.querySelector('#advice-panel form').requestSubmit()")
    await page.until("document.querySelector('.advice').innerText.includes('Add collateral $')")
    advised = await board.post(
        "/v1/positions:adviseTopUp", {"position_id": PAST, "wanted_distance_percent": 20}
    )
    assert f"${advised['collateral_to_add_usd']:,.2f}" in await board.text(".advice")
    # Back and forward are the browser's.
    await page.run("history.back()")
    await page.until(
        "location.pathname === '/' && document.querySelector('.totals .tile') !== null"
    )
    await page.run("history.forward()")
    await page.until(f"document.title.includes('Position {PAST[:12]}')")
    assert page.problems == []


async def test_alerts_are_acknowledged_silenced_edited_added_and_deleted(board: Board) -> None:
    page = await board.show("/alerts?alert_class=ALERT_CLASS_POSITION")
    id_ = await page.run("document.querySelector('[data-alert]').dataset.alert")
    item = f"[data-alert={id_}]"
    assert (await board.alert(id_))["level"] == "LEVEL_HIGH"
    await board.click(f"{item} button", "Acknowledge")
    await page.until(f"document.querySelector('{item}').innerText.includes('ACKNOWLEDGED')")
    assert (await board.alert(id_))["status"] == "ALERT_STATUS_ACKNOWLEDGED"
    await board.click(f"{item} button", "15 min")
    await page.until(f"document.querySelector('{item}').innerText.includes('SILENCED')")
    assert (await board.alert(id_))["status"] == "ALERT_STATUS_SILENCED"
    await board.click(f"{item} button", "Tell again")
    await page.until(f"!document.querySelector('{item}').innerText.includes('SILENCED')")
    assert (await board.alert(id_))["status"] == "ALERT_STATUS_ACTIVE"
    # The form, and an edit that somebody else was faster with.
    await board.click(f"{item} button", "Edit")
    await board.write("notes", MARKUP)
    await board.click("dialog button", "Save")
    await page.until("document.querySelector('dialog') === null")
    assert (await board.alert(id_))["notes"] == MARKUP
    await board.click(f"{item} button", "Edit")
    await board.web.patch(
        f"/v1/alerts/{id_}", params={"update_mask": "notes"}, json={"notes": "faster"}
    )
    await board.write("notes", "slower")
    await board.click("dialog button", "Save")
    await page.until("document.querySelector('dialog').innerText.includes('Read it anew')")
    assert (await board.alert(id_))["notes"] == "faster"
    await board.click("dialog button", "Read it anew")
    # What cannot be is said beside the field, and not sent.
    before = len((await board.get("/v1/alerts?page_size=500"))["alerts"])
    await board.click("#alerts-panel .head button", "Add alert")
    await board.write("trigger_value", "-3")
    await board.write("asset", "BTC")
    await board.click("dialog button", "Add alert")
    await page.until(
        "document.querySelector('[data-field=trigger_value]').innerText.includes('above 0')"
    )
    assert len((await board.get("/v1/alerts?page_size=500"))["alerts"]) == before
    await board.write("trigger_value", "1")
    await board.click("dialog button", "Add alert")
    await page.until("document.querySelector('dialog') === null")
    (made,) = (await board.get("/v1/alerts?type=ALERT_TYPE_PRICE_THRESHOLD"))["alerts"]
    assert (made["asset"], made["trigger_value"]) == ("BTC", 1.0)
    await board.show("/alerts?min_level=ANY&alert_class=ALERT_CLASS_MARKET")
    await board.click(f"[data-alert={made['id']}] button", "Delete")
    await board.click("dialog button", "Delete")
    await page.until(f"document.querySelector('[data-alert={made['id']}]') === null")
    assert (await board.web.get(f"/v1/alerts/{made['id']}")).status_code == 404
    await board.click("#ledger-panel button", "Verify")
    await page.until("document.querySelector('#ledger-panel').innerText.includes('intact')")
    # The conflict alone.
    (refused,) = page.problems
    assert "409" in refused


async def test_a_service_that_hangs_is_marked_and_its_figures_are_never_all_well(
    board: Board,
) -> None:
    page = await board.show("/")
    ill = "document.querySelector('#health .ill')?.innerText === 'positions'"
    said = "document.getElementById('worst').innerText.includes('ositions does not answer since')"
    frozen = board.running.pid("positions")
    os.kill(frozen, signal.SIGSTOP)
    try:
        await page.until(ill)
        await page.until(said)
        await page.until(
            "document.querySelector('#positions-panel .trouble').innerText.startsWith('old, since')"
        )
        assert "Nothing above" not in await board.text("#worst")
    finally:
        # Unless it was replaced meanwhile.
        with suppress(ProcessLookupError):
            os.kill(frozen, signal.SIGCONT)
    await page.until("document.querySelector('#health .ill') === null")
    await page.until(f"!({said})")
    await page.until("document.querySelector('#positions-panel .trouble').innerText === ''")


async def test_every_page_fits_a_phone_and_can_be_used_without_eyes_or_pointer(
    board: Board,
) -> None:
    axe = (VENDOR / "axe.min.js").read_text()
    problems: list[object] = []
    for path in PAGES:
        for theme in ("dark", "light"):
            page = await board.show(path, 1400)
            if await page.run("document.documentElement.dataset.theme") != theme:
                await page.run("document.getElementById('theme').click()")
            await page.run(f"{axe};0")
            problems += [
                (path, theme, one)
                for one in await page.run(
                    "axe.run().then(told => told.violations"
                    ".filter(one => ['serious', 'critical'].includes(one.impact))"
                    ".map(one => [one.id, one.nodes.slice(0, 4).map(node => node.html)]))"
                )
            ]
        for width in (360, 390):
            await page.size(width, 844)
            assert await page.run("document.documentElement.scrollWidth") <= width, (path, width)
    assert problems == []
    await page.ask(
        "Emulation.setEmulatedMedia",
        features=[{"name": "prefers-reduced-motion", "value": "reduce"}],
    )
    await page.run("document.getElementById('badges')?.firstElementChild?.classList.add('new')")
    assert await page.run("document.getAnimations().length") == 0
    page = await board.show("/")
    await page.key("Tab")
    assert await page.run("document.activeElement.className") == "skip"
    await page.key("Enter")
    assert await page.run("document.activeElement.id") == "main"
    assert await page.run("document.querySelector('nav a[aria-current=page]').innerText") == (
        "Overview"
    )
    assert (await board.web.get("/nothing-here")).status_code == 404


def test_what_is_kept_of_others_is_as_it_came() -> None:
    row = re.compile(r"^\| (\S+) \| \S+ \| ([0-9a-f]{64}) \|$", re.MULTILINE)
    listed = row.findall((VENDOR / "README.md").read_text())
    assert len(listed) == 2
    for name, digest in listed:
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest
