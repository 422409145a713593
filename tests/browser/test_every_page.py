"""Every page in both themes and on a phone: nothing sticks out, and it can be used without eyes.
Needs a Chromium; without one it is skipped, and counted so.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from services.gateway.pages import PAGES
from tests.browser.visit import LOADED, NEEDS_BROWSER, PAST, Visit, servers

__all__ = ["servers"]

VENDOR = Path(__file__).parent / "vendor"
WIDTHS = (700, 390, 360)
# A window of 1280 at a zoom of 200 %.
ZOOMED = (640, 512, 2.0)
# What folds is looked into.
_UNFOLD = (
    "document.querySelectorAll('main details:not([open]) > summary').forEach(one => one.click())"
)
_TOO_WIDE = """[...document.querySelectorAll('body *')].filter(node =>
    node.getBoundingClientRect().right > innerWidth + 1
    && !node.closest('.scroll, .nav, .tickers'))
    .map(node => node.className || node.tagName).slice(0, 6)"""
_AXE = """axe.run().then(told => told.violations
    .filter(one => ['serious', 'critical'].includes(one.impact))
    .map(one => [one.id, one.nodes.length, one.nodes.slice(0, 4).map(node => node.html)]))"""

pytestmark = NEEDS_BROWSER


async def _seen(servers: Visit) -> list[Any]:
    """What is serious for who cannot see, of a page that is connected: one that is not is pale."""
    connected = "!document.body.classList.contains('disconnected')"
    while True:
        await servers.page.until(connected)
        told: list[Any] = await servers.page.run(_AXE)
        if await servers.page.run(connected):
            return told


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_can_be_used_without_eyes_and_fits_a_phone(servers: Visit, path: str) -> None:
    page = await servers.show(await servers.address(path))
    await page.run(_UNFOLD)
    await page.until(LOADED)
    assert await page.run("document.querySelectorAll('h1').length") == 1
    problems: list[Any] = []
    await page.run(f"{(VENDOR / 'axe.min.js').read_text()};0")
    for width in (1400, *WIDTHS):
        await page.size(width, 844)
        scrolled = await page.run("document.documentElement.scrollWidth")
        if scrolled > width:
            problems.append((width, scrolled, await page.run(_TOO_WIDE)))
        if width == 700:
            continue
        for theme in ("dark", "light"):
            if await page.run("document.documentElement.dataset.theme") != theme:
                await page.run("document.getElementById('theme').click()")
            problems += [(width, theme, *one) for one in await _seen(servers)]
    await page.size(*ZOOMED)
    assert await page.run("devicePixelRatio") == 2
    if await page.run("document.documentElement.scrollWidth") > ZOOMED[0]:
        problems.append(("zoomed", await page.run(_TOO_WIDE)))
    assert problems == []
    assert page.problems == []


async def test_a_page_that_lost_its_connection_can_still_be_read_in_both_themes(
    servers: Visit,
) -> None:
    page = await servers.show("/")
    await page.run(f"{(VENDOR / 'axe.min.js').read_text()};0")
    await page.offline(True)
    try:
        await page.until("document.body.classList.contains('disconnected')")
        for _ in range(2):
            assert await page.run(_AXE) == []
            await page.run("document.getElementById('theme').click()")
        assert "Connection lost" in await servers.text("#lost")
    finally:
        await page.offline(False)


async def test_a_chart_of_one_point_is_about_that_point(servers: Visit) -> None:
    page = await servers.show("/")
    await page.run("""(async () => {
        const { draw } = await import('/web/charts.js');
        const place = document.createElement('div');
        place.className = 'chart';
        place.id = 'alone';
        document.querySelector('main').append(place);
        const Plot = window.uPlot;
        window.uPlot = function (...given) { return (window.alone = new Plot(...given)); };
        Object.assign(window.uPlot, Plot);
        draw(place, { at: [1790000000], lines: [{ label: 'x', values: [5], colour: 'accent' }] });
        window.uPlot = Plot;
    })()""")
    await page.until("!!window.alone?.scales.x.max")
    ends = await page.run("[window.alone.scales.x.min, window.alone.scales.x.max]")
    assert ends == [1790000000 - 3600, 1790000000 + 3600]


async def test_the_chance_of_a_position_is_drawn_by_the_hour_and_over_no_gap(
    servers: Visit,
) -> None:
    page = await servers.show("/logs")
    said = await servers.get(f"/v1/positions/{PAST}/touchProbabilities")
    assert set(said) <= {"probabilities", "next_page_token"}
    await page.run("""(async () => {
        const { probabilityHistory } = await import('/web/position_probability.js');
        const [real, Plot] = [window.fetch, window.uPlot];
        const hour = 1790000000;
        const said = [[5, 0.25], [4, 0.5], [1, 0.125]].map(([at, probability]) => ({
            probability, stated_time: new Date(1000 * (hour + 3600 * at)).toISOString() }));
        window.fetch = async (path, ...rest) => path.includes('touchProbabilities')
            ? new Response(JSON.stringify({ probabilities: said })) : real(path, ...rest);
        window.uPlot = function (...given) { return (window.drawn = new Plot(...given)); };
        Object.assign(window.uPlot, Plot);
        const enriched_time = new Date(1000 * (hour + 3600 * 5.5)).toISOString();
        const now = async () => ({ liquidation_probability: 0.75, enriched_time });
        const part = probabilityHistory('x', now);
        document.querySelector('main').append(part.node);
        window.ended = () => (part.stop(), (window.fetch = real), (window.uPlot = Plot));
    })()""")
    await page.until("!!window.drawn")
    hours = "window.drawn.data[0].map(at => (at - 1790000000) / 3600)"
    assert await page.run(hours) == [1, 2, 4, 5, 5.5]
    # An hour of which nothing is known is null: the line is broken there.
    assert await page.run("window.drawn.data[1]") == [12.5, None, 50, 25, 75]
    words = await servers.text("#probability-panel .head")
    assert "now 75.00 %, highest 75.00 % on" in words
    await page.run("window.ended()")


async def test_by_what_people_are_told_stands_clear_of_the_pages(servers: Visit) -> None:
    page = await servers.show("/")
    await page.until("document.getElementById('ways').innerText !== ''")
    for width in range(1300, 1801, 50):
        await page.size(width, 900)
        gap, below, cut = await page.run("""(() => {
            const box = node => node.getBoundingClientRect();
            const [nav, ways] = [document.getElementById('nav'), document.getElementById('ways')];
            return [box(ways).left - box(nav.lastElementChild).right,
                box(ways).top - box(nav).bottom, nav.scrollWidth - nav.clientWidth];
        })()""")
        assert cut == 0 and (gap >= 16 or below >= 0), (width, gap, below, cut)


def test_what_is_kept_of_others_is_as_it_came() -> None:
    row = re.compile(r"^\| (\S+) \| \S+ \| ([0-9a-f]{64}) \|$", re.MULTILINE)
    listed = row.findall((VENDOR / "README.md").read_text())
    assert len(listed) == 2
    for name, digest in listed:
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest


async def test_streams_are_shown_as_they_stand_with_the_reason(servers: Visit) -> None:
    page = await servers.show("/cycles")
    await servers.says("#streams", "SONIC_STREAMS=1")
    # What failed while another test had no connection is of that one.
    page.problems.clear()
    await page.run("""(async () => {
        const { streams } = await import('/web/cycles/streams.js');
        const { panel } = await import('/web/states.js');
        const real = window.fetch;
        const since_time = new Date(Date.now() - 3 * 3600 * 1000).toISOString();
        const said = { enabled: true, streams: [
            { name: 'pyth', service: 'price', state: 'STREAM_STATE_CONNECTED', since_time },
            { name: 'dydx', service: 'positions', state: 'STREAM_STATE_RECONNECTING', since_time,
              reason: 'HTTP_503' }] };
        window.fetch = async (path, ...rest) => path.includes('/v1/streams')
            ? new Response(JSON.stringify(said)) : real(path, ...rest);
        const part = panel('Streams', { id: 'made-streams' });
        document.querySelector('main').append(part.node);
        const kept = streams(part);
        window.ended = () => (kept.stop(), part.node.remove(), (window.fetch = real));
    })()""")
    await page.until("!!document.querySelector('[data-stream=dydx]')")
    assert "CONNECTED 3 h" in " ".join((await servers.text("[data-stream=pyth]")).split())
    dydx = await servers.text("[data-stream=dydx]")
    assert "RECONNECTING" in dydx and "HTTP_503" in dydx
    await page.run("window.ended()")
    assert page.problems == []
