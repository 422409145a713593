"""Alerts that go: their rows, what the ledger says of them, what still rings ends."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import ANNOTATED_BIT, AlertColumns
from services.alerts.alerts.domain.change_payload import (
    ChangeContext,
    EndedAlert,
    alert_id,
    ended_alerts,
)
from services.alerts.alerts.domain.digests import ended_digests
from services.alerts.alerts.domain.views import present
from services.alerts.domain.kinds import type_number
from services.alerts.ledger.domain.chain import Entry
from services.alerts.notifications.domain import GONE, LIQUIDATED
from services.alerts.service.commits import Decision, Entries, Notice
from services.alerts.service.offload import PYTHON_ROW_COST, offload
from services.alerts.service.snapshot_cache import Snapshot
from services.alerts.store.service_state import ServiceState, new_version
from services.alerts.store.unit_of_work import Store
from shared.database.fence import Step

T = TypeVar("T")
Integers = NDArray[np.int64]


async def ended(
    store: Store,
    columns: AlertColumns,
    rows: Integers,
    snapshot: Snapshot,
    step: Step,
    now_micros: int,
) -> list[EndedAlert]:
    """These alerts with the payload of their end."""
    subjects = await store.subjects.read(columns.subject_key[rows])
    context = ChangeContext(step.cycle_id, snapshot.service_state.demo, now_micros)
    made = ended_alerts(columns, rows.tolist(), subjects, context)
    return await offload(len(rows) * PYTHON_ROW_COST, list, made)


def without(
    answer: T, state: ServiceState, columns: AlertColumns, rows: NDArray[np.int64], entries: Entries
) -> Decision[T]:
    """The decision that deletes these rows."""
    return Decision(
        answer,
        replace(state, alert_version=new_version()),
        columns.without(rows),
        entries=entries,
        also=partial(_delete, columns.pick(rows)),
    )


def quiet_entries(
    columns: AlertColumns,
    rows: Integers,
    made: Sequence[EndedAlert],
    after: AlertColumns,
    now: datetime,
    actor: str,
    first: Sequence[Entry] = (),
) -> Entries:
    """What is taken away; nobody is notified, and nothing of it escalates, or waits to be told, any
    more.
    """
    told, left = was_told(columns), columns.digest_sequence
    places = {item.row: len(first) + place for place, item in enumerate(made)}
    # The notification service knows of what a digest told by that digest alone.
    over = [
        (sequence, places[int(rows[np.argmax(left[rows] == sequence)])])
        for sequence in ended_digests(left[rows], after.digest_sequence)
    ]
    carriers = {place for _, place in over}
    notices = [
        Notice(place, noted=True)
        for row, place in places.items()
        if place in carriers or (told[row] and not left[row])
    ]
    entries = Entries.of([*first, *end_entries(columns, made, actor, now)], notices)
    return replace(entries, ended=over)


def was_told(columns: AlertColumns) -> NDArray[np.bool_]:
    """Whose present incident was notified."""
    told: NDArray[np.bool_] = columns.notified_level > 0
    return told


def end_entries(
    columns: AlertColumns, ended: Iterable[EndedAlert], actor: str, now: datetime
) -> list[Entry]:
    return [
        Entry(
            entry_time=now,
            alert_id=item.payload["alert_id"],
            type=type_number(int(columns.kind[item.row])),
            actor=actor,
            reason=item.payload["event"]
            if item.payload["event"] in (LIQUIDATED, GONE)
            else "DELETED",
            level_before=int(columns.level[item.row]),
            level_after=0,
            value=present(float(columns.readings.value[item.row])),
            flip_value=None,
            inputs_json=json.dumps(item.payload),
            cycle_id=item.payload["cycle_id"],
            subject=item.subject.name,
        )
        for item in ended
    ]


async def _delete(columns: AlertColumns, store: Store) -> None:
    """These alerts with what belongs to them alone."""
    await store.alerts.delete(columns.alert_key)
    annotated = columns.alert_key[columns.trait_bits & ANNOTATED_BIT != 0]
    await store.annotations.delete([alert_id(key) for key in annotated.tolist()])
    await store.subjects.delete_unused(np.unique(columns.subject_key).tolist())
