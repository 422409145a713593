"""Sounds for those who listen now: read from the queue's table, so that each process has its
listeners.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from services.xcom.domain.messages import Delivery, DeliveryState
from services.xcom.store.deliveries import DeliveryStore
from shared.clock import Clock

Begin = Callable[[], AbstractAsyncContextManager[DeliveryStore]]

_KEPT = timedelta(seconds=60)
_POLL_SECONDS = 5.0
# A listener that does not keep up loses the oldest: a late sound helps nobody.
_WAITING = 50


class SoundService:
    """`turn` is the body of a loop; a listener hears the last minute first."""

    def __init__(self, begin: Begin, clock: Clock) -> None:
        self._begin = begin
        self._clock = clock
        self._seen: set[str] = set()
        self._listeners: set[asyncio.Queue[Delivery]] = set()

    async def turn(self) -> float:
        """Hand on what is new."""
        if not self._listeners:
            return _POLL_SECONDS
        for delivery in await self._recent():
            if delivery.id not in self._seen:
                self._seen.add(delivery.id)
                for listener in self._listeners:
                    if listener.full():
                        listener.get_nowait()
                    listener.put_nowait(delivery)
        return _POLL_SECONDS

    async def listen(self) -> AsyncGenerator[Delivery, None]:
        """Sounds of the last minute, then each one as it comes; never ends by itself."""
        listener: asyncio.Queue[Delivery] = asyncio.Queue(_WAITING)
        self._listeners.add(listener)
        try:
            sent = set[str]()
            for delivery in await self._recent():
                sent.add(delivery.id)
                yield delivery
                await self._confirm(delivery)
            while True:
                delivery = await listener.get()
                if delivery.id not in sent:
                    yield delivery
                    await self._confirm(delivery)
        finally:
            self._listeners.discard(listener)

    async def _confirm(self, delivery: Delivery) -> None:
        """After the page has got it: a stream that broke has heard nothing."""
        if delivery.state is not DeliveryState.HANDED_OVER:
            return
        async with self._begin() as store:
            await store.confirm_sound(delivery.id, self._clock.now())

    async def _recent(self) -> list[Delivery]:
        after = self._clock.now() - _KEPT
        async with self._begin() as store:
            recent = await store.sounds(after)
        self._seen &= {delivery.id for delivery in recent}
        return recent
