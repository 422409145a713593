"""Deaths: a service or the cycle does not live. Raised once, always HIGH; its end is notified."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from services.alerts.alerts.domain.alert_columns import AlertColumns, fresh_columns
from services.alerts.alerts.domain.change_payload import (
    Change,
    ChangeContext,
    alert_id,
    death_payload,
    incident_id,
)
from services.alerts.alerts.domain.evaluation import with_level
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.alerts.domain.views import Alert, show
from services.alerts.domain.kinds import DEATH_KIND, Level
from services.alerts.notifications.service.record import record_changes
from services.alerts.service.ports import PositionsPeer
from services.alerts.service.snapshot_cache import Snapshot, SnapshotCache, micros_of
from services.alerts.store.service_state import ServiceState, new_version
from services.alerts.store.unit_of_work import Store
from shared.database.fence import Step
from shared.errors import Unavailable


@dataclass(frozen=True, slots=True)
class _Nothing:
    """Deaths are idempotent by their incident; the fence only keeps paused callers out."""


@dataclass(frozen=True, slots=True)
class _Case:
    """The alert of an incident: its row of the alerts that may not be written yet."""

    service_state: ServiceState
    alert_columns: AlertColumns
    row: int
    subject: Subject

    @property
    def level(self) -> Level:
        return Level(self.alert_columns.level[self.row])


class Deaths:
    """DEATH_NAIL alerts, one for each incident name."""

    def __init__(self, cache: SnapshotCache, positions: PositionsPeer) -> None:
        self._cache = cache
        self._positions = positions

    async def raise_death(self, step: Step, incident: str, summary: str) -> Alert:
        """The alert of the incident, raised unless it is already; notified once."""
        demo = await self._is_demo()
        now = self._cache.clock.now()
        async with self._cache.begin() as store:
            await store.enter(step, _Nothing)
            snapshot = await self._cache.snapshot(store, await store.service_state.lock())
            case = await _find(store, snapshot, incident)
            if case is not None and case.level is Level.HIGH:
                return show(case.alert_columns, snapshot.tables, case.row, case.subject)
            context = ChangeContext(
                step.cycle_id, snapshot.service_state.demo if demo is None else demo, micros_of(now)
            )
            if case is None:
                case = await _open(store, snapshot, incident, context)
            case = replace(case, subject=case.subject._replace(summary=summary))
            await store.subjects.write([case.subject])
            case = await self._turn(store, case, Level.HIGH, context, now)
        self._cache.keep(case.service_state, case.alert_columns, snapshot)
        self._cache.outbox_filled()
        return show(case.alert_columns, snapshot.tables, case.row, case.subject)

    async def resolve_death(self, step: Step, incident: str) -> bool:
        """Whether an incident ended now; its recovery is notified once."""
        now = self._cache.clock.now()
        async with self._cache.begin() as store:
            await store.enter(step, _Nothing)
            snapshot = await self._cache.snapshot(store, await store.service_state.lock())
            case = await _find(store, snapshot, incident)
            if case is None or case.level is Level.NORMAL:
                return False
            context = ChangeContext(step.cycle_id, snapshot.service_state.demo, micros_of(now))
            case = await self._turn(store, case, Level.NORMAL, context, now)
        self._cache.keep(case.service_state, case.alert_columns, snapshot)
        self._cache.outbox_filled()
        return True

    async def _turn(
        self, store: Store, case: _Case, level: Level, context: ChangeContext, now: datetime
    ) -> _Case:
        """Set the level with its ledger row and its message."""
        before = case.level
        alert_columns, notified = with_level(
            case.alert_columns, case.row, level, context.now_micros
        )
        rows = np.array([case.row])
        await store.alerts.update(alert_columns, rows)
        await store.alerts.update_by_hand(alert_columns, rows)
        key, count = (
            int(alert_columns.alert_key[case.row]),
            int(alert_columns.incident_count[case.row]),
        )
        payload = death_payload(case.subject.name, case.subject.summary, before, level, context)
        payload["alert_id"], payload["incident_id"] = alert_id(key), incident_id(key, count)
        change = Change(
            alert_key=key,
            kind=DEATH_KIND,
            name=case.subject.name,
            level_before=before,
            level_after=level,
            value=math.nan,
            flip_value=math.nan,
            notified=notified,
            reason="RAISED" if level > before else "LOWERED",
            text=json.dumps(payload),
            noted=level is Level.NORMAL and not notified,
        )
        await record_changes(
            self._cache, store, [change], actor="system", cycle_id=context.cycle_id, now=now
        )
        changes = {"alert_version": new_version(), "demo": context.demo}
        await store.service_state.change(**changes)
        return replace(
            case,
            alert_columns=alert_columns,
            service_state=case.service_state.with_changes(changes),
        )

    async def _is_demo(self) -> bool | None:
        """None when positions cannot be asked: it may be the one that died."""
        try:
            return await self._positions.is_demo()
        except Unavailable:
            return None


async def _find(store: Store, snapshot: Snapshot, incident: str) -> _Case | None:
    alert_columns = snapshot.alert_columns
    keys = await store.subjects.find(incident)
    rows = np.flatnonzero(
        (alert_columns.kind == DEATH_KIND) & np.isin(alert_columns.subject_key, keys)
    ).tolist()
    if not rows:
        return None
    key = int(alert_columns.subject_key[rows[0]])
    subject = (await store.subjects.read(np.array([key])))[key]
    return _Case(snapshot.service_state, alert_columns, rows[0], subject)


async def _open(store: Store, snapshot: Snapshot, incident: str, context: ChangeContext) -> _Case:
    """A new alert for an incident, still at NORMAL."""
    service_state, columns = snapshot.service_state, fresh_columns(1)
    columns["alert_key"][:] = service_state.next_alert_key
    columns["subject_key"][:] = service_state.next_subject_key
    columns["kind"][:] = DEATH_KIND
    columns["created_micros"][:] = context.now_micros
    await store.alerts.insert(columns)
    changes = {
        "next_alert_key": service_state.next_alert_key + 1,
        "next_subject_key": service_state.next_subject_key - 1,
    }
    await store.service_state.change(**changes)
    alert_columns = snapshot.alert_columns.followed_by(snapshot.alert_columns.assets, columns)
    subject = Subject(service_state.next_subject_key, incident, "", 0, "")
    return _Case(
        service_state.with_changes(changes), alert_columns, len(alert_columns) - 1, subject
    )
