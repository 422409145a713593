"""The schedule of evaluations, and what is forgotten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from services.withdrawals.decisions.domain.history import Timetable
from services.withdrawals.decisions.domain.record import over_record
from services.withdrawals.decisions.store import BITE_ROWS, Begin
from shared.clock import Clock
from shared.errors import Conflict, invalid, require_confirmation
from shared.log import get_logger

LEAST_INTERVAL = timedelta(seconds=10)
_LONGEST_INTERVAL = timedelta(days=365)


class ScheduleService:
    """Evaluations by themselves, beside the step of a cycle."""

    def __init__(self, begin: Begin, clock: Clock) -> None:
        self._begin = begin
        self._clock = clock
        self._changed: Callable[[], None] = lambda: None

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call this after every edit."""
        self._changed = changed

    async def get(self) -> Timetable:
        """As set."""
        async with self._begin() as store:
            return await store.timetable()

    async def set(self, interval: timedelta, etag: str = "") -> Timetable:
        """0: none. InvalidArgument INVALID_FIELD, Conflict ETAG_MISMATCH."""
        if interval and not LEAST_INTERVAL <= interval <= _LONGEST_INTERVAL:
            raise invalid("schedule.interval", "0, or 10 seconds to 365 days")
        async with self._begin() as store:
            await store.lock()
            present = await store.timetable()
            if etag and etag != str(present.revision):
                raise Conflict(
                    "ETAG_MISMATCH",
                    "the schedule changed since it was read; read it again",
                    metadata={"etag": str(present.revision)},
                )
            next_time = self._clock.now() + interval if interval else None
            await store.set_timetable(interval.total_seconds(), next_time)
            after = await store.timetable()
        self._changed()
        return after

    async def set_seconds(self, seconds: float) -> None:
        """As `set`, for files."""
        await self.set(timedelta(seconds=seconds))

    async def claim_turn(self) -> bool:
        """Whether an evaluation is due, and this process the one of all to run it."""
        async with self._begin() as store:
            return await store.claim_turn(self._clock.now())


class Forgetting:
    """Deletes what is older than its days, by kind; 0 days = keep for ever."""

    def __init__(self, begin: Begin, clock: Clock, days: Mapping[str, float]) -> None:
        self._begin = begin
        self._clock = clock
        self._days = days

    async def sweep(self) -> Mapping[str, int]:
        """Rows deleted by kind; each bite is a transaction of its own."""
        now = self._clock.now()
        counts = {
            kind: await self._forget(kind, now - timedelta(days=days))
            for kind, days in self._days.items()
            if days > 0
        }
        if any(counts.values()):
            get_logger().info("forgotten by age", **counts)
        return counts

    async def _forget(self, kind: str, before: datetime) -> int:
        total = 0
        while True:
            async with self._begin() as store:
                gone = await store.forget(kind, before)
            total += gone
            if gone < BITE_ROWS:
                return total


class Clearing:
    """Deletes everything but what people set, and ends what was told of it."""

    def __init__(self, begin: Begin, others: Callable[[], Awaitable[int]], clock: Clock) -> None:
        self._begin = begin
        self._others = others
        self._clock = clock

    async def clear(self, confirm: str) -> int:
        """Rows deleted. InvalidArgument NOT_CONFIRMED."""
        require_confirmation(confirm, "withdrawals")
        async with self._begin() as store:
            await store.lock()
            told, now = await store.told(), self._clock.now()
            count = await store.clear()
            for before in told:
                record = await store.add(over_record(before, "its data were deleted", now))
                await store.tell(record, before.value, now)
        return count + await self._others()
