"""`make bench`: what a cycle, a read and a notification cost, each beside its floor, in one run.

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
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from services.cli import database, house
from services.cli.plan import Plan
from tests.bench import cycles, floor, notifications, reads
from tests.bench.measure import Figure

console = Console(width=118)


async def main() -> None:
    """Measure, print, and leave nothing behind."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="sonic-bench-") as folder:
        home = Path(folder)
        home.chmod(0o711)
        # No schedule and no providers: what is measured is the house itself.
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
        url = await stack.enter_async_context(database.administrator_url(plan))
        urls = await database.prepare(url, plan.home)
        addresses = await stack.enter_async_context(house.in_processes(plan, urls, _progress))
        for count in options.sizes:
            _progress(f"{count} positions")
            await cycles.fill(addresses, count)
            taken = await cycles.run(addresses, warm=3, counted=options.cycles if count <= 1000 else 7)
            figures += cycles.figures(count, taken, await floor.measure(url, count))
        _progress("reads")
        figures += await reads.measure(addresses["positions"], options.reads)
    # The house is down: what is measured has the machine for itself.
    _progress("notifications")
    figures += await notifications.measure(plan.home, options.notifications, _progress)
    return figures


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=__doc__)
    parser.add_argument(
        "--sizes", type=lambda text: [int(size) for size in text.split(",")], default=[100, 10_000]
    )
    parser.add_argument("--cycles", type=int, default=30, help="counted cycles at small sizes")
    parser.add_argument("--reads", type=int, default=2000, help="counted reads")
    parser.add_argument("--notifications", type=int, default=1000, help="of each of three rounds")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def _progress(line: str) -> None:
    print(f"  {line}", file=sys.stderr)


def _show(figures: list[Figure], options: argparse.Namespace) -> None:
    made = Table(title=f"bench on {platform.machine()}, {os.cpu_count()} cores", title_justify="left")
    for name in ("what", "p50", "p90", "p99", "beside", "ratio p50", "ratio p99", "goal"):
        made.add_column(name, justify="left" if name in ("what", "beside", "goal") else "right")
    for figure in figures:
        made.add_row(*figure.cells())
    console.print(made)
    sizes = ",".join(map(str, options.sizes))
    counts = f"--cycles {options.cycles} --reads {options.reads} --notifications {options.notifications}"
    console.print(f"make bench ARGS='--sizes {sizes} {counts}'")


if __name__ == "__main__":
    asyncio.run(main())
