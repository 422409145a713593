"""What runs without being asked: evaluations by schedule, news handed on, rows forgotten; and what
watchers are told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta

from services.withdrawals.decisions.domain.record import DecisionRecord
from services.withdrawals.decisions.service.evaluate import STEP, EvaluateService
from services.withdrawals.decisions.service.queries import DecisionQueries, Present
from services.withdrawals.decisions.service.upkeep import ScheduleService
from shared.clock import Clock
from shared.database.fence import Step
from shared.feed import Feed
from shared.lifecycle import Loop

# How late a turn may be where another process changed the schedule.
_LOOK_SECONDS = 30.0
# What was put off is tried again; what another process left is found.
_RELAY_SECONDS = 2.0
_LEFT_SECONDS = 30.0
_SWEEP = timedelta(hours=1)
_FIRST_SWEEP = timedelta(minutes=5)


def schedule_loop(schedule: ScheduleService, evaluations: EvaluateService, clock: Clock) -> Loop:
    """Evaluates when the interval is over."""

    async def body() -> float:
        if await schedule.claim_turn():
            await evaluations.evaluate(Step(STEP))
        timetable = await schedule.get()
        if timetable.next_time is None:
            return _LOOK_SECONDS
        left = (timetable.next_time - clock.now()).total_seconds()
        return min(max(left, 0.05), _LOOK_SECONDS)

    return Loop("withdrawals schedule", body, clock)


def relay_loop(relay: Callable[[], Awaitable[bool]], clock: Clock) -> Loop:
    """Hands changes of advice to alerts; to be woken when there are any."""

    async def body() -> float:
        return _RELAY_SECONDS if await relay() else _LEFT_SECONDS

    return Loop("withdrawals news", body, clock)


def sweep_loop(sweep: Callable[[], Awaitable[Mapping[str, int]]], clock: Clock) -> Loop:
    """Forgets by age, first when the system is calm."""

    async def body() -> float:
        await sweep()
        return _SWEEP.total_seconds()

    return Loop(
        "withdrawals retention", body, clock, first_delay_seconds=_FIRST_SWEEP.total_seconds()
    )


class DecisionFeed:
    """A Part: every Watch of decisions, whichever process made them."""

    def __init__(self, queries: DecisionQueries, clock: Clock) -> None:
        self._queries = queries

        async def present() -> Present:
            return await queries.newest("")

        async def changed(seen: Present) -> Present | None:
            if await queries.revision() == seen.revision:
                return None
            return await queries.since(seen.revision)

        self._feed = Feed("decision feed", present, clock, changed=changed)
        self.start, self.stop = self._feed.start, self._feed.stop
        self.name, self.failed = self._feed.name, self._feed.failed

    def wake(self, decisions: Sequence[DecisionRecord], _watched: Collection[str]) -> None:
        """Something was written here."""
        if decisions:
            self._feed.wake()

    async def watch(self, asset: str) -> AsyncIterator[Sequence[DecisionRecord]]:
        """The last decision of each asset first, or of one; then every new one."""
        is_first = True
        async for state, _ in self._feed.watch():
            found = [one for one in state.decisions if not asset or one.asset == asset]
            if found or is_first:
                yield found
            is_first = False
