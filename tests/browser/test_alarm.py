"""Tone and notification, for who wishes them in this browser. Needs a Chromium; without one it is
skipped, and counted so.
"""

from __future__ import annotations

from pathlib import Path

from tests.browser.keyboard import Keyboard
from tests.browser.visit import NEEDS_BROWSER, sitting
from tests.chaos.conftest import home

__all__ = ["home"]

pytestmark = NEEDS_BROWSER
# What the browser would show and play, written down.
_LISTEN = """(() => {
    window.told = [];
    window.tones = 0;
    window.Notification = class {
        static permission = 'granted';
        constructor(title, { body }) { window.told.push(`${title}: ${body}`); }
    };
    const begin = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (at) { window.tones += 1; begin.call(this, at); };
})()"""
_RISE = """(async () => {
    const { setLevel } = await import('/web/tab.js');
    setLevel('NORMAL', '');
    setLevel('HIGH', 'SOL long, past liquidation');
    setLevel('NORMAL', '');
})()"""


async def test_a_rise_and_a_message_of_the_sound_are_heard_where_that_is_wished_and_nowhere_else(
    home: Path,
) -> None:
    async with sitting(home, {"XCOM_SOUND": "1"}) as servers:
        page = await servers.show("/logs")
        await page.run(_LISTEN)
        await page.run(_RISE)
        assert await page.run("told.length + tones") == 0
        keys = Keyboard(servers)
        await keys.press("Tone and notification", "header")
        assert await page.run("document.getElementById('alarm').ariaPressed") == "true"
        await page.run(_RISE)
        # The page itself goes on saying what it sees of the demo, once a second.
        risen = [one for one in await page.run("told") if "SOL long" in one]
        assert risen == ["Sonic: HIGH: SOL long, past liquidation"]
        assert await page.run("tones") >= 4
        message = {
            "request_id": "heard",
            "level": "LEVEL_HIGH",
            "subject": "for the ears",
            "source": "test",
            "channels": ["sound"],
        }
        id_ = (await servers.post("/v1/messages:send", message))["id"]
        await page.until("told.some(one => one.endsWith(': for the ears'))")
        # A browser that listens has heard it: that is kept.
        await keys.stored(
            f"/v1/messages/{id_}",
            lambda told: bool(told["deliveries"][0]["state"] == "DELIVERY_STATE_SENT"),
        )
        # The wish is kept in this browser, and taken back as it was given.
        page = await servers.show("/")
        assert await page.run("document.getElementById('alarm').ariaPressed") == "true"
        await keys.press("Tone and notification", "header")
        await page.run(_LISTEN)
        await page.run(_RISE)
        assert await page.run("told.length") == 0
        assert page.problems == []
