"""Tells watchers what each pass changed, whichever process ran it. Does nothing while nobody
watches.

A watcher holds the last frame it was shown and goes straight to the latest one: nothing queues up.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np

from services.positions.domain.position import Position
from services.positions.enrichment.domain.enriched_frame import EnrichedFrame, changed_keys
from services.positions.enrichment.service import EnrichmentService
from services.positions.positions.domain import Filter
from services.positions.positions.service.positions import judged_by, pieces
from services.positions.service.ports import Begin
from services.positions.store.positions import StoredPosition
from shared.clock import Clock
from shared.feed import Alike, Feed

_POLL_SECONDS = 2.0  # for passes of other processes
# With the longest notes a message of so many stays far below what a client takes.
_ROWS = 150


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class News:
    """Positions new or changed, ids gone; `gap`: passes were left out, what is here is the latest.

    Watchers who are told the same get the same object.
    """

    positions: Sequence[Position]
    removed_ids: Sequence[str]
    gap: bool
    enriched_time: datetime | None
    membership_epoch: int


class Watch:
    """Use case of WatchPositions; a Part."""

    def __init__(self, read: Begin, enrichment: EnrichmentService, clock: Clock) -> None:
        self._read = read
        self._enrichment = enrichment
        self._alike: Alike[Sequence[News]] = Alike()
        self._frames = Feed(
            "positions feed",
            enrichment.frame,
            clock,
            changed=self._later,
            poll_seconds=_POLL_SECONDS,
        )
        self.start, self.stop = self._frames.start, self._frames.stop
        self.name, self.failed = self._frames.name, self._frames.failed
        enrichment.on_frame(self._frames.wake)

    async def _later(self, seen: EnrichedFrame) -> EnrichedFrame | None:
        frame = await self._enrichment.frame()
        return frame if frame.pass_number > seen.pass_number else None

    async def news(self, wanted: Filter) -> AsyncIterator[News]:
        """The present state in pieces of 150, then every change. Raises WALLET_NOT_FOUND."""
        shown: dict[int, str] = {}
        seen: EnrichedFrame | None = None
        async for frame, _ in self._frames.watch():
            if seen is None:
                async for piece in pieces(self._read, wanted, _ROWS):
                    shown.update((one.inputs.position_key, one.inputs.id) for one in piece)
                    yield _news(frame, judged_by(piece, frame))
            elif frame.pass_number > seen.pass_number:
                async for news in self._changes(wanted, seen, frame, shown):
                    yield news
            else:
                continue
            seen = frame

    async def _changes(
        self, wanted: Filter, before: EnrichedFrame, frame: EnrichedFrame, shown: dict[int, str]
    ) -> AsyncIterator[News]:
        gap = frame.pass_number - before.pass_number > 1
        # Most watchers want all and keep up: what they are told is read and judged once.
        key = (wanted, before.pass_number, frame.pass_number)
        changed = await self._alike.get(key, partial(self._changed, wanted, before, frame))
        present = set(frame.columns["position_key"].tolist())
        gone = [shown.pop(key) for key in list(shown) if key not in present]
        if gone or (gap and not changed):
            yield _news(frame, (), gone, gap=gap)
        for news in changed:
            shown.update((one.inputs.position_key, one.inputs.id) for one in news.positions)
            yield news

    async def _changed(
        self, wanted: Filter, before: EnrichedFrame, frame: EnrichedFrame
    ) -> Sequence[News]:
        told: list[News] = []
        keys = changed_keys(before, frame)
        gap = frame.pass_number - before.pass_number > 1
        pieces = np.array_split(keys, max(-(-len(keys) // _ROWS), 1))
        for place, piece in enumerate(pieces):
            # What no figure shows, a note say, is found by the time of the edit.
            since = before.enriched_time if place == 0 else None
            async with self._read() as store:
                rows: Sequence[StoredPosition] = await store.positions.changed(
                    wanted, piece.tolist(), since
                )
            if rows:
                told.append(_news(frame, judged_by(rows, frame), gap=gap and not told))
        return told


def _news(
    frame: EnrichedFrame,
    positions: Sequence[Position],
    removed: Sequence[str] = (),
    *,
    gap: bool = False,
) -> News:
    return News(positions, tuple(removed), gap, frame.enriched_time, frame.membership_epoch)
