"""Alerts that other services report: found by their subject, set by an event, never judged."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np

from services.alerts.alerts.domain.alert_columns import AlertColumns, fresh_columns, no_rows
from services.alerts.alerts.domain.change_payload import (
    ChangeContext,
    alert_id,
    incident_id,
    reported_payload,
)
from services.alerts.alerts.domain.evaluation import with_level
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.domain.kinds import Level, type_number
from services.alerts.ledger.domain.chain import Entry
from services.alerts.service.commits import Decision, Edit, Entries, Notice
from services.alerts.store.service_state import ServiceState, new_version
from services.alerts.store.unit_of_work import Store
from shared.clock import Clock


@dataclass(frozen=True, slots=True)
class Case:
    """A reported alert: its row of the alerts, which may be of one not written yet."""

    columns: AlertColumns
    row: int
    subject: Subject
    is_new: bool = False

    @property
    def level(self) -> Level:
        return Level(self.columns.level[self.row])


async def turn(
    edit: Edit, state: ServiceState, case: Case, level: Level, context: ChangeContext, clock: Clock
) -> Case:
    """Set the level with its ledger row and its notification."""
    before = case.level
    columns, notified = with_level(case.columns, case.row, level, context.now_micros)
    kind = int(columns.kind[case.row])
    key, count = int(columns.alert_key[case.row]), int(columns.incident_count[case.row])
    payload = reported_payload(
        kind, case.subject.name, case.subject.summary, before, level, context
    )
    payload["alert_id"], payload["incident_id"] = alert_id(key), incident_id(key, count)
    entry = Entry(
        entry_time=clock.now(),
        alert_id=alert_id(key),
        type=type_number(kind),
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


async def find(store: Store, columns: AlertColumns, kind: int, name: str) -> Case | None:
    """The alert of this kind about `name`; None when there was never one."""
    keys = await store.subjects.find([name])
    rows = np.flatnonzero((columns.kind == kind) & np.isin(columns.subject_key, keys))
    if not len(rows):
        return None
    key = int(columns.subject_key[rows[0]])
    return Case(columns, int(rows[0]), (await store.subjects.read(np.array([key])))[key])


def opened(
    columns: AlertColumns, state: ServiceState, kind: int, name: str, context: ChangeContext
) -> tuple[Case, ServiceState]:
    """A new alert about `name`, still at NORMAL."""
    made = fresh_columns(1)
    made["alert_key"][:] = state.next_alert_key
    made["subject_key"][:] = state.next_subject_key
    made["kind"][:] = kind
    made["created_micros"][:] = context.now_micros
    subject = Subject(state.next_subject_key, name, "", 0, "")
    after = replace(
        state, next_alert_key=state.next_alert_key + 1, next_subject_key=state.next_subject_key - 1
    )
    case = Case(columns.followed_by(columns.assets, made), len(columns), subject, is_new=True)
    return case, after
