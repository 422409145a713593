"""Alerts shown: lists, one, all at a glance. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import ANNOTATED_BIT
from services.alerts.alerts.domain.change_payload import alert_id, key_of
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.alerts.domain.summaries import MetricSummary, summarise
from services.alerts.alerts.domain.views import (
    MOST_URGENT,
    Alert,
    Filter,
    choose,
    show,
    urgency,
    worst_first,
)
from services.alerts.domain.kinds import Level
from services.alerts.service.offload import offload
from services.alerts.service.ports import PositionsPeer
from services.alerts.service.snapshot_cache import Snapshot, SnapshotCache
from services.alerts.store.unit_of_work import Store
from shared import paging
from shared.errors import InvalidArgument, NotFound
from shared.paging import Page

_NOBODY = Subject(0, "", "", 0, "")
_Versions = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Summary:
    """All alerts at a glance; `names` of subjects by key, times in microseconds, 0: never."""

    level: Level
    metrics: Sequence[MetricSummary]
    names: Mapping[int, str]
    evaluated_micros: int
    head_hash: bytes
    waiting_count: int


class AlertQueries:
    """What people and other services look at."""

    def __init__(self, cache: SnapshotCache, positions: PositionsPeer) -> None:
        self._cache = cache
        self._positions = positions
        self._ranked: tuple[_Versions, NDArray[np.int8]] | None = None
        self._summed: tuple[_Versions, Sequence[MetricSummary], Mapping[int, str]] | None = None

    async def get(self, id: str) -> Alert:
        """One alert; NotFound ALERT_NOT_FOUND."""
        async with self._cache.begin_reading() as store:
            snapshot = await self._cache.read(store)
            return (await self.shown(store, snapshot, [snapshot.row(id)]))[0]

    async def list(self, wanted: Filter, page_size: int, page_token: str) -> Page[Alert]:
        """Danger before news, the worst level first, then by key; POSITION_NOT_FOUND."""
        context = paging.context("alerts, danger first", wanted)
        page = paging.parse(page_size, page_token, context=context)
        after = _after(page.after)
        async with self._cache.begin_reading() as store:
            snapshot = await self._cache.read(store)
            keys = await store.subjects.find(wanted.names) if wanted.names else None
            active = self._cache.compiled_limits(snapshot).active
            mask = choose(snapshot.columns, active, wanted, keys)
            key = snapshot.columns.alert_key
            found = worst_first(self._urgency(snapshot), key, mask, after, page.size)
            alerts = await self.shown(store, snapshot, [row for _, row in found])
        if not alerts:
            await self.refuse_unknown(wanted)
        ranks = {alert.id: rank for alert, (rank, _) in zip(alerts, found, strict=True)}
        return paging.cut(alerts, page, context, lambda alert: (ranks[alert.id], key_of(alert.id)))

    def _urgency(self, snapshot: Snapshot) -> NDArray[np.int8]:
        """Of each row; the same for all lists until something changes."""
        versions = _versions(snapshot)
        if self._ranked is None or self._ranked[0] != versions:
            self._ranked = versions, urgency(snapshot.columns)
        return self._ranked[1]

    async def refuse_unknown(self, wanted: Filter) -> None:
        """POSITION_NOT_FOUND: an empty list would say that nothing is wrong with it."""
        id = wanted.position_id
        if not id:
            return
        async with self._cache.begin_reading() as store:
            known = bool(await store.subjects.find([id]))
        if not known and not await self._positions.has(id):
            raise NotFound("POSITION_NOT_FOUND", f"no position has id {id[:80]!r}")

    async def summary(self) -> Summary:
        """Computed again only after something changed."""
        async with self._cache.begin_statement() as store:
            glance = await store.service_state.glance()
        snapshot = self._cache.last()
        if snapshot is None or snapshot.service_state != glance.service_state:
            snapshot = await self._cache.present()
        metrics, names = await self._sums(snapshot)
        level = max((metric.level for metric in metrics), default=Level.NORMAL)
        evaluated = snapshot.columns.evaluated_micros
        return Summary(level, metrics, names, evaluated, glance.head_hash, glance.waiting_count)

    async def _sums(self, snapshot: Snapshot) -> tuple[Sequence[MetricSummary], Mapping[int, str]]:
        versions = _versions(snapshot)
        if self._summed is None or self._summed[0] != versions:
            active = self._cache.compiled_limits(snapshot).active
            metrics = await offload(len(snapshot.columns), summarise, snapshot.columns, active)
            keys = {
                metric.worst_subject_key
                for metric in metrics
                if metric.worst_subject_key is not None
            }
            keys |= {raised.subject_key for metric in metrics for raised in metric.raised}
            same = self._summed is not None and self._summed[0][0] == versions[0]
            names = self._summed[2] if self._summed is not None and same else {}
            if not keys <= names.keys():
                async with self._cache.begin_statement() as store:
                    names = {**names, **await store.subjects.names(keys)}
            self._summed = (versions, metrics, names)
        return self._summed[1], self._summed[2]

    async def shown(self, store: Store, snapshot: Snapshot, rows: Sequence[int]) -> Sequence[Alert]:
        keys = snapshot.columns.subject_key[np.array(rows, np.int64)]
        subjects = await store.subjects.read(keys)
        columns = snapshot.columns
        annotated = [row for row in rows if columns.trait_bits[row] & ANNOTATED_BIT]
        annotations = await store.annotations.read(
            [alert_id(int(columns.alert_key[row])) for row in annotated]
        )
        whose = [subjects.get(key, _NOBODY) for key in keys.tolist()]
        alerts = show(columns, snapshot.tables, rows, whose, annotations)
        wall_micros = self._cache.clock_guard.wall_micros
        return [
            replace(one, held_until_micros=wall_micros(one.held_until_micros))
            if one.held_until_micros
            else one
            for one in alerts
        ]


def _versions(snapshot: Snapshot) -> _Versions:
    """Of alerts, of what was evaluated, of thresholds."""
    state = snapshot.service_state
    return state.alert_version, state.evaluation_version, state.threshold_version


def _after(key: paging.Key | None) -> tuple[int, int] | None:
    if key is None:
        return None
    match key:
        # Anybody can make a token: each rank above the highest would be looked for in all alerts.
        case (int(rank), int(alert_key)) if rank <= MOST_URGENT:
            return rank, alert_key
        case _:
            problem = "page_token does not belong to this list"
            raise InvalidArgument("BAD_PAGE_TOKEN", problem, fields={"page_token": problem})
