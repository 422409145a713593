"""Alerts watched: the present state, then what changed. Costs nothing while nobody watches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import AlertColumns
from services.alerts.alerts.domain.change_payload import alert_id
from services.alerts.alerts.domain.views import (
    Alert,
    Filter,
    changed_rows,
    choose,
    urgency,
    worst_first,
)
from services.alerts.alerts.service.queries import AlertQueries
from services.alerts.service.snapshot_cache import Snapshot, SnapshotCache
from shared.feed import Alike, Feed

# With the longest notes a message of so many stays far below what a client takes.
_PORTION = 150
# Commits of other processes are found by looking.
_LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class News:
    """Alerts as they are now; `gap`: more than one change came since the last news, this is the
    newest.

    Watchers who miss the same get the same object.
    """

    alerts: Sequence[Alert]
    removed_ids: Sequence[str]
    gap: bool


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one reader has seen: the alerts, and the keys of those that fit its filter."""

    versions: tuple[int, int]
    columns: AlertColumns
    shown: NDArray[np.int64]


class AlertWatch:
    """A Part: everybody who watches. Readings alone are no news."""

    def __init__(self, cache: SnapshotCache, queries: AlertQueries) -> None:
        self._cache = cache
        self._queries = queries
        self._alike: Alike[tuple[Sequence[News], NDArray[np.int64]]] = Alike()
        self._feed = Feed(
            "alerts watched",
            cache.present,
            cache.clock,
            changed=self._later,
            poll_seconds=_LOOK_SECONDS,
        )
        self.start, self.stop = self._feed.start, self._feed.stop
        self.name, self.failed = self._feed.name, self._feed.failed
        cache.changed = self._feed.wake

    async def watch(self, wanted: Filter) -> AsyncIterator[News]:
        """News for as long as somebody asks for the next; POSITION_NOT_FOUND."""
        await self._queries.refuse_unknown(wanted)
        seen: _Seen | None = None
        async for snapshot, gap in self._feed.watch():
            versions = _versions(snapshot)
            # Most watchers want all and keep up: what they miss is read and judged once.
            key = (wanted, seen and seen.versions, versions, gap)
            work = partial(self._between, wanted, seen, snapshot, gap=gap)
            difference, shown = await self._alike.get(key, work)
            seen = _Seen(versions, snapshot.columns, shown)
            for news in difference:
                yield news

    async def _later(self, seen: Snapshot) -> Snapshot | None:
        snapshot = await self._cache.present()
        return None if _versions(snapshot) == _versions(seen) else snapshot

    async def _between(
        self, wanted: Filter, seen: _Seen | None, snapshot: Snapshot, *, gap: bool
    ) -> tuple[Sequence[News], NDArray[np.int64]]:
        """The news between two states, and the keys of what fits the filter now."""
        columns, keys = snapshot.columns, None
        if wanted.names:
            async with self._cache.begin_statement() as store:
                keys = await store.subjects.find(wanted.names)
        fresh = mask = choose(columns, self._cache.compiled_limits(snapshot).active, wanted, keys)
        shown, gone = columns.alert_key[mask], []
        if seen is not None:
            is_new = ~np.isin(columns.alert_key, seen.shown)
            fresh = mask & (changed_rows(seen.columns, columns) | is_new)
            gone = [alert_id(key) for key in np.setdiff1d(seen.shown, shown).tolist()]
        ranks, count = urgency(columns), int(fresh.sum())
        rows = [row for _, row in worst_first(ranks, columns.alert_key, fresh, None, count)]
        if seen is not None and not rows and not gone:
            return (), shown
        return [news async for news in self._portions(snapshot, rows, gone, gap=gap)], shown

    async def _portions(
        self, snapshot: Snapshot, rows: Sequence[int], gone: Sequence[str], *, gap: bool
    ) -> AsyncIterator[News]:
        for start in range(0, max(len(rows), 1), _PORTION):
            async with self._cache.begin_reading() as store:
                alerts = await self._queries.shown(store, snapshot, rows[start : start + _PORTION])
            yield News(alerts, gone if start == 0 else (), gap and start == 0)


def _versions(snapshot: Snapshot) -> tuple[int, int]:
    state = snapshot.service_state
    return state.alert_version, state.threshold_version
