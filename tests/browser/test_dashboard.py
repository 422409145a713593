"""The dashboard over the whole system as a person starts it: what is done in a browser is looked
up in the store. Needs a Chromium on the machine; without one it is skipped, and counted so.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.browser.visit import MARKUP, NEEDS_BROWSER, PAST, WALLET, Visit, endanger, sitting
from tests.chaos.conftest import home

__all__ = ["home"]

pytestmark = NEEDS_BROWSER
# What moves on the page, a badge that is new and the step that runs; how many do.
MOVES = """import('/web/dom.js').then(({ h }) => {
    const running = h('li', { class: 'step-RUNNING' }, h('i'));
    const main = document.querySelector('main');
    main.replaceChildren(h('b', { class: 'badge new' }), h('ol', { class: 'chain' }, running));
    return document.getAnimations().length;
})"""


@pytest.fixture
async def board(home: Path) -> AsyncIterator[Visit]:
    """The demo with a position of somebody's own that is past liquidation."""
    async with sitting(home, {}) as made:
        await endanger(made)
        yield made


async def test_what_is_past_liquidation_is_said_first_and_badges_are_dismissed_for_all(
    board: Visit,
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
    board: Visit,
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
    await board.says("#probability-panel", "now 100.00 %, highest 100.00 % on")
    await page.until("document.querySelector('#probability-panel canvas') !== null")
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


async def test_alerts_are_acknowledged_silenced_edited_added_and_deleted(board: Visit) -> None:
    page = await board.show("/alerts?alert_class=ALERT_CLASS_POSITION")
    id_ = await page.run("document.querySelector('[data-alert]').dataset.alert")
    item = f"[data-alert={id_}]"
    assert (await board.get(f"/v1/alerts/{id_}"))["level"] == "LEVEL_HIGH"
    await board.click(f"{item} button", "Acknowledge")
    await page.until(f"document.querySelector('{item}').innerText.includes('ACKNOWLEDGED')")
    assert (await board.get(f"/v1/alerts/{id_}"))["status"] == "ALERT_STATUS_ACKNOWLEDGED"
    await board.click(f"{item} button", "15 min")
    await page.until(f"document.querySelector('{item}').innerText.includes('SILENCED')")
    assert (await board.get(f"/v1/alerts/{id_}"))["status"] == "ALERT_STATUS_SILENCED"
    await board.click(f"{item} button", "Tell again")
    await page.until(f"!document.querySelector('{item}').innerText.includes('SILENCED')")
    assert (await board.get(f"/v1/alerts/{id_}"))["status"] == "ALERT_STATUS_ACTIVE"
    # The form, and an edit that somebody else was faster with.
    await board.click(f"{item} button", "Edit")
    await board.write("notes", MARKUP)
    await board.click("dialog button", "Save")
    await page.until("document.querySelector('dialog') === null")
    assert (await board.get(f"/v1/alerts/{id_}"))["notes"] == MARKUP
    await board.click(f"{item} button", "Edit")
    await board.web.patch(
        f"/v1/alerts/{id_}", params={"update_mask": "notes"}, json={"notes": "faster"}
    )
    await board.write("notes", "slower")
    await board.click("dialog button", "Save")
    await page.until("document.querySelector('dialog').innerText.includes('Read it anew')")
    assert (await board.get(f"/v1/alerts/{id_}"))["notes"] == "faster"
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
    board: Visit,
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


async def test_it_is_used_by_keys_alone_and_stands_still_where_that_is_asked_for(
    board: Visit,
) -> None:
    page = await board.show("/")
    assert await page.run(MOVES) == 2
    await page.ask(
        "Emulation.setEmulatedMedia",
        features=[{"name": "prefers-reduced-motion", "value": "reduce"}],
    )
    assert await page.run(MOVES) == 0
    page = await board.show("/")
    await page.key("Tab")
    assert await page.run("document.activeElement.className") == "skip"
    await page.key("Enter")
    assert await page.run("document.activeElement.id") == "main"
    assert await page.run("document.querySelector('nav a[aria-current=page]').innerText") == (
        "Overview"
    )
    assert (await board.web.get("/nothing-here")).status_code == 404
