"""`sonic up` until it is ready, and what it costs when it has nothing to do but its schedule."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil

from tests.bench import footprint
from tests.bench.figures import Figure, Limit
from tests.bench.running import Run, say
from tests.fakes.ports import free_settings

_COMMAND = [sys.executable, "-m", "services.cli.main", "up"]
_ONE_PROCESS = "--one-process"
_READY = b"Ready."
_STARTS = 3
_START_SECONDS = 120.0
# After a start, until its first cycle is over and nothing is loaded any more.
_SETTLE_SECONDS = 20.0


async def measure(run: Run) -> list[Figure]:
    """G11 and G12: the demo, on its schedule; the first start of all is not counted."""
    home = run.home / "starting"
    starts_ms: list[float] = []
    figures: list[Figure] = []
    async with up(home):
        pass
    for number in range(_STARTS):
        async with up(home) as (process, taken_ms):
            starts_ms.append(taken_ms)
            if number == _STARTS - 1 and run.wants("G11"):
                figures += await _idle(process, home, run.options.idle_seconds)
    async with up(home, _ONE_PROCESS) as (process, one_ms):
        if run.wants("G11"):
            await asyncio.sleep(min(_SETTLE_SECONDS, run.options.idle_seconds))
            figures.append(_memory("in one process", process, 120))
    return [
        *(figures if run.wants("G11") else []),
        Figure(
            "G12",
            "as processes",
            [ms / 1000 for ms in starts_ms],
            unit="s",
            limit=Limit(2, of_ratio=False),
        ),
        Figure("G12", "as one process", [one_ms / 1000], unit="s"),
    ]


@asynccontextmanager
async def up(home: Path, *options: str) -> AsyncIterator[tuple[psutil.Process, float]]:
    """`sonic up` while the block runs: its process, and milliseconds until it said Ready."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SONIC_")},
        **free_settings(),
        "SONIC_HOME": str(home),
        "PYTHONUNBUFFERED": "1",
    }
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *_COMMAND, *options, env=environ, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(_START_SECONDS):
            while _READY not in (line := await process.stdout.readline()):
                assert line, "sonic up ended before it was ready"
        taken_ms = (time.perf_counter() - began) * 1000
        yield psutil.Process(process.pid), taken_ms
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


async def _idle(process: psutil.Process, home: Path, seconds: float) -> list[Figure]:
    await asyncio.sleep(min(_SETTLE_SECONDS, seconds))
    say(f"  {seconds:.0f} s of nothing but the schedule")
    everything = [process, footprint.postmaster(home)]
    before, began = footprint.cpu_seconds(everything), time.monotonic()
    await asyncio.sleep(seconds)
    spent = footprint.cpu_seconds(everything) - before
    percent = 100 * spent / (time.monotonic() - began)
    return [
        Figure(
            "G11",
            f"CPU of everything, Postgres too, over {seconds:.0f} s",
            [percent],
            unit="% of a core",
            limit=Limit(1, of_ratio=False),
        ),
        _memory("as processes", process, 250),
    ]


def _memory(what: str, process: psutil.Process, most: float) -> Figure:
    found = pythons([process, *process.children(recursive=True)])
    megabytes = footprint.memory_bytes(found) / 1e6
    return Figure(
        "G11",
        f"memory of Python, {what}",
        [megabytes],
        unit="MB",
        limit=Limit(most, of_ratio=False),
        note=f"{len(found)} processes, what they share counted once (PSS)",
    )


def pythons(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """All but Postgres."""
    return [one for one in processes if not one.name().startswith("postgres")]
