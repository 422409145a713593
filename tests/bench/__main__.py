"""`make bench`: what the system costs, each figure beside its floor or its rival, in one run here.

Numbers of different runs and machines do not compare; the ratios do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from services.cli import database, system
from services.cli.plan import Plan
from tests.bench import alerts, cycles, floor, notifications, prometheus, reads, sync
from tests.bench.measure import Figure

console = Console(width=118)


async def main() -> None:
    """Measure, print, and leave nothing behind."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="sonic-bench-") as folder:
        home = Path(folder)
        home.chmod(0o711)
        # No schedule and no providers: what is measured is the system itself.
        os.environ |= {
            "SONIC_HOME": folder,
            "SONIC_SCHEDULE": "0",
            "SONIC_PORT_BASE": "53050",
            "LOG_LEVEL": "WARNING",
        }
        figures = await _measure(Plan(sonic_http_port=53080), options)
    if options.json:
        print(json.dumps([figure.as_dict() for figure in figures], indent=2))
    else:
        _show(figures, options)


async def _measure(plan: Plan, options: argparse.Namespace) -> list[Figure]:
    figures: list[Figure] = []
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(database.opened(plan))
        urls = await database.prepare(opened, plan.home)
        forks = await stack.enter_async_context(system.forking())
        addresses = await stack.enter_async_context(
            system.in_processes(plan, urls, _progress, forks)
        )
        for count in options.sizes:
            _progress(f"{count} positions")
            await cycles.fill(addresses, count)
            taken = await cycles.run(
                addresses, warm=3, counted=options.cycles if count <= 1000 else 7
            )
            figures += cycles.figures(count, taken, await floor.measure(opened.url, count))
        if options.reads:
            _progress("reads")
            figures += await reads.measure(addresses["positions"], options.reads)
        evaluations = await _evaluations(addresses, opened.url, options.alerts)
        if options.sync:
            # Last: it works at the tables, past the server that knows what it wrote there.
            _progress(f"sync of {options.sync} positions")
            figures += await sync.measure(urls["positions"], opened.url, options.sync)
    # The system is down: a rival, and what is measured beside it, has the machine for itself.
    if evaluations is not None:
        figures += await _beside_prometheus(evaluations, options.alerts)
    if options.notifications:
        _progress("notifications")
        figures += await notifications.measure(plan.home, options.notifications, _progress)
    return figures


async def _evaluations(
    addresses: Mapping[str, str], url: str, count: int
) -> alerts.Evaluations | None:
    if not count:
        return None
    _progress(f"alerts of {count} positions")
    return await alerts.measure(addresses, url, count)


async def _beside_prometheus(ours: alerts.Evaluations, count: int) -> list[Figure]:
    _progress("Prometheus")
    theirs = await prometheus.measure(count)
    _progress(prometheus.ABSENT if theirs is None else prometheus.COUNTED)
    return [*ours.figures(), *([] if theirs is None else theirs.figures(ours))]


# Parts that can be left out with 0, and how many of what each takes.
_PARTS = {
    "reads": (2000, "counted reads"),
    "sync": (100_000, "positions synced and enriched"),
    "alerts": (100_000, "positions of the bulk evaluation of alerts"),
    "notifications": (1000, "notifications of each of three rounds"),
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=__doc__)
    parser.add_argument(
        "--sizes",
        type=lambda text: [int(size) for size in text.split(",") if size],
        default=[100, 10_000],
    )
    parser.add_argument("--cycles", type=int, default=30, help="counted cycles at small sizes")
    for name, (count, what) in _PARTS.items():
        parser.add_argument(f"--{name}", type=int, default=count, help=f"{what}; 0: without")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def _progress(line: str) -> None:
    print(f"  {line}", file=sys.stderr)


def _show(figures: list[Figure], options: argparse.Namespace) -> None:
    made = Table(
        title=f"bench on {platform.machine()}, {os.cpu_count()} cores", title_justify="left"
    )
    for name in ("what", "p50", "p90", "p99", "beside", "ratio p50", "ratio p99", "goal"):
        made.add_column(name, justify="left" if name in ("what", "beside", "goal") else "right")
    for figure in figures:
        made.add_row(*figure.cells())
    console.print(made)
    parts = " ".join(f"--{name} {getattr(options, name)}" for name in _PARTS)
    sizes = ",".join(map(str, options.sizes))
    console.print(f"make bench ARGS='--sizes {sizes} --cycles {options.cycles} {parts}'")


if __name__ == "__main__":
    asyncio.run(main())
