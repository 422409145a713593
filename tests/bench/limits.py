"""The largest size: does a cycle grow with the positions, and do the defaults still work?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from sonic.cyclone.v1 import cyclone_pb2

from shared.errors import SonicError
from tests.bench import cycles, footprint
from tests.bench.figures import Figure, Limit, absent
from tests.bench.running import say

if TYPE_CHECKING:
    from tests.bench.large import Large

_CYCLES = 10
_WARM = 3
# After so many and no success, the rest would say the same.
_MOST_FAILURES = 3
_CYCLE_SECONDS = 180.0
# A tenfold size may take this many times as long; what is above ten is the price of caches.
_TENFOLD = 10.5
_FLAT_RATIO = 1.05


async def measure(large: Large) -> list[Figure]:
    """G5 and, when the run is a full one, G17: all positions at once, then ten cycles."""
    options = large.run.options
    largest = options.largest
    await large.judging.calm()
    await large.judging.forget()
    await cycles.fill(large.running.addresses, largest, seed=options.seed, tls=large.running.tls)
    taken_ms, failures, memory = await _cycles(large)
    figures = []
    if large.run.wants("G5"):
        figures.append(tenfold(large.size, largest, taken_ms[_WARM:], large.cycle_ms(large.size)))
    if large.run.wants("G17"):
        figures += cliff(largest, taken_ms, failures, memory, is_full=options.full)
    return figures


async def _cycles(large: Large) -> tuple[list[float], list[str], list[int]]:
    """Milliseconds of those that succeeded, what the others said, memory of ours after each."""
    taken_ms: list[float] = []
    failures: list[str] = []
    memory: list[int] = []
    for number in range(_CYCLES):
        try:
            cycle = await cycles.ended(large.found, timeout_seconds=_CYCLE_SECONDS)
        except (SonicError, grpc.RpcError) as error:
            failures.append(f"{type(error).__name__} after {_CYCLE_SECONDS:.0f} s")
            break
        memory.append(sum(footprint.memory_by_service(footprint.servers()).values()))
        if cycle.state == cyclone_pb2.CYCLE_STATE_SUCCEEDED:
            taken_ms.append(cycles.milliseconds(cycle))
        else:
            failures.append(cycle.message or cyclone_pb2.CycleState.Name(cycle.state))
        if len(failures) == _MOST_FAILURES and not taken_ms:
            break
        say(f"  cycle {number + 1}: {cycles.milliseconds(cycle) / 1000:.1f} s {cycle.message}")
    return taken_ms, failures, memory


def tenfold(size: int, largest: int, ours_ms: list[float], theirs_ms: list[float]) -> Figure:
    """The limit of a smaller step is its share of ten."""
    step = largest / size
    limit, what = Limit(_TENFOLD * step / 10), f"a cycle, {largest:,} positions"
    if not ours_ms:
        return absent("G5", what, "fewer than four of its cycles succeeded", limit)
    note = "" if step == 10 else f"{step:g} times the size; --full takes ten times"
    return Figure("G5", what, ours_ms, f"at {size:,}", theirs_ms, limit, note=note)


def cliff(
    largest: int, taken_ms: list[float], failures: list[str], memory: list[int], *, is_full: bool
) -> list[Figure]:
    """Whether every cycle succeeded, and whether memory is flat after the third."""
    size = f"{largest:,} positions at once"
    said = list(dict.fromkeys(failures))
    # A smaller size is no answer to the question.
    limit = Limit(_CYCLES, is_least=True, of_ratio=False) if is_full else None
    note = "; ".join(said if is_full else [*said, "judged by --full"])[:200]
    lines = [
        Figure(
            "G17",
            f"{size}: cycles that succeed",
            [float(len(taken_ms))],
            unit=f"of {_CYCLES}",
            limit=limit,
            note=note,
        ),
        Figure("G17", "the first of them, with everything to create", taken_ms[:1]),
        Figure("G17", "the others", taken_ms[1:]),
    ]
    if len(memory) == _CYCLES:
        lines.append(
            Figure(
                "G17",
                "memory after the last",
                [memory[-1] / 1e6],
                "after the third",
                [memory[_WARM - 1] / 1e6],
                Limit(_FLAT_RATIO),
                unit="MB",
            )
        )
    return lines
