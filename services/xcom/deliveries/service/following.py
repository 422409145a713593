"""Asks channels whether what they took has arrived. The state lies in the delivery: any process
goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from services.xcom.channels.service.sending import follow
from services.xcom.domain.messages import Answer, DeliveryAttempt, next_look
from services.xcom.senders.channel import Channel
from services.xcom.store.queue import Queue
from shared.clock import Clock

Settle = Callable[[DeliveryAttempt, Answer], Awaitable[object]]

_AT_ONCE = 20
_CLAIM = timedelta(seconds=30)
_SHORTEST_PAUSE_SECONDS = 0.2


class FollowService:
    """`turn` is the body of a loop; `settle` writes down how a try ended."""

    def __init__(
        self,
        queue: Queue,
        channels: Mapping[str, Channel],
        settle: Settle,
        poll_seconds: float,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._channels = channels
        self._settle = settle
        self._poll_seconds = poll_seconds
        self._clock = clock

    async def turn(self) -> float:
        """Ask about everything that is due; the seconds until the next look."""
        now = self._clock.now()
        attempts = await self._queue.follow(now, now + _CLAIM, _AT_ONCE)
        await asyncio.gather(*(self._follow(attempt) for attempt in attempts))
        next_time = await self._queue.next_follow()
        if next_time is None:
            return self._poll_seconds
        seconds = (next_time - self._clock.now()).total_seconds()
        return min(max(seconds, _SHORTEST_PAUSE_SECONDS), self._poll_seconds)

    async def _follow(self, attempt: DeliveryAttempt) -> None:
        channel = self._channels[attempt.channel]
        found = await follow(channel, attempt)
        if isinstance(found, Answer):
            await self._settle(attempt, found)
            return
        now = self._clock.now()
        age = now - (attempt.handed_over_time or now)
        if age >= timedelta(seconds=channel.followed_seconds):
            await self._settle(attempt, channel.unended(attempt, found or "it did not say"))
            return
        await self._queue.ask_again(attempt, _next_time(now, age, channel), found)


def _next_time(now: datetime, age: timedelta, channel: Channel) -> datetime:
    left = timedelta(seconds=channel.followed_seconds) - age
    return now + min(next_look(age, channel.look_seconds), left)
