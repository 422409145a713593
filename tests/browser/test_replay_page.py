"""The page of the replay: a cycle judged again, and by other limits, refused in words.
Needs a Chromium; without one it is skipped, and counted so.
"""

from __future__ import annotations

from tests.browser.visit import NEEDS_BROWSER, Visit, servers

__all__ = ["servers"]

pytestmark = NEEDS_BROWSER


async def test_cycles_are_judged_again_and_by_other_limits(servers: Visit) -> None:
    page = await servers.show("/replay")
    await page.until("document.querySelector('#ask form') !== null")
    await servers.click("#ask form button", "Judge again")
    await servers.says("#verdict", "bit for bit")
    await servers.write("high", "60")
    await servers.click("#ask form button", "Judge again")
    await servers.says("#verdict", "by these limits")
    assert await page.run("document.querySelectorAll('#verdict tbody tr').length") == 3
    assert await page.run("location.search.includes('hours=8')")
    assert page.problems == []
    # What the server refuses stands in the form.
    await servers.write("low", "3")
    await servers.click("#ask form button", "Judge again")
    await servers.says("#ask form", "low >= medium >= high")
