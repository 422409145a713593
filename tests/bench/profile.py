"""Where a cycle spends its time: by step on the clock, by process on the CPU, by function.

The first two are of the running system and cost nothing. The third runs every server in this
process under cProfile, which slows Python and not SQL: shares compare, times do not.
"""

from __future__ import annotations

import cProfile
import pstats
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import psutil
from sonic.cyclone.v1 import cyclone_pb2

from services.cli import database, system
from services.cli.connection import System, connected
from services.cli.plan import SERVICES, Plan
from shared.database.address import plain
from tests.bench import crash, cycles, footprint, notifications_receiver
from tests.bench.figures import Figure
from tests.bench.judging import Judging
from tests.bench.running import Run, environment, say

if TYPE_CHECKING:
    from tests.bench.large import Large

GOAL = "PROFILE"
_CYCLES = 10
_MOST_LINES = 12
_WAITING = ("'poll' of 'select", "select.select", "'acquire' of '_thread")
# File, line and name of a function.
Place = tuple[str, int, str]
_BACKENDS = "select pid, usename from pg_stat_activity where backend_type = 'client backend'"
_LIBRARY = re.compile(r"/site-packages/([^/]+)/")
_OURS = re.compile(r"/(services/\w+|shared/\w+|protos/stubs)")


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds of a service: in its own process, and in its connections to Postgres."""

    python: float
    sql: float


async def processes(large: Large) -> list[Figure]:
    """Quiet cycles and one crash: the steps on the clock, and CPU by service, Python beside SQL."""
    await crash.settled(large.judging)
    before = await _spent(large)
    taken = [await cycles.one(large.found) for _ in range(_CYCLES)]
    lines = by_process("a quiet cycle", before, await _spent(large), _CYCLES)
    before = await _spent(large)
    broken = await crash.one(large.judging)
    crashed = by_process("a crash cycle", before, await _spent(large), 1)
    return [
        *_steps("a quiet cycle", taken),
        *lines,
        *_steps("a crash cycle", [broken]),
        *crashed,
    ]


def _steps(what: str, taken: Sequence[cyclone_pb2.Cycle]) -> list[Figure]:
    return [
        Figure(
            GOAL,
            f"{what}: {step.name} on the clock",
            [cycles.milliseconds(one.steps[place]) for one in taken],
        )
        for place, step in enumerate(taken[-1].steps)
    ]


async def _spent(large: Large) -> dict[str, Spent]:
    """So far. Connections are kept by their pools, so their CPU only grows."""
    connection = await asyncpg.connect(plain(large.running.admin_url))
    try:
        backends = await connection.fetch(_BACKENDS)
    finally:
        await connection.close()
    sql: dict[str, list[psutil.Process]] = defaultdict(list)
    for row in backends:
        # One that was just let go is not counted.
        with suppress(psutil.NoSuchProcess):
            sql[row["usename"]].append(psutil.Process(row["pid"]))
    return {
        name: Spent(footprint.cpu_seconds([one]), footprint.cpu_seconds(sql[name]))
        for name, one in footprint.servers().items()
    }


def by_process(
    what: str, before: Mapping[str, Spent], after: Mapping[str, Spent], count: int
) -> list[Figure]:
    """Milliseconds a cycle, the most expensive first."""
    lines = []
    for name, now in after.items():
        then = before.get(name, Spent(0, 0))
        for kind, spent in (("Python", now.python - then.python), ("SQL", now.sql - then.sql)):
            lines.append(Figure(GOAL, f"{what}: CPU of {name}, {kind}", [spent * 1000 / count]))
    return sorted((line for line in lines if line.ours[0] > 0), key=lambda line: -line.ours[0])


async def functions(run: Run) -> list[Figure]:
    """A quiet and a crash cycle under cProfile: shares by package, then the functions that take
    most.
    """
    async with (
        notifications_receiver.running() as receiver,
        _in_this_process(run.home / "profile", receiver.url) as (addresses, admin_url),
        connected(addresses) as found,
    ):
        judging = Judging(found, admin_url)
        await judging.calm()
        await cycles.fill(addresses, run.options.size, seed=run.options.seed)
        for _ in range(3):
            await cycles.one(found)
        lines = await _profiled(found, "a quiet cycle")
        await judging.crash(len(crash.LEVELS))
        return lines + await _profiled(found, "a crash cycle")


async def _profiled(found: System, what: str) -> list[Figure]:
    profiler = cProfile.Profile()
    profiler.enable()
    try:
        await cycles.ended(found)
    finally:
        profiler.disable()
    return shares(what, own_times(pstats.Stats(profiler).stats))  # type: ignore[attr-defined]


def own_times(stats: Mapping[Place, Any]) -> dict[Place, float]:
    """Milliseconds spent in each function itself; those of built-in ones are their callers'."""
    own: dict[Place, float] = defaultdict(float)
    for place, (_, _, seconds, _, callers) in stats.items():
        if place[0] != "~" or is_waiting(place) or not callers:
            own[place] += seconds * 1000
            continue
        for caller, (_, _, for_caller, _) in callers.items():
            own[caller] += for_caller * 1000
    return own


def shares(what: str, own_ms: Mapping[Place, float]) -> list[Figure]:
    """Milliseconds by package and by function, the most expensive first."""
    packages: dict[str, float] = defaultdict(float)
    busy = {place: spent for place, spent in own_ms.items() if not is_waiting(place)}
    for place, spent in busy.items():
        packages[package(place)] += spent
    total = sum(packages.values()) or 1.0

    def line(name: str, spent: float) -> Figure:
        return Figure(GOAL, f"{what}: {name}", [spent], note=f"{spent / total:.0%} of Python")

    named = {f"{name} ({Path(file).name}:{row})": busy[file, row, name] for file, row, name in busy}
    return [
        Figure(GOAL, f"{what}: waiting for sockets and threads", [sum(own_ms.values()) - total]),
        *(line(name, spent) for name, spent in _dearest(packages)),
        *(line(name, spent) for name, spent in _dearest(named)),
    ]


def _dearest(spent_ms: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(spent_ms.items(), key=lambda one: -one[1])[:_MOST_LINES]


def is_waiting(place: Place) -> bool:
    """Whether a function only waits for something to happen."""
    return place[0] == "~" and any(word in place[2] for word in _WAITING)


def package(place: Place) -> str:
    """Whose a function is: a service's, a library's, Python's."""
    if found := _OURS.search(place[0]):
        return found[1]
    if found := _LIBRARY.search(place[0]):
        return found[1]
    return "Python's own"


@asynccontextmanager
async def _in_this_process(home: Path, webhook: str) -> AsyncIterator[tuple[dict[str, str], str]]:
    home.mkdir(mode=0o711)
    settings = {"SONIC_SCHEDULE": "0", "SONIC_HOME": str(home), "LOG_LEVEL": "WARNING"}
    with environment(settings | {"WEBHOOK_URL": webhook, "WEBHOOK_SECRET": "bench"}):
        plan = Plan()
        async with database.opened(plan) as opened:
            urls = await database.prepare(opened, plan.home)
            listens = system.free_ports(tuple(SERVICES))
            async with system.in_one_process(plan, urls, say, listens=listens) as addresses:
                yield addresses, opened.url
