"""Everything that needs the running system, from 100 positions to the largest size."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial

from services.cli.connection import System, connected
from tests.bench import (
    calls,
    crash,
    cycles,
    floor,
    footprint,
    limits,
    notifications_receiver,
    pages,
    polars_script,
    provider_json,
    row_by_row,
)
from tests.bench.figures import Figure, Limit, absent
from tests.bench.judging import Evaluations, Judging
from tests.bench.notifications_receiver import Receiver
from tests.bench.running import Run, Running, say, started

GOALS = (
    "G1",
    "G2",
    "G3",
    "G4",
    "G5",
    "G6",
    "G7",
    "G8",
    "G9",
    "G13",
    "G14",
    "G15",
    "G17",
)
_LARGE = ("G1", "G2", "G4", "G5", "G7", "G8", "G9", "G14", "G15")
# Least ratios of the row-by-row tools' time to ours, by size, for each way SQLite can write.
_ROW_BY_ROW = {100: (4, 1), 1000: (50, 10), 10_000: (1000, 100)}
_ROW_BY_ROW_SECONDS = 8.0
_ALERTS_A_POSITION = 3


@dataclass(slots=True)
class Large:
    """The running system, and what was learnt of it so far."""

    run: Run
    running: Running
    found: System
    receiver: Receiver
    judging: Judging
    taken: dict[int, cycles.Taken] = field(default_factory=dict)
    memory: dict[int, dict[str, int]] = field(default_factory=dict)
    evaluations: Evaluations | None = None

    @property
    def size(self) -> int:
        return self.run.options.size

    def cycle_ms(self, size: int) -> list[float]:
        """Milliseconds of whole cycles at a size that was filled."""
        return self.taken[size]["cycle"]

    async def fill(self, size: int) -> None:
        """So many positions, some cycles to settle, and counted ones."""
        say(f"{size:,} positions")
        # Or the end of each position that goes would be told.
        await self.judging.forget()
        await cycles.fill(
            self.running.addresses, size, seed=self.run.options.seed, tls=self.running.tls
        )
        counted = self.run.options.cycles if size <= 1000 else 9
        self.taken[size] = await cycles.run(
            self.running.addresses, warm=3, counted=counted, tls=self.running.tls
        )
        self.memory[size] = footprint.memory_by_service(footprint.servers())


async def measure(run: Run) -> Evaluations | None:
    """The figures go into the run; answers what Prometheus is to stand beside."""
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(notifications_receiver.running())
        # Every level is told by one channel, and the receiver is it.
        running = await stack.enter_async_context(
            started(run.home / "large", {"WEBHOOK_URL": receiver.url, "WEBHOOK_SECRET": "bench"})
        )
        found = await stack.enter_async_context(connected(running.addresses, running.tls))
        large = Large(run, running, found, receiver, Judging(found, running.admin_url))
        await large.judging.calm()
        await _small(large)
        if run.wants(*_LARGE):
            await large.fill(large.size)
            await _at_size(large)
        await run.part(
            "G5 G17", f"{run.options.largest:,} positions", partial(limits.measure, large)
        )
        await run.part(
            "G13",
            f"a provider's answer of {large.size:,} positions",
            partial(
                provider_json.measure, running.urls["positions"], running.admin_url, large.size
            ),
        )
        return large.evaluations


async def _small(large: Large) -> None:
    run = large.run
    for size in (
        run.options.sizes[:-1] if run.wants("G3") else ([100] if run.wants("G6", "G9") else [])
    ):
        await large.fill(size)
        if size == 100:
            await run.part("G6", "calls and commits alone", partial(_g6, large))
        await run.part("G3", f"row by row, {size:,} positions", partial(_g3, large, size))


async def _at_size(large: Large) -> None:
    """What is measured at the large size, the crash last."""
    run, running = large.run, large.running
    await run.part("G1", "the floor", partial(_g1, large))
    await run.part("G2", "polars", partial(_g2, large))
    await run.part("G9", "memory", partial(_g9, large))
    await run.part(
        "G8", "reads", partial(calls.reads, running.addresses["positions"], running.tls, 2000)
    )
    await run.part("G14", "pages", partial(pages.measure, running.http_address, running.home))
    await run.part("G15", "one position opens", partial(_g15, large))
    await run.part("G4", "evaluations", partial(_g4, large))
    quiet_ms = large.cycle_ms(large.size)
    await run.part(
        "G7",
        "a crash",
        partial(crash.measure, large.judging, large.receiver, quiet_ms, run.options.crash_share),
    )


async def _g1(large: Large) -> list[Figure]:
    taken_ms = await floor.measure(large.running.admin_url)
    what = _at(large)
    steps = [
        Figure("G1", f"step {name}", samples)
        for name, samples in large.taken[large.size].items()
        if name != "cycle"
    ]
    ours = large.cycle_ms(large.size)
    return [Figure("G1", what, ours, "COPY, numpy, COPY", taken_ms, Limit(1.25)), *steps]


async def _g2(large: Large) -> list[Figure]:
    limit, what = Limit(1.0), _at(large)
    if not polars_script.is_possible():
        return [
            Figure("G2", what, large.cycle_ms(large.size), limit=limit, note=polars_script.ABSENT)
        ]
    async with floor.schema(large.running.admin_url) as connection:
        await connection.execute(polars_script.SETUP)
        taken_ms = await polars_script.measure(large.running.admin_url, 9)
    return [Figure("G2", what, large.cycle_ms(large.size), "polars, COPY as CSV", taken_ms, limit)]


async def _g3(large: Large, size: int) -> list[Figure]:
    figures = []
    for (mode, _), least in zip(row_by_row.MODES.items(), _ROW_BY_ROW[size], strict=True):
        passes = await asyncio.to_thread(
            row_by_row.measure, large.run.home, size, mode, _ROW_BY_ROW_SECONDS
        )
        done = min(one.done_ratio for one in passes)
        figures.append(
            Figure(
                "G3",
                f"a cycle, {size:,} positions",
                large.cycle_ms(size),
                f"SQLite, {mode}",
                [one.milliseconds for one in passes],
                Limit(least, is_least=True),
                is_inverse=True,
                note=""
                if done == 1
                else f"{done:.0%} of its rows were done, the rest at their pace",
            )
        )
    return figures


async def _g4(large: Large) -> list[Figure]:
    """The rival's part comes when the system is down and the machine is its own."""
    large.evaluations = await large.judging.evaluations()
    return []


