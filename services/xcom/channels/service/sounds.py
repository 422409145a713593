"""Sounds for those who listen now: read from the queue's table, so that each process has its
listeners.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from services.xcom.domain.messages import Delivery, DeliveryState
from services.xcom.store.deliveries import DeliveryStore
from shared.clock import Clock
from shared.feed import Feed

Begin = Callable[[], AbstractAsyncContextManager[DeliveryStore]]

_KEPT = timedelta(seconds=60)
_POLL_SECONDS = 5.0


class SoundService:
    """`feed`: the sounds of the last minute. A late sound helps nobody: who lags misses some."""

    def __init__(self, begin: Begin, clock: Clock) -> None:
        self._begin = begin
        self._clock = clock
        self.feed = Feed("xcom sounds", self._recent, clock, poll_seconds=_POLL_SECONDS)

    async def listen(self) -> AsyncGenerator[Delivery, None]:
        """Sounds of the last minute, then each one as it comes; never ends by itself."""
        sent = set[str]()
        async for recent, _ in self.feed.watch():
            for delivery in recent:
                if delivery.id not in sent:
                    yield delivery
                    await self._confirm(delivery)
            sent = {delivery.id for delivery in recent}

    async def _confirm(self, delivery: Delivery) -> None:
        """After the page has got it: a stream that broke has heard nothing."""
        if delivery.state is not DeliveryState.HANDED_OVER:
            return
        async with self._begin() as store:
            await store.confirm_sound(delivery.id, self._clock.now())

    async def _recent(self) -> list[Delivery]:
        async with self._begin() as store:
            return await store.sounds(self._clock.now() - _KEPT)
