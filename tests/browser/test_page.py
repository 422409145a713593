"""The page in a real browser. Needs a Chromium on the machine; without one it says so and is
skipped.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from services.gateway.guard import HEADERS
from services.gateway.listener import HttpServer
from services.gateway.pages import Pages
from shared.clock import PushedClock
from shared.lifecycle import App
from tests.browser.chromium import Browser, found, started

MARKUP = "<img src=x onerror=document.title='broken'><script>document.title='broken'</script>"
FILLED = "document.querySelectorAll('#positions-panel tbody tr').length === 3"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        found() is None, reason="no Chromium on this machine: the page is not tested"
    ),
]


# What the gateway says, invented; every text a person or a provider could have written is markup.
ANSWERS: dict[str, Any] = json.loads(
    (Path(__file__).parent / "answers.json")
    .read_text()
    .replace("$MARKUP", json.dumps(MARKUP)[1:-1])
)
STALE_PRICE = {"asset": MARKUP, "price_usd": 5.0, "quality": "QUALITY_STALE", "source": MARKUP}
CYCLE = ANSWERS["/v1/cycles"]["cycles"][0]


class Servers:
    """Says what the table says; a path in `down` is 503; its clock is pushed."""

    def __init__(self) -> None:
        self.clock = PushedClock(datetime.now(UTC))
        self.prices = [STALE_PRICE]
        self.down: set[str] = set()
        self.runs = 0
        self.next_badges: list[dict[str, Any]] = []
        self.dismissed: list[dict[str, Any]] = []
        # Answers that other tests do not ask for.
        self.more: dict[str, Any] = {"/livez": {"status": "alive"}}
        # Whether streams stay open, end after what they said (None), or are refused; when asked.
        self.streams: bool | None = None
        self.asked_seconds: list[float] = []
        # The end of a file's path that another release took away.
        self.gone = ""
        self._pages = Pages(())

    async def answer(self, request: Request) -> Response:
        path = request.url.path
        response = await self._plain(path, request)
        response.headers.update(HEADERS)
        response.headers["date"] = format_datetime(self.clock.now(), usegmt=True)
        return response

    async def _plain(self, path: str, request: Request) -> Response:
        if self.gone and path.endswith(self.gone):
            return JSONResponse({}, 404)
        if path in self._pages:
            return await self._pages.answer(path, request)
        if path in self.down:
            return JSONResponse(
                {"error": {"message": MARKUP, "details": [{"reason": "PEER_UNAVAILABLE"}]}}, 503
            )
        if path == "/v1:watch":
            self.asked_seconds.append(time.monotonic())
            if self.streams is False:
                return JSONResponse({}, 503)
            told = {
                "/v1/prices:watch": {"prices": self.prices},
                "/v1/monitors:watch": {"badges": self._badges()},
            }
            asked = request.query_params.getlist("path")
            return self._events(*(told[one] for one in asked), stays=self.streams is True)
        if path == "/v1/cycles:run":
            self.runs += 1
            return self._events({"cycle": CYCLE, "done": False}, {"cycle": CYCLE, "done": True})
        if path.startswith("/v1/badges/") and path.endswith(":dismiss"):
            self.dismissed.append(await request.json())
            return JSONResponse(self.next_badges[0])
        if path == "/v1/badges":
            return JSONResponse({"badges": self._badges()})
        if path == "/v1/positions" and request.query_params["order_by"] == "worst":
            answer: dict[str, Any] = ANSWERS[path]
            found = sorted(
                answer["positions"], key=lambda one: "liquidation_distance_percent" in one
            )
            return JSONResponse(answer | {"positions": found})
        return JSONResponse(self.more.get(path) or ANSWERS[path])

    def _badges(self) -> list[dict[str, Any]]:
        badges: list[dict[str, Any]] = ANSWERS["/v1/badges"]["badges"]
        return self.next_badges if self.dismissed else badges

    def _events(self, *messages: dict[str, Any], stays: bool = False) -> Response:
        text = "".join(
            f"event: {place}\ndata: {json.dumps(message)}\n\n"
            for place, message in enumerate(messages)
        )
        if not stays:
            return Response(text, media_type="text/event-stream")

        async def open_end() -> AsyncIterator[str]:
            yield text
            while self.streams:
                await asyncio.sleep(0.05)

        return StreamingResponse(open_end(), media_type="text/event-stream")


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
async def page(servers: Servers) -> AsyncIterator[Browser]:
    """A browser that shows the page with its figures."""
    routes = [Route("/{path:path}", servers.answer, methods=["GET", "POST"])]
    server = HttpServer(
        "127.0.0.1:0", Starlette(routes=routes), leaving=lambda: None, grace_seconds=1
    )
    path = found()
    assert path is not None
    async with App("page", [server]) as app, started(path) as browser:
        await browser.open(f"http://{app.address}/")
        await browser.until(FILLED)
        await browser.until("document.querySelectorAll('#cycles-panel article').length === 1")
        yield browser


async def test_markup_in_any_text_is_shown_and_never_becomes_markup(page: Browser) -> None:
    await page.until(
        f"document.querySelector('#tickers').textContent.includes({json.dumps(MARKUP)})"
    )
    assert await page.run("document.querySelectorAll('img').length") == 1
    assert await page.run("document.querySelectorAll('script').length") == 2
    assert await page.run("document.title") == "HIGH · Sonic"
    assert page.problems == []
    shown = str(await page.run("document.body.textContent"))
    # wallet, venue and note of each position; alerts, delivery, channel, cycle,
    # badge ...
    assert shown.count(MARKUP) >= 12


async def test_what_is_not_known_is_a_question_mark_and_comes_first(page: Browser) -> None:
    rows = await page.run(
        "[...document.querySelectorAll('#positions-panel tbody tr')]"
        ".map(row => [...row.cells].map(cell => cell.textContent))"
    )
    assert [rows[0][column] for column in (2, 3, 4)] == ["?", "?", "?"]
    assert rows[1][2] == "2.0 %" and rows[1][4] == "90"
    assert await page.run("document.querySelectorAll('.bar.unknown').length") == 1
    heading = await page.run("document.querySelector('#positions-panel .count').textContent")
    assert heading == "3 held, 1 without a known distance"
    assert "STALE" in await page.run("document.querySelector('#alerts-panel').textContent")


async def test_the_demo_is_loud(page: Browser) -> None:
    assert await page.run("document.getElementById('mode').textContent") == "DEMO"
    assert await page.run("document.getElementById('demo').offsetHeight") > 0


async def test_what_the_silence_rests_on_is_said_at_the_top(page: Browser) -> None:
    await page.until("document.querySelectorAll('#notices li').length >= 2")
    told = await page.run("document.getElementById('notices').innerText")
    assert "Nobody is told" in told
    assert "HEARTBEAT_URL is not set" in told
    assert "schedule is off" not in told
    assert await page.run("document.getElementById('notices').offsetHeight") > 0


async def test_the_line_at_the_top_says_what_is_not_known_before_what_is_worst(
    page: Browser,
) -> None:
    await page.until("document.getElementById('worst').innerText.includes('not acknowledged')")
    await page.until("document.getElementById('worst').innerText.includes('Xcom does not')")
    line = str(await page.run("document.getElementById('worst').innerText")).replace("\n", " ")
    doubts, _, known = line.partition(". ")
    assert doubts.startswith("HIGH Xcom does not answer since ") and "not judged since" in doubts
    assert known.startswith("BTC long, 2.0 % from liquidation, HIGH since "), known
    assert known.endswith(", told nobody, not acknowledged; 1 position cannot be judged")
    assert "Nothing above" not in line
    icon = await page.run("document.querySelector('link[rel=icon]').href")
    assert str(icon).endswith("icon-high.svg")


async def test_a_dismissed_badge_is_dismissed_at_the_server_and_the_next_danger_shows(
    page: Browser, servers: Servers
) -> None:
    servers.next_badges = [
        {**ANSWERS["/v1/badges"]["badges"][0], "subject": "other", "value": "SOL 55.0"}
    ]
    await page.run("document.querySelector('#badges .badge').click()")
    await page.until("document.querySelector('#badges .badge b').textContent === 'SOL 55.0'")
    assert servers.dismissed == [{"subject": "near", "level": "LEVEL_HIGH"}]


async def test_the_bar_grows_left_towards_liquidation_and_right_towards_profit(
    page: Browser,
) -> None:
    script = """[...document.querySelectorAll('.bar b')].map(tip => {
        const outer = tip.parentElement.getBoundingClientRect();
        const at = tip.getBoundingClientRect();
        return Math.round(200 * ((at.left + at.right) / 2 - (outer.left + outer.right) / 2)
            / outer.width);
    })"""
    assert await page.run(script) == [-80, 30]
    kinds = "[...document.querySelectorAll('.bar i')].map(bar => bar.className)"
    assert await page.run(kinds) == ["losing", "winning"]


@pytest.mark.parametrize("width", [360, 390, 768, 1400])
async def test_nothing_sticks_out_at_any_width(page: Browser, width: int) -> None:
    await page.size(width, 900)
    wide = """[...document.querySelectorAll('body *')].filter(node =>
        node.getBoundingClientRect().right > innerWidth + 1
        && !node.closest('.scroll, .tickers, .nav') && getComputedStyle(node).position
        !== 'absolute').map(node => node.className || node.tagName)"""
    assert await page.run("document.documentElement.scrollWidth") <= width, await page.run(wide)


async def test_a_cycle_is_run_with_the_keyboard_and_its_steps_are_shown(
    page: Browser, servers: Servers
) -> None:
    await page.run("document.getElementById('theme').focus()")
    await page.key("Tab")
    assert await page.run("document.activeElement.id") == "run"
    await page.key("Enter")
    await page.until(
        "document.getElementById('progress').textContent.includes('succeeded in 100 ms')"
    )
    assert servers.runs == 1


async def test_a_lost_connection_is_said_and_all_figures_are_old(page: Browser) -> None:
    await page.offline(True)
    await page.until("!document.getElementById('lost').hidden")
    assert "Connection lost" in await page.run("document.getElementById('lost').textContent")
    assert "saturate" in await page.run("getComputedStyle(document.querySelector('main')).filter")
    await page.offline(False)
    await page.until("document.getElementById('lost').hidden")


async def test_lost_streams_are_said_tried_later_each_time_and_their_return_is_seen(
    page: Browser, servers: Servers
) -> None:
    said = "document.getElementById('stream-lost')"
    servers.streams = True
    await page.until(f"{said}.hidden")
    servers.streams = False
    await page.until(f"{said}.innerText.startsWith('Live updates are lost since')")
    assert "connecting again at" in await page.run(f"{said}.innerText")
    servers.asked_seconds.clear()
    async with asyncio.timeout(90):
        while len(servers.asked_seconds) < 4:
            await asyncio.sleep(0.1)
    first, _, last = (
        later - earlier for earlier, later in itertools.pairwise(servers.asked_seconds[:4])
    )
    assert last > first + 1
    servers.streams = True
    await page.until(f"{said}.hidden")
    servers.streams = None


async def test_a_service_that_is_down_ages_its_part_only(page: Browser, servers: Servers) -> None:
    servers.down = {"/v1/deliveries"}
    await page.run("document.getElementById('run').click()")
    await page.until("document.getElementById('deliveries-panel').classList.contains('old')")
    assert await page.run("document.querySelectorAll('.old').length") == 1
    assert await page.run("document.querySelectorAll('#deliveries-panel article').length") == 1


async def test_a_price_shows_its_age_and_is_marked_when_it_is_old(
    page: Browser, servers: Servers
) -> None:
    """By the clock of the servers: that of the machine that shows the page may be wrong."""
    true = servers.clock.now().isoformat()
    bad = {"asset": "OLD", "price_usd": 2.0, "quality": "QUALITY_STALE", "price_time": true}
    servers.prices = [bad, bad | {"asset": "SOL", "quality": "QUALITY_GOOD"}]
    await page.ask("Page.reload")
    await page.until(FILLED)
    place = "document.querySelectorAll('.ticker')[{}]"
    for number in range(2):
        await page.until(f"!!{place.format(number)}")
    assert "stale" in await page.run(f"{place.format(0)}.innerText")
    assert "stale" not in await page.run(f"{place.format(1)}.innerText")
    colours = set()
    for seconds, band, words in (
        (60, "green", "1 min"),
        (300, "yellow", "6 min"),
        (14 * 60, "red", "20 min"),
        (3 * 3600, "red", "3 h"),
    ):
        servers.clock.advance(seconds)
        age = f"{place.format(1)}.querySelector('.age')"
        await page.until(
            f"{age}.innerText === {json.dumps(words)} && {age}.classList.contains('band-{band}')"
        )
        assert "SOL" in await page.run(f"{place.format(1)}.innerText")
        colours.add(await page.run(f"getComputedStyle({age}).color"))
    assert len(colours) == 3


async def test_the_history_of_an_alert_is_a_strip_in_which_each_level_is_as_wide_as_it_lasted(
    page: Browser, servers: Servers
) -> None:
    now = datetime.now(UTC)
    entries = [
        {
            "entry_time": (now - timedelta(hours=hours)).isoformat(),
            "level_before": f"LEVEL_{before}",
            "level_after": f"LEVEL_{after}",
            "reason": "CROSSED",
            "actor": MARKUP,
            "inputs_json": "{}",
        }
        for hours, before, after in (
            (1, "HIGH", "NORMAL"),
            (3, "LOW", "HIGH"),
            (4, "NORMAL", "LOW"),
        )
    ]
    servers.more["/v1/ledger"] = {"entries": entries}
    alert = json.dumps(ANSWERS["/v1/alerts"]["alerts"][0])
    await page.run(f"""import('/web/alert_item.js').then(({{ alertItem }}) =>
        document.querySelector('main').replaceChildren(alertItem({alert}, () => {{}})))""")
    await page.run("document.querySelector('main summary').click()")
    await page.until("!!document.querySelector('main .strip')")
    parts = await page.run("""[...document.querySelectorAll('main .strip i')].map(part =>
        [part.className, part.getBoundingClientRect().width, part.title.split(' ')[0]])""")
    assert [(kind, word) for kind, _, word in parts] == [
        (f"level-{level}", level) for level in ("LOW", "HIGH", "NORMAL")
    ]
    low, high, normal = (width for _, width, _ in parts)
    assert high / low == pytest.approx(2, rel=0.05)
    assert normal / low == pytest.approx(1, rel=0.05)
    listed = await page.run("document.querySelector('main ol.changes').innerText")
    assert [line.rpartition(": ")[2] for line in listed.splitlines()] == [
        *("HIGH → NORMAL", "LOW → HIGH", "NORMAL → LOW")
    ]
    label = await page.run("document.querySelector('main .strip').ariaLabel")
    assert label == "Level over the last 3 changes; they are listed below"
    assert page.problems == []


async def test_an_open_page_of_an_older_release_is_opened_anew_when_it_lacks_a_file(
    page: Browser, servers: Servers
) -> None:
    servers.gone = "/pages/logs.js"
    await page.run("window.is_old = true")
    await page.run("document.querySelector('nav a[href=\"/logs\"]').click()")
    await page.until("window.is_old === undefined && location.pathname === '/logs'")
    # Once: what is missing then too is said.
    await page.until("document.querySelector('main')?.innerText.includes('could not be loaded')")


async def test_what_the_environment_decides_of_a_monitor_is_said_beside_it(page: Browser) -> None:
    monitor = {
        "name": "latency",
        "interval": "60s",
        "notification_level": "LEVEL_LOW",
        "snooze": "0s",
        "channels": [],
        "environment": {"interval": "LATENCY_MON_INTERVAL"},
    }
    await page.run(f"""import('/web/monitors/settings.js').then(({{ settings }}) =>
        settings({json.dumps(monitor)}, ['email'], () => {{}}))""")
    field = "document.querySelector('dialog [data-field=interval]').innerText"
    assert "LATENCY_MON_INTERVAL of the environment decides" in await page.run(field)
    assert "decides" not in await page.run(field.replace("interval", "snooze"))
    said = await page.run("document.querySelector('dialog .moved').innerText")
    assert said.startswith("The environment decides interval: what is saved here counts once")


async def test_light_is_a_choice_that_is_remembered(page: Browser) -> None:
    assert await page.run("document.documentElement.dataset.theme") == "dark"
    await page.run("document.getElementById('theme').click()")
    await page.ask("Page.reload")
    await page.until(FILLED)
    assert await page.run("document.documentElement.dataset.theme") == "light"


async def test_the_page_does_not_grow_however_often_it_is_read_anew(page: Browser) -> None:
    await page.ask("Performance.enable")

    async def held(times: int) -> dict[str, float]:
        await page.run(
            "(async () => { const feed = await import('/web/cycle_feed.js');"
            f"for (let time = 0; time < {times}; time++) await feed.refreshAll(); }})()"
        )
        await page.ask("HeapProfiler.collectGarbage")
        told = (await page.ask("Performance.getMetrics"))["metrics"]
        return {one["name"]: one["value"] for one in told}

    first, later = await held(10), await held(60)
    assert later["Nodes"] < first["Nodes"] * 1.3
    assert later["JSEventListeners"] < first["JSEventListeners"] * 1.3
    assert later["JSHeapUsedSize"] < first["JSHeapUsedSize"] * 1.5