async def _g6(large: Large) -> list[Figure]:
    running, rounds = large.running, large.run.options.cycles
    taken_ms = await calls.calls_and_commits(running.admin_url, running.tls, rounds)
    beside = f"{calls.CALLS} empty calls, {calls.COMMITS} commits"
    return [
        Figure("G6", "a cycle, 100 positions", large.cycle_ms(100), beside, taken_ms, Limit(1.5))
    ]


async def _g9(large: Large) -> list[Figure]:
    if 100 not in large.memory:
        return [absent("G9", "memory", "the size is too small to tell", Limit(200, of_ratio=False))]
    few, many = large.memory[100], large.memory[large.size]
    return [
        Figure(
            "G9",
            f"{name}, per {'alert' if divisor > 1 else 'position'}",
            [(many[name] - few[name]) / (large.size - 100) / divisor],
            unit="B",
            limit=Limit(200, of_ratio=False),
            note=f"private memory: {few[name] / 1e6:.0f} MB at 100, {many[name] / 1e6:.0f} MB here",
        )
        for name, divisor in (("positions", 1), ("hedges", 1), ("alerts", _ALERTS_A_POSITION))
    ]


async def _g15(large: Large) -> list[Figure]:
    taken_ms = []
    for number in range(5):
        await cycles.add(large.found, [large.size + number], seed=large.run.options.seed)
        taken_ms.append(cycles.milliseconds(await cycles.one(large.found)))
    quiet: Sequence[float] = large.cycle_ms(large.size)
    return [Figure("G15", _at(large), taken_ms, "quiet cycle", quiet, Limit(1.2))]


def _at(large: Large) -> str:
    return f"a cycle, {large.size:,} positions, {large.size * _ALERTS_A_POSITION:,} alerts"
