"""The page of thresholds: limits as they are typed, stored and taken back. Needs a Chromium;
without one it is skipped, and counted so.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.browser.chromium import found
from tests.browser.desk import Desk, desk, refusing
from tests.chaos.conftest import home

__all__ = ["desk", "home", "refusing"]

HEAT = "HEAT_INDEX-POSITION-ABOVE"
ROW = f"[data-id={HEAT}]"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        found() is None, reason="no Chromium on this machine: the dashboard is not tested"
    ),
]


async def _threshold(desk: Desk, id_: str = HEAT) -> dict[str, Any]:
    rows = (await desk.get("/v1/thresholds?page_size=500"))["thresholds"]
    found_: dict[str, Any] = next(row for row in rows if row["id"] == id_)
    return found_


def _limits(row: dict[str, Any]) -> list[float]:
    return [row["low"], row["medium"], row["high"]]


def _input(place: int, row: str = ROW) -> str:
    return f"{row} .limit:nth-of-type({place}) input"


async def test_limits_are_previewed_checked_saved_and_nobodys_edit_is_lost(desk: Desk) -> None:
    page = await desk.show("/thresholds")
    cards = await page.run("[...document.querySelectorAll('.limits h3')].map(one => one.innerText)")
    assert cards[:2] == ["Risk Monitor", "Profit Monitor"]
    # Out of order: said at once, and nothing can be sent.
    await desk.put(_input(1), "90")
    await desk.says(ROW, "must be at least low")
    assert await page.run(f"document.querySelector('{ROW} [type=submit]').disabled")
    await desk.put(_input(1), "many")
    await desk.says(ROW, "is not a number")
    await desk.put(_input(1), "-5")
    await desk.says(ROW, "is at least 0")
    # What would fire, by the server's readings.
    await desk.put(_input(1), "1,5")
    await desk.says(ROW, "Would fire now on")
    seen = await desk.post(
        "/v1/thresholds:preview", {"id": HEAT, "low": 1.5, "medium": 40, "high": 50}
    )
    assert f"{seen['raised_count']} of {seen['alert_count']}" in await desk.text(ROW)
    assert _limits(await _threshold(desk)) == [30, 40, 50]
    await desk.click(f"{ROW} [type=submit]")
    await page.until(f"!document.querySelector('{ROW}').classList.contains('edited')")
    assert _limits(await _threshold(desk)) == [1.5, 40, 50]
    # Somebody was faster: both values are there, and either can be had.
    await desk.web.patch(f"/v1/thresholds/{HEAT}?update_mask=high", json={"high": 77})
    await desk.put(_input(2), "45")
    await desk.click(f"{ROW} [type=submit]")
    await desk.says(ROW, "Changed elsewhere")
    assert _limits(await _threshold(desk)) == [1.5, 40, 77]
    await desk.click(f"{ROW} .conflict button", "Save mine: 1.5 / 45 / 50")
    await page.until(f"!document.querySelector('{ROW}').classList.contains('edited')")
    assert _limits(await _threshold(desk)) == [1.5, 45, 50]
    # Channels, off, and back to what it was at first.
    await desk.click(f"{ROW} .link", "Channels")
    await desk.click("[data-field=high_channels] label", "webhook")
    await desk.click("dialog button", "Save")
    await desk.closed()
    assert (await _threshold(desk))["high_channels"] == ["webhook"]
    await desk.click(f"{ROW} input[type=checkbox]")
    await desk.says(ROW, "OFF")
    assert not (await _threshold(desk))["enabled"]
    await desk.click(f"{ROW} .link", "Default")
    await desk.click("dialog button", "Back to the default")
    await page.until(f"document.querySelector('{_input(1)}').value === '30'")
    back = await _threshold(desk)
    assert (_limits(back), back["enabled"], back["high_channels"]) == ([30, 40, 50], True, [])


async def test_limits_of_one_asset_come_and_go_and_files_are_tried_first(desk: Desk) -> None:
    page = await desk.show("/thresholds")
    await desk.click(".tools button", "Limits for one asset")
    await desk.write("base", HEAT)
    await desk.write("asset", "BTC")
    await desk.write("high", "88")
    await desk.click("dialog button", "Add")
    own = f"[data-id={HEAT}-BTC]"
    await page.until(f'document.querySelector("{own}") !== null')
    assert (await _threshold(desk, f"{HEAT}-BTC"))["high"] == 88
    await desk.click(f"{own} .link", "Remove")
    await desk.click("dialog button", "Remove")
    await page.until(f'document.querySelector("{own}") === null')
    # A file is tried before it is taken.
    ranges = {"heat_index": {"low": 20, "medium": 30, "high": 60}}
    await desk.give_file("limits.json", json.dumps({"alert_ranges": ranges}))
    await desk.click(".tools button", "Import")
    await desk.says("dialog", "1 would change")
    assert _limits(await _threshold(desk)) == [30, 40, 50]
    await desk.click("dialog button", "Import")
    await page.until(f"document.querySelector('{_input(3)}').value === '60'")
    assert _limits(await _threshold(desk)) == [20, 30, 60]
    await desk.give_file("limits.json", "{")
    await desk.click(".tools button", "Import")
    await desk.says("#toasts", "no JSON")
    # What is exported is what the server exports.
    await page.run("URL.createObjectURL = blob => { window.saved = blob; return 'blob:x'; }")
    await desk.click(".tools button", "Export")
    await page.until("window.saved !== undefined")
    saved = await page.run("window.saved.text()")
    assert json.loads(saved) == json.loads((await desk.get("/v1/thresholds:export"))["json"])
