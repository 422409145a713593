"""Tells watchers what changed, whichever process changed it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from services.hedges.domain.grouping import Hedge
from services.hedges.service.hedges import HedgesService, View
from shared.clock import Clock
from shared.feed import Feed


@dataclass(frozen=True, slots=True)
class News:
    """Hedges new or changed, ids that ended; `gap`: changes were left out, here is the newest."""

    hedges: Sequence[Hedge]
    unlinked_ids: Sequence[str]
    gap: bool


class HedgeFeed:
    """A Part that looks for changes each second while somebody watches, and at once after `wake`.

    Each watcher keeps what it was told last and reads the difference itself: a slow one misses no
    state.
    """

    def __init__(self, service: HedgesService, clock: Clock) -> None:
        self._service = service
        self._revisions = Feed("hedge feed", service.revision, clock)
        self.start, self.stop = self._revisions.start, self._revisions.stop
        self.name, self.failed = self._revisions.name, self._revisions.failed
        self.wake = self._revisions.wake

    async def watch(self, wallet: str, asset: str) -> AsyncIterator[News]:
        """Every hedge first; then those that changed, and the ids of those that ended."""
        view, is_first = View(wallet, asset), True
        async for _, gap in self._revisions.watch():
            view, hedges, gone = await self._service.news(view)
            if hedges or gone or is_first:
                yield News(hedges, gone, gap)
            is_first = False
