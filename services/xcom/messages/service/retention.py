"""How long settled messages and what was said of incidents are kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from services.xcom.store.retention import PORTION_ROWS, RetentionStore
from shared.clock import Clock
from shared.log import get_logger

Begin = Callable[[], AbstractAsyncContextManager[RetentionStore]]
Forget = Callable[[RetentionStore, datetime], Awaitable[int]]

# Longer than any message of an incident may still be on its way, or its sender be away.
_INCIDENTS_KEPT = timedelta(days=30)
_PERIOD_SECONDS = 3600.0


class Retention:
    """`turn` is the body of a loop."""

    def __init__(self, begin: Begin, kept: timedelta, clock: Clock) -> None:
        self._begin = begin
        self._kept = kept
        self._clock = clock

    async def turn(self) -> float:
        """Remove what has its age; the seconds until the next look."""
        now = self._clock.now()
        before, before_incidents = now - self._kept, now - min(self._kept, _INCIDENTS_KEPT)
        counts = {
            "messages": await self._forget(RetentionStore.forget_messages, before),
            "requests": await self._forget(RetentionStore.forget_requests, before),
            "incidents": await self._forget(RetentionStore.forget_incidents, before_incidents),
            "replies": await self._forget(RetentionStore.forget_replies, before_incidents),
            "calls": await self._forget(RetentionStore.forget_calls, before_incidents),
            "acknowledgements": await self._forget(
                RetentionStore.forget_acknowledgements, before_incidents
            ),
        }
        if any(counts.values()):
            get_logger().info("removed by age", **counts)
        return _PERIOD_SECONDS

    async def _forget(self, forget: Forget, before: datetime) -> int:
        """In portions, each a transaction of its own."""
        total = 0
        while True:
            async with self._begin() as store:
                count = await forget(store, before)
            total += count
            if count < PORTION_ROWS:
                return total
