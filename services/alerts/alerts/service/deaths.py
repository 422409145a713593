"""Deaths: a service or the cycle does not live. Raised once, always HIGH; its end is notified."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np

from services.alerts.alerts.domain.alert_columns import AlertColumns, fresh_columns, no_rows
from services.alerts.alerts.domain.change_payload import (
    ChangeContext,
    alert_id,
    death_payload,
    incident_id,
)
from services.alerts.alerts.domain.evaluation import with_level
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.alerts.domain.views import Alert, show
from services.alerts.domain.kinds import DEATH_KIND, Level, type_number
from services.alerts.ledger.domain import Entry
from services.alerts.service.commits import Commits, Decision, Edit, Entries, Notice
from services.alerts.service.ports import PositionsPeer
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.store.service_state import ServiceState, new_version
from services.alerts.store.unit_of_work import Store
from shared.clock import micros_of
from shared.database.fence import Step
from shared.errors import Unavailable


@dataclass(frozen=True, slots=True)
class _Case:
    """The alert of an incident: its row of the alerts, which may be of one not written yet."""

    columns: AlertColumns
    row: int
    subject: Subject
    is_new: bool = False

    @property
    def level(self) -> Level:
        return Level(self.columns.level[self.row])


class Deaths:
    """DEATH_NAIL alerts, idempotent by incident; the fence only keeps paused callers out."""

    def __init__(self, cache: SnapshotCache, commits: Commits, positions: PositionsPeer) -> None:
        self._cache = cache
        self._commits = commits
        self._positions = positions

    async def raise_death(self, step: Step, incident: str, summary: str) -> Alert:
        """The alert of the incident, raised unless it is already; notified once."""
        demo = await self._is_demo()
        async with self._commits.edit(step) as edit:
            snapshot, state = edit.snapshot, edit.snapshot.service_state
            case = await _find(edit.store, snapshot.columns, incident)
            if case is None or case.level is not Level.HIGH:
                state = replace(state, demo=state.demo if demo is None else demo)
                context = ChangeContext(step.cycle_id, state.demo, self._now_micros())
                if case is None:
                    case, state = _opened(snapshot.columns, state, incident, context)
                case = replace(case, subject=case.subject._replace(summary=summary))
                case = await self._turn(edit, state, case, Level.HIGH, context)
            return show(case.columns, snapshot.tables, case.row, case.subject)

    async def resolve_death(self, step: Step, incident: str) -> bool:
        """Whether an incident ended now; its recovery is notified once."""
        async with self._commits.edit(step) as edit:
            state = edit.snapshot.service_state
            case = await _find(edit.store, edit.snapshot.columns, incident)
            if case is None or case.level is Level.NORMAL:
                return False
            context = ChangeContext(step.cycle_id, state.demo, self._now_micros())
            await self._turn(edit, state, case, Level.NORMAL, context)
        return True

    async def _turn(
        self, edit: Edit, state: ServiceState, case: _Case, level: Level, context: ChangeContext
    ) -> _Case:
        """Set the level with its ledger row and its notification."""
        before = case.level
        columns, notified = with_level(case.columns, case.row, level, context.now_micros)
        key, count = int(columns.alert_key[case.row]), int(columns.incident_count[case.row])
        payload = death_payload(case.subject.name, case.subject.summary, before, level, context)
        payload["alert_id"], payload["incident_id"] = alert_id(key), incident_id(key, count)
        entry = Entry(
            entry_time=self._cache.clock.now(),
            alert_id=alert_id(key),
            type=type_number(DEATH_KIND),
            actor="system",
            reason="RAISED" if level > before else "LOWERED",
            level_before=before,
            level_after=level,
            value=None,
            flip_value=None,
            inputs_json=json.dumps(payload),
            cycle_id=context.cycle_id,
            subject=case.subject.name,
        )
        is_noted = level is Level.NORMAL and not notified
        notices = [Notice(0, noted=not notified)] if notified or is_noted else []
        rows = np.array([case.row])
        written = no_rows() if case.is_new else rows
        if case.is_new:
            await edit.store.alerts.insert(columns.stored(rows))
        await edit.store.subjects.write([case.subject])
        await edit.write(
            Decision(
                None,
                replace(state, alert_version=new_version()),
                columns,
                levels=written,
                settings=written,
                entries=Entries.of([entry], notices),
            )
        )
        return replace(case, columns=columns)

    def _now_micros(self) -> int:
        return micros_of(self._cache.clock.now())

    async def _is_demo(self) -> bool | None:
        """None when positions cannot be asked: it may be the one that died."""
        try:
            return await self._positions.is_demo()
        except Unavailable:
            return None


async def _find(store: Store, columns: AlertColumns, incident: str) -> _Case | None:
    keys = await store.subjects.find(incident)
    rows = np.flatnonzero((columns.kind == DEATH_KIND) & np.isin(columns.subject_key, keys))
    if not len(rows):
        return None
    key = int(columns.subject_key[rows[0]])
    return _Case(columns, int(rows[0]), (await store.subjects.read(np.array([key])))[key])


def _opened(
    columns: AlertColumns, state: ServiceState, incident: str, context: ChangeContext
) -> tuple[_Case, ServiceState]:
    """A new alert for an incident, still at NORMAL."""
    made = fresh_columns(1)
    made["alert_key"][:] = state.next_alert_key
    made["subject_key"][:] = state.next_subject_key
    made["kind"][:] = DEATH_KIND
    made["created_micros"][:] = context.now_micros
    subject = Subject(state.next_subject_key, incident, "", 0, "")
    after = replace(
        state, next_alert_key=state.next_alert_key + 1, next_subject_key=state.next_subject_key - 1
    )
    case = _Case(columns.followed_by(columns.assets, made), len(columns), subject, is_new=True)
    return case, after
