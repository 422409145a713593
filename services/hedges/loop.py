"""Tells watchers what changed, whichever process changed it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from services.hedges.domain.grouping import Hedge
from services.hedges.service import HedgesService, View
from shared.clock import Clock
from shared.lifecycle import Loop

_POLL_SECONDS = 1.0
_IDLE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class News:
    """Hedges new or changed, ids that ended; `gap`: changes were left out, what is here is the
    newest.
    """

    hedges: Sequence[Hedge]
    unlinked_ids: Sequence[str]
    gap: bool


class _Watcher:
    """How many changes came since it was told."""

    def __init__(self) -> None:
        self.stirred = asyncio.Event()
        self.change_count = 0

    def taken(self) -> int:
        """The changes so far; from now on it counts anew."""
        count, self.change_count = self.change_count, 0
        self.stirred.clear()
        return count


class HedgeFeed:
    """A Part that looks for changes each second while somebody watches, and at once after `wake`.

    Each watcher keeps what it was told last and reads the difference itself: a slow one misses no
    state.
    """

    def __init__(self, service: HedgesService, clock: Clock) -> None:
        self._service = service
        self._watchers: set[_Watcher] = set()
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

    async def watch(self, wallet: str, asset: str) -> AsyncIterator[News]:
        """Every hedge first; then those that changed, and the ids of those that ended."""
        watcher = _Watcher()
        self._watchers.add(watcher)
        self._loop.wake()
        try:
            view, hedges, gone = await self._service.news(View(wallet, asset))
            yield News(hedges, gone, gap=False)
            while True:
                await watcher.stirred.wait()
                gap = watcher.taken() > 1
                view, hedges, gone = await self._service.news(view)
                if hedges or gone:
                    yield News(hedges, gone, gap)
        finally:
            self._watchers.discard(watcher)

    async def _look(self) -> float:
        if not self._watchers:
            self._seen = None
            return _IDLE_SECONDS
        seen, self._seen = self._seen, await self._service.revision()
        if self._seen != seen:
            for watcher in self._watchers:
                watcher.stirred.set()
                # The first look has nothing to compare with: it is no change.
                watcher.change_count += seen is not None
        return _POLL_SECONDS
