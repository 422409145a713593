"""The overview over thousands of positions: when it is there, and whether it grows.

`make overview` on an idle machine: times of a busy one say nothing. Ends with 1 when the median
time until the first paint, or until the nearest positions are shown, is above its goal, or when
the page has grown.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.cli.certificates import operators
from tests.bench import cycles
from tests.browser.chromium import found
from tests.browser.visit import LOADED, Visit, sitting

GOALS_MS = {"first paint": 1000.0, "nearest positions": 1500.0}
# Of what is held after the first quarter of the cycles.
GROWTH_RATIO = 1.15
_SMALL = 100
_WARM_CYCLES = 5
_LOOKS = 4
_GROWS = ("JSHeapUsedSize", "Nodes", "JSEventListeners")
# When the first row of positions stood there, by the clock that began with the visit.
_WATCH = """new MutationObserver((_, looking) => {
    if (!document.querySelector('#positions-panel tbody tr')) return;
    window.rowsMs = performance.now();
    looking.disconnect();
}).observe(document, {childList: true, subtree: true})"""
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


async def paints(visit: Visit, count: int) -> Mapping[str, list[float]]:
    """Milliseconds of each visit, of a browser that has its files: first paint, first rows."""
    taken: dict[str, list[float]] = {"first paint": [], "nearest positions": []}
    await visit.show("/")
    for _ in range(count):
        # What was judged a while ago is in doubt, which is not what is measured.
        await visit.post("/v1/cycles:run", {"steps": ["NOTIFY"]})
        page = await visit.show("/")
        taken["nearest positions"].append(float(await page.until("window.rowsMs")))
        taken["first paint"].append(float(await page.until(_PAINT)))
    return taken


async def held(visit: Visit, count: int) -> list[dict[str, float]]:
    """What the page holds, after each quarter of so many whole cycles that it followed."""
    page = await visit.show("/")
    await page.ask("Performance.enable")
    looks = []
    for number in range(_WARM_CYCLES + count):
        await visit.post("/v1/cycles:run", {})
        await page.run("import('/web/cycle_feed.js').then(feed => feed.refreshAll())")
        done = number + 1 - _WARM_CYCLES
        if done > 0 and done * _LOOKS // count > (done - 1) * _LOOKS // count:
            await page.until(LOADED)
            await page.ask("HeapProfiler.collectGarbage")
            told = (await page.ask("Performance.getMetrics"))["metrics"]
            looks.append({one["name"]: float(one["value"]) for one in told})
    return looks


def slow(taken: Mapping[str, Sequence[float]]) -> list[str]:
    """The goals that are missed."""
    return [
        f"{name} within {goal:.0f} ms"
        for name, goal in GOALS_MS.items()
        if statistics.median(taken[name]) > goal
    ]


def grown(looks: Sequence[Mapping[str, float]]) -> list[str]:
    """What is more at the end than after the first quarter."""
    first, last = looks[0], looks[-1]
    return [name for name in _GROWS if last[name] > first[name] * GROWTH_RATIO]


def _tell(positions: int, taken: Mapping[str, Sequence[float]]) -> None:
    for name, times in taken.items():
        middle, worst = statistics.median(times), max(times)
        print(f"{positions:>7,} positions  {name:<18} {middle:6.0f} ms, worst {worst:.0f} ms")


async def main(positions: int, visits: int, count: int) -> int:
    """The exit code."""
    if found() is None:
        print("no Chromium on this machine: nothing is measured")
        return 1
    home = Path(tempfile.mkdtemp(prefix="sonic-overview-"))
    home.chmod(0o711)
    try:
        async with sitting(home, {}) as visit:
            await visit.show("/")
            await visit.page.ask("Page.addScriptToEvaluateOnNewDocument", source=_WATCH)
            taken: Mapping[str, list[float]] = {}
            # The small one is the reference: it was the same machine, at the same time.
            for size in (_SMALL, positions):
                tls = operators(home / "tls")
                await cycles.fill(visit.running.addresses, size, tls=tls)
                await cycles.run(visit.running.addresses, warm=2, counted=1, tls=tls)
                taken = await paints(visit, visits)
                _tell(size, taken)
            looks = await held(visit, count)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    for name in _GROWS:
        seen = ", ".join(f"{look[name]:,.0f}" for look in looks)
        print(f"{name:<18} after each quarter of {count} cycles: {seen}")
    if missed := slow(taken):
        print(f"MISSED: {', '.join(missed)}")
    if more := grown(looks):
        print(f"GREW: {', '.join(more)}")
    return 1 if missed or more else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--positions", type=int, default=5000)
    parser.add_argument("--visits", type=int, default=15)
    parser.add_argument("--cycles", type=int, default=200, help="at least 4")
    given = parser.parse_args()
    raise SystemExit(asyncio.run(main(given.positions, given.visits, max(given.cycles, _LOOKS))))
