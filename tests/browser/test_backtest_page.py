"""The page of the backtest: asked, shown with its strip and curve, refused in words.
Needs a Chromium; without one it is skipped, and counted so.
"""

from __future__ import annotations

from tests.browser.made_past import wave
from tests.browser.visit import NEEDS_BROWSER, Visit, servers

__all__ = ["servers"]

pytestmark = NEEDS_BROWSER


async def test_the_past_is_judged_and_shown_with_strip_and_curve(servers: Visit) -> None:
    await wave(servers)
    page = await servers.show("/backtest?asset=SOL&distance=12")
    await servers.write("low", "9")
    await servers.write("medium", "7")
    await servers.write("high", "5")
    await servers.click("#ask form button", "Judge the past")
    await servers.says("#figures", "liquidated")
    await page.until("document.querySelectorAll('#strip canvas, #curve canvas').length === 2")
    assert "limits 9 / 7 / 5" in await servers.text("#figures")
    assert await page.run("document.querySelectorAll('#curve .grid tbody tr').length") == 9
    await servers.says("#strip .grid tbody", "HIGH")
    await servers.says("#curve .grid tbody", "KNEE")
    assert await page.run("location.search.includes('distance=12')")
    assert page.problems == []
    # What the server refuses stands in the form.
    await servers.write("low", "3")
    await servers.click("#ask form button", "Judge the past")
    await servers.says("#ask form", "low >= medium >= high")


async def test_what_cannot_be_judged_is_said_in_the_form(servers: Visit) -> None:
    await servers.show("/backtest?asset=BTC")
    await servers.write("distance", "200")
    await servers.click("#ask form button", "Judge the past")
    await servers.says("#ask form", "is at most 99")
    # The demo's hours of BTC are fewer than a week.
    await servers.write("distance", "10")
    await servers.click("#ask form button", "Judge the past")
    await servers.says("#ask form", "less than the horizon")
