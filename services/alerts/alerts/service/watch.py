"""Alerts watched: the present state, then what changed. Costs nothing while nobody watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import AlertColumns
from services.alerts.alerts.domain.change_payload import alert_id
from services.alerts.alerts.domain.views import Alert, Filter, changed_rows, choose, worst_first
from services.alerts.alerts.service.queries import AlertQueries
from services.alerts.service.snapshot_cache import Snapshot, SnapshotCache
from services.alerts.store.unit_of_work import Store
from shared.feed import Alike

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


@dataclass(slots=True)
class _Watcher:
    """What one reader has seen. It pulls the difference, so a slow one costs no memory."""

    awake: asyncio.Event
    commit_count: int = 0
    versions: tuple[int, int] = (-1, -1)
    columns: AlertColumns | None = None
    shown: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class _Difference:
    """The news between two states, and the keys of what fits the filter now."""

    news: Sequence[News]
    shown: NDArray[np.int64]


class AlertWatch:
    """Everybody who watches."""

    def __init__(self, cache: SnapshotCache, queries: AlertQueries) -> None:
        self._cache = cache
        self._queries = queries
        self._watchers: list[_Watcher] = []
        self._alike: Alike[_Difference] = Alike()
        cache.changed = self._changed

    @property
    def watcher_count(self) -> int:
        return len(self._watchers)

    async def watch(self, wanted: Filter) -> AsyncIterator[News]:
        """News for as long as somebody asks for the next; POSITION_NOT_FOUND."""
        await self._queries.refuse_unknown(wanted)
        with self._watcher() as watcher:
            while True:
                gap = watcher.commit_count > 1
                watcher.commit_count = 0
                watcher.awake.clear()
                async for news in self._news(watcher, wanted, gap=gap):
                    yield news
                try:
                    await asyncio.wait_for(watcher.awake.wait(), _LOOK_SECONDS)
                except TimeoutError:
                    continue

    def _changed(self) -> None:
        for watcher in self._watchers:
            watcher.commit_count += 1
            watcher.awake.set()

    @contextmanager
    def _watcher(self) -> Iterator[_Watcher]:
        watcher = _Watcher(asyncio.Event())
        self._watchers.append(watcher)
        try:
            yield watcher
        finally:
            self._watchers.remove(watcher)

    async def _news(self, watcher: _Watcher, wanted: Filter, *, gap: bool) -> AsyncIterator[News]:
        async with self._cache.begin_reading() as store:
            service_state = await store.service_state.read()
            versions = (service_state.alert_version, service_state.threshold_version)
            if versions == watcher.versions:
                return
            snapshot = await self._cache.snapshot(store, service_state)
        # Most watchers want all and keep up: what they miss is read and judged once.
        key = (wanted, watcher.versions, versions)
        difference = await self._alike.get(
            key, partial(self._between, wanted, watcher, snapshot, gap=gap)
        )
        watcher.versions, watcher.columns, watcher.shown = (
            versions,
            snapshot.columns,
            difference.shown,
        )
        for news in difference.news:
            yield news

    async def _between(
        self, wanted: Filter, watcher: _Watcher, snapshot: Snapshot, *, gap: bool
    ) -> _Difference:
        """From what a watcher has seen to the snapshot; only reads the watcher, at once."""
        before, seen = watcher.columns, watcher.shown
        keys = None
        if wanted.position_id:
            async with self._cache.begin_reading() as store:
                keys = await store.subjects.find(wanted.position_id)
        mask = choose(snapshot.columns, snapshot.tables, wanted, keys)
        fresh = mask if before is None else mask & changed_rows(before, snapshot.columns)
        shown = snapshot.columns.alert_key[mask]
        ended_alerts = [] if seen is None else np.setdiff1d(seen, shown).tolist()
        if seen is not None:
            fresh |= mask & ~np.isin(snapshot.columns.alert_key, seen)
        rows = worst_first(snapshot.columns, fresh, None, int(fresh.sum()))
        if before is not None and not rows and not ended_alerts:
            return _Difference((), shown)
        ids = [alert_id(key) for key in ended_alerts]
        return _Difference(
            [news async for news in self._portions(snapshot, rows, ids, gap=gap)], shown
        )

    async def _portions(
        self, snapshot: Snapshot, rows: Sequence[int], ended_alerts: Sequence[str], *, gap: bool
    ) -> AsyncIterator[News]:
        for start in range(0, max(len(rows), 1), _PORTION):
            async with self._cache.begin_reading() as store:
                alerts = await self._alerts(store, snapshot, rows[start : start + _PORTION])
            yield News(alerts, ended_alerts if start == 0 else (), gap and start == 0)

    async def _alerts(
        self, store: Store, snapshot: Snapshot, rows: Sequence[int]
    ) -> Sequence[Alert]:
        return await self._queries.shown(store, snapshot, rows)
