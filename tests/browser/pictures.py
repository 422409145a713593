"""The pictures of README and docs, all by one command: `make pictures`.

Starts the demo in a home of its own, lets its market move, visits each page at a fixed size, and
writes docs. With an address it takes those of the system that runs there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import httpx

from services.cli.certificates import operators
from services.cli.plan import Plan, known_addresses
from shared.tls_files import TlsFiles
from tests.browser import png
from tests.browser.chromium import Browser, found, started
from tests.browser.console import drawn
from tests.browser.known_past import known_past
from tests.browser.made_past import wave_before_the_demo
from tests.browser.visit import LOADED, Visit, sitting
from tests.fakes.webhook import FakeWebhook

DOCS = Path(__file__).resolve().parents[2] / "docs"
LARGEST_BYTES = 150_000
RULE = {
    "asset": "BTC",
    "metric": "RULE_METRIC_MOVE_PERCENT",
    "direction": "RULE_DIRECTION_BOTH",
    "enabled": True,
    "threshold": 5,
    "window": "3600s",
    "recurrence": "RULE_RECURRENCE_RESET",
    "cooldown": "900s",
}
PAST_HOURS = 24
# No folder of this machine in a picture.
_SETTINGS = {"SONIC_BACKUP_HOURS": "0", "WEBHOOK_SECRET": "a-secret-of-pictures-only"}
# Cycles before the first picture: enough for a chart, and for the crash of the demo to begin.
CYCLES = 14
NEAREST, NEWEST = "a.name", "#cycles tbody a"
# File, address (or a link on the page before), width, height, theme.
PICTURES = (
    ("dashboard.png", "/", 1400, 1250, "dark"),
    ("pictures/position.png", NEAREST, 1400, 1250, "dark"),
    ("phone.png", "/", 390, 1100, "light"),
    ("pictures/alerts.png", "/alerts", 1400, 1000, "dark"),
    ("pictures/thresholds.png", "/thresholds", 1400, 1000, "dark"),
    ("pictures/rules.png", "/rules", 1400, 590, "dark"),
    ("pictures/hedges.png", "/hedges", 1400, 900, "dark"),
    ("pictures/monitors.png", "/monitors", 1400, 1000, "dark"),
    ("pictures/deliveries.png", "/deliveries", 1400, 1000, "dark"),
    ("pictures/wallets.png", "/wallets", 1400, 1100, "dark"),
    ("pictures/cycles.png", "/cycles", 1400, 1000, "dark"),
    ("pictures/cycle.png", NEWEST, 1400, 1000, "dark"),
    ("pictures/prices.png", "/prices", 1400, 1250, "dark"),
    ("pictures/portfolio.png", "/portfolio", 1400, 1250, "dark"),
    ("pictures/logs.png", "/logs", 1400, 900, "dark"),
    ("pictures/withdrawals.png", "/withdrawals", 1400, 1400, "dark"),
    ("pictures/sleep.png", "/sleep", 1400, 860, "dark"),
    ("pictures/replay.png", "/replay", 1400, 900, "dark"),
)
# Of a past that is made before them, which no other picture shows.
OF_A_PAST = (("pictures/backtest.png", "/backtest?asset=SOL&distance=12", 1400, 1400, "dark"),)
# Of alarms that were real ones: what happens in the demo is not counted there.
OF_OUTCOMES = (("pictures/scorecard.png", "/scorecard?days=7", 1400, 1500, "dark"),)
REPORT = ("pictures/report.png", "/v1/cycles/latest:report?format=html", 1200, 1150)
CONSOLE = ("pictures/console.png", "Alerts", 1300, 600)
SETTLED = (
    f"{LOADED} && !document.querySelector('.toast, .in-doubt')"
    " && (document.getElementById('worst')?.innerText.length ?? 99) > 20"
    " && (location.pathname !== '/withdrawals' || 4 === document.querySelectorAll("
    "':is(#position, #residual, #distribution, #prices) canvas').length)"
)
# A limit as it is typed: its preview is half of what the page is for.
TYPED = """(() => {
    const input = document.querySelector('[data-id=HEAT_INDEX-POSITION-ABOVE] .limit input');
    if (!input) return;
    input.focus();
    input.value = '5.5';
    input.dispatchEvent(new Event('input', {bubbles: true}));
})()"""
_ASKED = """(() => {
    const limits = %s;
    for (const [name, value] of Object.entries(limits)) {
        const input = document.querySelector(`[data-field=${name}] input`);
        input.value = value;
        input.dispatchEvent(new Event('input', {bubbles: true}));
    }
    document.querySelector('#ask form').requestSubmit();
})()"""
# By picture: what is done on its page, and what is waited for then.
ACTS = {
    # Hours of minutes are empty when the demo has just begun.
    "prices": ("[...document.querySelectorAll('#chart .seg button')].at(2).click()", "true"),
    "thresholds": (TYPED, "document.querySelector('.row-words')?.innerText.includes('Would fire')"),
    "replay": (
        _ASKED % '{"low": 30, "medium": 20, "high": 12}',
        "!!document.querySelector('#verdict tbody tr')",
    ),
    "backtest": (
        _ASKED % '{"low": 9, "medium": 7, "high": 5}',
        "document.querySelectorAll('#strip canvas, #curve canvas').length === 2",
    ),
}


async def _write(browser: Browser, name: str) -> list[str]:
    """The picture by a palette; a line when it is too large for a repository."""
    # Fonts, charts and the last answers.
    await asyncio.sleep(1)
    target = DOCS / name
    await browser.picture(target)
    target.write_bytes(png.smaller(target.read_bytes()))
    size = target.stat().st_size
    print(f"docs/{name}  {size // 1000} kB", flush=True)
    return [f"docs/{name} has {size:,} bytes"] if size > LARGEST_BYTES else []


async def take_pages(
    browser: Browser,
    address: str,
    wanted: frozenset[str],
    judge: Callable[[], Awaitable[object]],
    pictures: Sequence[tuple[str, str, int, int, str]] = PICTURES,
) -> list[str]:
    """Writes the pictures of the dashboard; those that are too large."""
    too_large = []
    for name, place, width, height, theme in pictures:
        stem = Path(name).stem
        if wanted and stem not in wanted:
            continue
        # Without a schedule, what was judged minutes ago is in doubt.
        await judge()
        link = place
        if not place.startswith("/"):
            await browser.show(f"{address}{'/' if place == NEAREST else '/cycles'}")
            await browser.until(f"document.querySelector('{place}') !== null")
            link = await browser.run(f"document.querySelector('{place}').getAttribute('href')")
        await browser.show(f"{address}{link}", width, height)
        await browser.run(f"localStorage.setItem('theme', '{theme}')")
        await browser.show(f"{address}{link}", width, height)
        await browser.until(SETTLED)
        if stem in ACTS:
            act, done = ACTS[stem]
            await browser.run(act)
            await browser.until(done)
        too_large += await _write(browser, name)
    return too_large


async def take_others(
    browser: Browser,
    address: str,
    addresses: Mapping[str, str],
    tls: TlsFiles | None,
    wanted: frozenset[str],
) -> list[str]:
    """Writes those of the report and of the console; those that are too large."""
    too_large = []
    name, place, width, height = REPORT
    if not wanted or "report" in wanted:
        await browser.show(f"{address}{place}", width, height)
        await browser.until("document.querySelector('table') !== null")
        too_large += await _write(browser, name)
    name, place, width, height = CONSOLE
    if not wanted or "console" in wanted:
        drawing = await drawn(addresses, tls, place)
        await browser.show("about:blank", width, height)
        await browser.run(
            f"document.body.innerHTML = {json.dumps(drawing)};"
            "document.body.style = 'margin: 0; background: #0a0d13'; 0"
        )
        too_large += await _write(browser, name)
    return too_large


async def _give_a_past(visit: Visit) -> None:
    """What the demo would have been worth at each hour of its market: it has just begun."""
    held = (await visit.get("/v1/positions?page_size=500"))["positions"]
    worth: dict[str, float] = {}
    for one in held:
        path = f"/v1/prices/{one['asset']}/candles?page_size={PAST_HOURS}"
        sign = 1 if one["side"] == "SIDE_LONG" else -1
        for candle in (await visit.get(path))["candles"]:
            moved = candle["close_usd"] / one["entry_price_usd"] - 1
            value = one["collateral_usd"] + sign * one["size_usd"] * moved
            time = candle["start_time"]
            worth[time] = worth.get(time, 0) + value
    collateral = sum(one["collateral_usd"] for one in held)
    for time, value in sorted(worth.items())[:-1]:
        totals = {"total_value_usd": value, "total_collateral_usd": collateral}
        await visit.post("/v1/snapshots", {"snapshot_time": time, "totals": totals})


async def _as_it_is() -> None:
    """A system that runs judges when it does, and has the past it has."""


async def _of_one_that_runs(path: str, address: str, wanted: frozenset[str]) -> list[str]:
    addresses: Mapping[str, str] = known_addresses(Plan())
    async with started(path) as browser:
        too_large = await take_pages(browser, address, wanted, _as_it_is)
        too_large += await take_others(browser, address, addresses, Plan().tls, wanted)
        return too_large + await take_pages(
            browser, address, wanted, _as_it_is, OF_A_PAST + OF_OUTCOMES
        )


async def _of_the_demo(home: Path, wanted: frozenset[str]) -> list[str]:
    async with FakeWebhook() as webhook:
        settings = {**_SETTINGS, "WEBHOOK_URL": webhook.url}
        async with sitting(home, settings) as visit:
            browser, address = visit.page, str(visit.web.base_url).rstrip("/")
            judge = partial(visit.post, "/v1/cycles:run", {})
            await visit.post("/v1/rules", RULE)
            await _give_a_past(visit)
            for _ in range(CYCLES):
                await judge()
            too_large = await take_pages(browser, address, wanted, judge)
            too_large += await take_others(
                browser, address, visit.running.addresses, operators(home / "tls"), wanted
            )
            if _are_wanted(OF_A_PAST, wanted):
                await wave_before_the_demo(visit)
                too_large += await take_pages(browser, address, wanted, judge, OF_A_PAST)
            return too_large


async def _of_outcomes(home: Path) -> list[str]:
    async with known_past(home) as (visit, judge):
        address = str(visit.web.base_url).rstrip("/")
        return await take_pages(visit.page, address, frozenset(), judge, OF_OUTCOMES)


def _are_wanted(pictures: Sequence[tuple[str, str, int, int, str]], wanted: frozenset[str]) -> bool:
    return not wanted or bool(wanted & {Path(name).stem for name, *_ in pictures})


async def main(address: str, wanted: frozenset[str]) -> int:
    """Exit code 1 when there is no browser, or a picture is too large."""
    path = found()
    if path is None:
        print("no Chromium on this machine: no pictures")
        return 1
    too_large = []
    home = Path(tempfile.mkdtemp(prefix="sonic-pictures-"))
    home.chmod(0o711)
    try:
        if address:
            too_large = await _of_one_that_runs(path, address, wanted)
        else:
            outcomes = {Path(name).stem for name, *_ in OF_OUTCOMES}
            if not wanted or wanted - outcomes:
                too_large += await _of_the_demo(home, wanted)
            if _are_wanted(OF_OUTCOMES, wanted):
                too_large += await _of_outcomes(home / "known")
    except httpx.HTTPError as error:
        print(f"the system does not answer: {error!r}")
        return 1
    finally:
        shutil.rmtree(home, ignore_errors=True)
    for line in too_large:
        print(line)
    return 1 if too_large else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only these pictures, e.g. thresholds")
    parser.add_argument("--address", default="", help="of a system that runs")
    given = parser.parse_args()
    raise SystemExit(asyncio.run(main(given.address.rstrip("/"), frozenset(given.names))))
