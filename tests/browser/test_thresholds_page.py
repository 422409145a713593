"""The page of thresholds: limits as they are typed, stored and taken back. Needs a Chromium;
without one it is skipped, and counted so.
"""

from __future__ import annotations

import json
from typing import Any

from tests.browser.visit import NEEDS_BROWSER, Visit, refusing, visit
from tests.chaos.conftest import home

__all__ = ["home", "refusing", "visit"]

HEAT = "HEAT_INDEX-POSITION-ABOVE"
ROW = f"[data-id={HEAT}]"

pytestmark = NEEDS_BROWSER


async def _threshold(visit: Visit, id_: str = HEAT) -> dict[str, Any]:
    rows = (await visit.get("/v1/thresholds?page_size=500"))["thresholds"]
    found_: dict[str, Any] = next(row for row in rows if row["id"] == id_)
    return found_


def _limits(row: dict[str, Any]) -> list[float]:
    return [row["low"], row["medium"], row["high"]]


def _input(place: int, row: str = ROW) -> str:
    return f"{row} .limit:nth-of-type({place}) input"


async def test_limits_are_previewed_checked_saved_and_nobodys_edit_is_lost(visit: Visit) -> None:
    page = await visit.show("/thresholds")
    cards = await page.run("[...document.querySelectorAll('.limits h3')].map(one => one.innerText)")
    assert cards[:2] == ["Risk Monitor", "Profit Monitor"]
    # Out of order: said at once, and nothing can be sent.
    await visit.put(_input(1), "90")
    await visit.says(ROW, "must be at least low")
    assert await page.run(f"document.querySelector('{ROW} [type=submit]').disabled")
    await visit.put(_input(1), "many")
    await visit.says(ROW, "is not a number")
    await visit.put(_input(1), "-5")
    await visit.says(ROW, "is at least 0")
    # What would fire, by the server's readings.
    await visit.put(_input(1), "1,5")
    await visit.says(ROW, "Would fire now on")
    seen = await visit.post(
        "/v1/thresholds:preview", {"id": HEAT, "low": 1.5, "medium": 40, "high": 50}
    )
    assert f"{seen['raised_count']} of {seen['alert_count']}" in await visit.text(ROW)
    assert _limits(await _threshold(visit)) == [30, 40, 50]
    await visit.click(f"{ROW} [type=submit]")
    await page.until(f"!document.querySelector('{ROW}').classList.contains('edited')")
    assert _limits(await _threshold(visit)) == [1.5, 40, 50]
    # Somebody was faster: both values are there, and either can be had.
    await visit.web.patch(f"/v1/thresholds/{HEAT}?update_mask=high", json={"high": 77})
    await visit.put(_input(2), "45")
    await visit.click(f"{ROW} [type=submit]")
    await visit.says(ROW, "Changed elsewhere")
    assert _limits(await _threshold(visit)) == [1.5, 40, 77]
    await visit.click(f"{ROW} .conflict button", "Save mine: 1.5 / 45 / 50")
    await page.until(f"!document.querySelector('{ROW}').classList.contains('edited')")
    assert _limits(await _threshold(visit)) == [1.5, 45, 50]
    # Channels, off, and back to what it was at first.
    await visit.click(f"{ROW} .link", "Channels")
    await visit.click("[data-field=high_channels] label", "webhook")
    await visit.click("dialog button", "Save")
    await visit.closed()
    assert (await _threshold(visit))["high_channels"] == ["webhook"]
    await visit.click(f"{ROW} input[type=checkbox]")
    await visit.says(ROW, "OFF")
    assert not (await _threshold(visit))["enabled"]
    await visit.click(f"{ROW} .link", "Default")
    await visit.click("dialog button", "Back to the default")
    await page.until(f"document.querySelector('{_input(1)}').value === '30'")
    back = await _threshold(visit)
    assert (_limits(back), back["enabled"], back["high_channels"]) == ([30, 40, 50], True, [])


async def test_limits_of_one_asset_come_and_go_and_files_are_tried_first(visit: Visit) -> None:
    page = await visit.show("/thresholds")
    await visit.click(".tools button", "Limits for one asset")
    await visit.write("base", HEAT)
    await visit.write("asset", "BTC")
    await visit.write("high", "88")
    await visit.click("dialog button", "Add")
    own = f"[data-id={HEAT}-BTC]"
    await page.until(f'document.querySelector("{own}") !== null')
    assert (await _threshold(visit, f"{HEAT}-BTC"))["high"] == 88
    await visit.click(f"{own} .link", "Remove")
    await visit.click("dialog button", "Remove")
    await page.until(f'document.querySelector("{own}") === null')
    # A file is tried before it is taken.
    ranges = {"heat_index": {"low": 20, "medium": 30, "high": 60}}
    await visit.give_file("limits.json", json.dumps({"alert_ranges": ranges}))
    await visit.click(".tools button", "Import")
    await visit.says("dialog", "1 would change")
    assert _limits(await _threshold(visit)) == [30, 40, 50]
    await visit.click("dialog button", "Import")
    await page.until(f"document.querySelector('{_input(3)}').value === '60'")
    assert _limits(await _threshold(visit)) == [20, 30, 60]
    await visit.give_file("limits.json", "{")
    await visit.click(".tools button", "Import")
    await visit.says("#toasts", "no JSON")
    # What is exported is what the server exports.
    await page.run("URL.createObjectURL = blob => { window.saved = blob; return 'blob:x'; }")
    await visit.click(".tools button", "Export")
    await page.until("window.saved !== undefined")
    saved = await page.run("window.saved.text()")
    assert json.loads(saved) == json.loads((await visit.get("/v1/thresholds:export"))["json"])


async def test_a_version_is_compared_and_restored_after_it_was_said_what_changes(
    visit: Visit,
) -> None:
    await visit.web.patch(f"/v1/thresholds/{HEAT}?update_mask=high", json={"high": 77})
    page = await visit.show("/thresholds")
    await visit.click(".panel button", "Versions")
    await visit.says("dialog", f"{HEAT} high: 50 → 77")
    await visit.click("[data-version='1'] button", "Compare with now")
    await visit.says("[data-version='1']", f"To now: {HEAT} high: 50 → 77")
    await visit.click("[data-version='1'] button", "Restore")
    await visit.says("dialog:last-of-type", "1 value would change")
    await visit.click("dialog:last-of-type button", "Restore")
    await page.until("!document.querySelector('dialog')")
    assert _limits(await _threshold(visit)) == [30, 40, 50]
