"""`make bench`: what the system costs, every goal beside its reference, in one run here.

Numbers of different runs and machines do not compare; the ratios do.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console

from tests.bench import (
    growth,
    large,
    looking_back,
    notifications,
    page,
    past,
    prometheus,
    starting,
    withdrawals,
)
from tests.bench.figures import Figure
from tests.bench.goals import chosen, in_order
from tests.bench.judging import Evaluations
from tests.bench.running import Options, Run, machine, say

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
console = Console(width=150)


async def main(arguments: Sequence[str]) -> int:
    """Measure, print, and leave nothing behind but the page when it was asked for; the exit code.

    Ctrl-C or SIGTERM ends the run and prints what it has found by then.
    """
    parser = _parser()
    asked = parser.parse_args(arguments)
    try:
        goals = chosen(asked.only)
    except ValueError as error:
        parser.error(str(error))
    options = Options(
        asked.size,
        asked.cycles,
        asked.notifications,
        asked.idle,
        asked.seed,
        full=asked.full,
        crash_share=asked.crash,
    )
    with tempfile.TemporaryDirectory(prefix="sonic-bench-") as folder:
        home = Path(folder)
        home.chmod(0o711)
        run = Run(options, goals, home)
        # What servers in this process log is no part of the result.
        with contextlib.redirect_stdout(sys.stderr):
            measuring = asyncio.create_task(_measure(run))
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, _end, run, measuring)
            await asyncio.wait({measuring})
    _tell(run, asked, arguments)
    if run.is_ended:
        say("the run was ended before its time")
        return 1
    await measuring
    return 0


def _end(run: Run, measuring: asyncio.Task[None]) -> None:
    run.is_ended = True
    measuring.cancel()


def _tell(run: Run, asked: argparse.Namespace, arguments: Sequence[str]) -> None:
    figures = in_order(run.figures, run.wanted)
    if asked.json:
        print(json.dumps([figure.as_dict() for figure in figures], indent=2))
    else:
        console.print(page.table(figures, f"bench on {machine()}"))
        console.print(page.summary(figures), page.command(*arguments), sep="\n")
    if asked.write:
        when = f"{datetime.now(UTC):%d %B %Y}"
        PAGE.write_text(page.markdown(figures, _settings(asked), machine(), when))


def _settings(asked: argparse.Namespace) -> str:
    """What was asked for otherwise than by default and changes the figures."""
    default = Options()
    said = {
        "size": default.size,
        "cycles": default.cycles,
        "notifications": default.notifications,
        "idle": default.idle_seconds,
        "seed": default.seed,
        "crash": default.crash_share,
    }
    words = [
        f"--{name} {str(getattr(asked, name)).removesuffix('.0')}"
        for name, usual in said.items()
        if getattr(asked, name) != usual
    ]
    return " ".join([*words, *(["--full"] if asked.full else [])])


async def _measure(run: Run) -> None:
    """One system after the other: a rival has the machine for itself."""
    options = run.options
    evaluations = None
    if run.wants(*large.GOALS):
        say("the system, every server a process")
        try:
            evaluations = await large.measure(run)
        except Exception as error:  # noqa: BLE001  what else is wanted can still be measured
            run.fail([goal for goal in large.GOALS if run.wants(goal)], error)
    if evaluations is not None:
        await run.part("G4", "Prometheus", partial(_g4, evaluations, options))
    await run.part("G16", "growth", partial(growth.measure, run))
    await run.part("G11 G12", "starting, and idling", partial(starting.measure, run))
    await run.part(
        "G10",
        "notifications",
        partial(notifications.measure, run.home, options.notifications, say),
    )
    await run.part("G18", "withdrawals", partial(withdrawals.measure, run))
    await run.part("G19", "the recorder", partial(past.recorder, run))
    await run.part("G20", "a backtest", partial(past.backtest, run))
    await run.part("G21", "looking back", partial(looking_back.looking_back, run))


async def _g4(ours: Evaluations, options: Options) -> list[Figure]:
    theirs = await prometheus.measure(options.size, options.seed)
    return prometheus.alone(ours) if theirs is None else theirs.figures(ours)


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
    add(
        "--crash",
        type=_share,
        default=default.crash_share,
        help="share of the positions that change their level in a crash (G7); 1: all",
    )
    add("--full", action="store_true", help="ten times the large size too (G5, G17)")
    add("--json", action="store_true", help="print JSON")
    add("--write", action="store_true", help="make docs/performance.md of this run")
    return parser


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most 1")
    return share


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
