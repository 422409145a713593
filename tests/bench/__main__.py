"""`make bench`: what the system costs, every goal beside its reference, in one run here.

Numbers of different runs and machines do not compare; the ratios do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shlex
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console

from tests.bench import growth, large, notifications, page, profile, prometheus, starting
from tests.bench.figures import Figure
from tests.bench.goals import GOALS, chosen, in_order
from tests.bench.running import Options, Run, say

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
console = Console(width=150)


async def main(arguments: Sequence[str]) -> None:
    """Measure, print, and leave nothing behind but the page when it was asked for."""
    asked = _parser().parse_args(arguments)
    options = Options(
        asked.size, asked.cycles, asked.notifications, asked.idle, asked.seed, full=asked.full
    )
    wanted = [*chosen(asked.only), profile.GOAL] if asked.profile else chosen(asked.only)
    with tempfile.TemporaryDirectory(prefix="sonic-bench-") as folder:
        home = Path(folder)
        home.chmod(0o711)
        run = Run(options, wanted, home)
        await _measure(run)
    figures = _ordered(run)
    command = f"make bench ARGS={shlex.quote(shlex.join(arguments))}" if arguments else "make bench"
    if asked.json:
        print(json.dumps([figure.as_dict() for figure in figures], indent=2))
    else:
        console.print(page.table(figures, f"bench on {_machine()}"))
        console.print(page.summary(figures), command, sep="\n")
    if asked.write:
        when = f"{datetime.now(UTC):%d %B %Y}"
        PAGE.write_text(page.markdown(figures, command, _machine(), when))


async def _measure(run: Run) -> None:
    """One system after the other: a rival has the machine for itself."""
    options = run.options
    evaluations = None
    if run.wants(*large.GOALS):
        say("the system, every server a process")
        try:
            evaluations = await large.measure(run)
        except Exception as error:  # noqa: BLE001  what else is wanted can still be measured
            say(f"  failed: {error!r}")
    if evaluations is not None:
        await run.part("G4", "Prometheus", partial(_g4, evaluations, options))
    await run.part("G16", "growth", partial(growth.measure, run))
    await run.part("G11 G12", "starting, and idling", partial(starting.measure, run))
    await run.part(
        "G10",
        "notifications",
        partial(notifications.measure, run.home, options.notifications, say),
    )
    await run.part(profile.GOAL, "functions", partial(profile.functions, run))


async def _g4(ours: large.Evaluations, options: Options) -> list[Figure]:
    theirs = await prometheus.measure(options.size, options.seed)
    return prometheus.alone(ours) if theirs is None else theirs.figures(ours)


def _ordered(run: Run) -> list[Figure]:
    """By goal, the profile last."""
    kept = in_order(
        [one for one in run.figures if one.goal in GOALS], [g for g in run.wanted if g in GOALS]
    )
    return [*kept, *(one for one in run.figures if one.goal == profile.GOAL)]


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _parser() -> argparse.ArgumentParser:
    default = Options()
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=__doc__)
    add = parser.add_argument
    add("--only", default="", help="goals, e.g. G6,G7; all without it")
    add("--size", type=int, default=default.size, help="positions of the large parts")
    add("--cycles", type=int, default=default.cycles, help="counted cycles at small sizes")
    add("--notifications", type=int, default=default.notifications, help="in each of three rounds")
    add("--idle", type=float, default=default.idle_seconds, help="seconds of doing nothing")
    add("--seed", type=int, default=default.seed, help="makes the positions")
    add("--full", action="store_true", help="ten times the large size too (G5, G17)")
    add("--profile", action="store_true", help="where cycles spend their time")
    add("--json", action="store_true", help="print JSON")
    add("--write", action="store_true", help="make docs/performance.md of this run")
    return parser


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
