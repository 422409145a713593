"""Tells watchers what changed, whichever process changed it. Knows the service, no wire and no SQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from services.hedges.domain.grouping import Hedge
from services.hedges.service import HedgesService, View
from shared.clock import Clock
from shared.lifecycle import Loop

_POLL_SECONDS = 1.0
_IDLE_SECONDS = 3600.0


class HedgeFeed:
    """A Part that looks for changes each second while somebody watches, and at once after `wake`.

    Each watcher keeps what it was told last and reads the difference itself: a slow one misses nothing.
    """

    def __init__(self, service: HedgesService, clock: Clock) -> None:
        self._service = service
        self._watchers: set[asyncio.Event] = set()
        self._seen: tuple[int, int] | None = None
        self._loop = Loop("hedge feed", self._look, clock)

    async def start(self) -> None:
        await self._loop.start()

    async def stop(self) -> None:
        await self._loop.stop()

    def wake(self) -> None:
        """Something was written here: look now."""
        if self._watchers:
            self._loop.wake()

    async def watch(self, wallet: str, asset: str) -> AsyncIterator[tuple[Sequence[Hedge], Sequence[str]]]:
        """Every hedge first; then those that changed, and the ids of those that ended."""
        stirred = asyncio.Event()
        self._watchers.add(stirred)
        self._loop.wake()
        try:
            view, hedges, gone = await self._service.news(View(wallet, asset))
            yield hedges, gone
            while True:
                await stirred.wait()
                stirred.clear()
                view, hedges, gone = await self._service.news(view)
                if hedges or gone:
                    yield hedges, gone
        finally:
            self._watchers.discard(stirred)

    async def _look(self) -> float:
        if not self._watchers:
            self._seen = None
            return _IDLE_SECONDS
        seen, self._seen = self._seen, await self._service.revision()
        if self._seen != seen:
            for stirred in self._watchers:
                stirred.set()
        return _POLL_SECONDS
