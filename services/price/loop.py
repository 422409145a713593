"""Sends watchers what changed, whichever process changed it, and trims the history."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

from services.price.domain.prices import News
from services.price.store.rows import Changes
from shared.clock import Clock
from shared.lifecycle import Loop
from shared.log import get_logger

_POLL_SECONDS = 1.0
_IDLE_SECONDS = 3600.0
_TRIM_SECONDS = 3600.0
_WAITING_LIMIT = 16


class Subscription:
    """The changes one watcher has not taken yet: at most 16, then only the fact that there were too
    many.

    A reset list is such a fact too: what was deleted cannot be told as a change.
    """

    def __init__(self) -> None:
        self._waiting: deque[Changes] = deque()
        self._overflowed = False
        self._something = asyncio.Event()

    def offer(self, changes: Changes) -> None:
        if self._overflowed:
            return
        if len(self._waiting) >= _WAITING_LIMIT or changes.reset:
            self._waiting.clear()
            self._overflowed = True
        else:
            self._waiting.append(changes)
        self._something.set()

    async def take(self) -> Changes | None:
        """The next changes; None when some were dropped and the present state must be read."""
        await self._something.wait()
        if self._overflowed:
            self._overflowed = False
            self._something.clear()
            return None
        changes = self._waiting.popleft()
        if not self._waiting:
            self._something.clear()
        return changes


class Trimming(Loop):
    """A Part that deletes what the history keeps no longer, at the start and every hour."""

    def __init__(self, trim: Callable[[], Awaitable[int]], clock: Clock) -> None:
        super().__init__("price history trimming", self._trim, clock)
        self._trim_now = trim

    async def _trim(self) -> float:
        if count := await self._trim_now():
            get_logger().info("price history trimmed", row_count=count)
        return _TRIM_SECONDS


class PriceFeed:
    """A Part that looks for changes each second while somebody watches,
    and at once after `wake`."""

    def __init__(
        self,
        revision: Callable[[], Awaitable[int]],
        changes: Callable[[int], Awaitable[Changes]],
        clock: Clock,
    ) -> None:
        self._revision = revision
        self._changes = changes
        self._subscriptions: set[Subscription] = set()
        self._seen = 0
        self._loop = Loop("price feed", self._look, clock)

    async def start(self) -> None:
        await self._loop.start()

    async def stop(self) -> None:
        await self._loop.stop()

    def wake(self) -> None:
        """Something was written here: look now."""
        if self._subscriptions:
            self._loop.wake()

    async def watch(self) -> AsyncIterator[News]:
        """The present state first, then every change."""
        with self._subscribed() as subscription:
            present = await self._changes(0)
            # Whoever watches already was told up to `_seen`; the first one starts it.
            self._seen = self._seen or present.revision
            yield News(present.prices, gap=False)
            while True:
                changes = await subscription.take()
                if changes is None:
                    present = await self._changes(0)
                    yield News(present.prices, gap=True)
                elif changes.revision > present.revision:
                    yield News(changes.prices, gap=False)

    @contextmanager
    def _subscribed(self) -> Iterator[Subscription]:
        subscription = Subscription()
        self._subscriptions.add(subscription)
        self._loop.wake()
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    async def _look(self) -> float:
        if not self._subscriptions:
            self._seen = 0
            return _IDLE_SECONDS
        if self._seen and await self._revision() != self._seen:
            changes = await self._changes(self._seen)
            self._seen = changes.revision
            if changes.prices or changes.reset:
                for subscription in self._subscriptions:
                    subscription.offer(changes)
        return _POLL_SECONDS
