"""A cycle in which 30 % of the levels change, until everybody has been told, beside a quiet one."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from sonic.cyclone.v1 import cyclone_pb2
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from tests.bench import cycles
from tests.bench.figures import Figure, Limit
from tests.bench.judging import CRASH_SHARE, Judging, evaluation
from tests.bench.notifications_receiver import Receiver

LEVELS = ("LOW", "MEDIUM", "HIGH")
# Longer than this nobody waits here; what is still untold then is counted.
_PATIENCE_SECONDS = 20.0
_CRASHES = 3
_SETTLING_CYCLES = 3


@dataclass(frozen=True, slots=True)
class Crash:
    """One cycle in which levels changed; unheard: None."""

    message: str
    changed_count: int
    cycle_ms: float
    heard_seconds: float | None
    told_seconds: float
    received_count: int
    told_count: int
    unsent_count: int
    queued: bool

    @property
    def is_told(self) -> bool:
        """Whether nothing waited at the end, and each change was told, alone or in a digest."""
        is_sent = not self.unsent_count and not self.queued
        return is_sent and self.told_count >= self.changed_count


async def measure(
    judging: Judging, receiver: Receiver, quiet_ms: list[float], share: float
) -> list[Figure]:
    """G7: three times, each as the first: from NORMAL to HIGH at once."""
    crashes = []
    for number in range(_CRASHES):
        if number:
            await settled(judging)
        crashes.append(await _crash(judging, receiver, share))
    return figures(crashes, quiet_ms)


async def settled(judging: Judging) -> None:
    """Every level is NORMAL again, nothing waits, and alerts are made anew."""
    await judging.calm()
    await judging.forget()
    for _ in range(_SETTLING_CYCLES):
        await cycles.ended(judging.found)


async def one(judging: Judging, share: float = CRASH_SHARE) -> cyclone_pb2.Cycle:
    """The cycle in which this share of the distances is HIGH at once."""
    await judging.crash(len(LEVELS), share)
    return await cycles.ended(judging.found)


async def _crash(judging: Judging, receiver: Receiver, share: float) -> Crash:
    await receiver.reset()
    cycle = await one(judging, share)
    judged = evaluation(cycle)
    judged_seconds = _began_seconds(judged) + cycles.milliseconds(judged) / 1000
    unsent, queued = await _waiting(judging)
    end = time.monotonic() + _PATIENCE_SECONDS
    while (unsent or queued) and time.monotonic() < end:
        await asyncio.sleep(0.2)
        unsent, queued = await _waiting(judging)
    told_seconds = time.time() - _began_seconds(cycle)
    received = await receiver.received()
    heard = received.first_seconds.get(LEVELS[-1])
    return Crash(
        cycle.message,
        judged.counts["raised"],
        cycles.milliseconds(cycle),
        None if heard is None else max(0.0, heard - judged_seconds),
        told_seconds,
        received.count,
        await _told_count(judging, cycle.id),
        unsent,
        queued,
    )


def _began_seconds(timed: cyclone_pb2.Cycle | cyclone_pb2.Step) -> float:
    """Unix time; everything is on one machine."""
    return timed.started_time.ToNanoseconds() / 1e9


async def _waiting(judging: Judging) -> tuple[int, bool]:
    """Messages that have not left alerts; whether deliveries wait in xcom."""
    stub = await judging.found.stub("xcom", xcom_pb2_grpc.XComServiceStub)
    request = xcom_pb2.ListDeliveriesRequest(page_size=1, state=xcom_pb2.DELIVERY_STATE_QUEUED)
    queued = bool((await stub.ListDeliveries(request)).deliveries)
    return await judging.unsent_count(), queued


async def _told_count(judging: Judging, cycle_id: str) -> int:
    """Changes of this cycle that xcom was given, by themselves or in a digest."""
    stub = await judging.found.stub("xcom", xcom_pb2_grpc.XComServiceStub)
    request, count = xcom_pb2.ListMessagesRequest(page_size=500, source="alerts"), 0
    while True:
        page = await stub.ListMessages(request)
        of_cycle = [one.facts for one in page.messages if one.facts["cycle_id"] == cycle_id]
        count += sum(int(facts.get("change_count", 1)) for facts in of_cycle)
        if not of_cycle or not page.next_page_token:
            return count
        request.page_token = page.next_page_token


def figures(crashes: list[Crash], quiet_ms: list[float]) -> list[Figure]:
    """The lines of these crashes; one that was not told in time counts as long as was waited."""
    told_ms = [crash.told_seconds * 1000 for crash in crashes]
    # At least so long.
    heard = [
        crash.told_seconds if crash.heard_seconds is None else crash.heard_seconds
        for crash in crashes
    ]
    rates = [crash.told_count / crash.told_seconds for crash in crashes]
    received = max(crash.received_count for crash in crashes)
    said = "; ".join(dict.fromkeys(crash.message for crash in crashes if crash.message))
    what = f"{crashes[0].changed_count:,} levels change"
    quiet, limit = "quiet cycle", Limit(3)
    return [
        Figure(
            "G7",
            f"{what}, until all are told",
            told_ms,
            quiet,
            quiet_ms,
            limit,
            note=_left(crashes),
        ),
        Figure(
            "G7", "the cycle alone", [one.cycle_ms for one in crashes], quiet, quiet_ms, note=said
        ),
        Figure(
            "G7",
            "the worst level is heard after its evaluation",
            heard,
            unit="s",
            limit=Limit(2, of_ratio=False),
            share=100,
            note=_unheard(crashes),
        ),
        Figure(
            "G7",
            "changes told until then",
            rates,
            unit="a second",
            note=f"in up to {received:,} messages",
        ),
    ]


def _left(crashes: list[Crash]) -> str:
    """What still waited when patience ended."""
    untold = [crash for crash in crashes if not crash.is_told]
    if not untold:
        return ""
    most = max(crash.changed_count - crash.told_count for crash in untold)
    return f"after {_PATIENCE_SECONDS:.0f} s up to {most:,} were still untold, or in xcom's queue"


def _unheard(crashes: list[Crash]) -> str:
    count = sum(crash.heard_seconds is None for crash in crashes)
    return f"{count} times nothing was heard" if count else f"the slowest of {len(crashes)}"
