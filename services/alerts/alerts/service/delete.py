"""Alerts that end: with their position, by hand, or all at once. The ledger keeps their rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import ANNOTATED_BIT, AlertColumns
from services.alerts.alerts.domain.change_payload import (
    ChangeContext,
    EndedAlert,
    alert_id,
    ended_alerts,
)
from services.alerts.alerts.domain.ends import UNRECORDED, PositionEnd, end_notification
from services.alerts.alerts.domain.incidents import IS_OPPORTUNITY
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.domain.kinds import AlertClass, AlertType, Level
from services.alerts.ledger.domain import Entry
from services.alerts.notifications.domain import CLOSED, GONE, LIQUIDATED
from services.alerts.notifications.service.record import enqueue, known_or_none
from services.alerts.service.ports import PositionsPeer, Present
from services.alerts.service.snapshot_cache import (
    PYTHON_ROW_COST,
    Snapshot,
    SnapshotCache,
    micros_of,
    offload,
)
from services.alerts.store.service_state import ServiceState, new_version
from services.alerts.store.unit_of_work import Store
from shared.database.fence import Step
from shared.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class Cleared:
    cleared_count: int


class DeleteAlerts:
    """Deletes alerts."""

    def __init__(self, cache: SnapshotCache, positions: PositionsPeer) -> None:
        self._cache = cache
        self._positions = positions

    async def clear_stale(self, step: Step, membership_epoch: int | None) -> Cleared:
        """Delete position alerts whose position is closed, liquidated or deleted, and only those.

        `membership_epoch` is what the caller was notified by positions; None is asked for.
        """
        last = self._cache.last()
        seen: Present | None = None
        if last is not None and last.service_state.cleared_epoch >= 0:
            known = last.service_state.cleared_epoch
            seen = None if known == membership_epoch else await self._positions.present_since(known)
            if seen is None:
                now = self._cache.clock.now()
                cleared = await self._cache.single_statement.clear(step, Cleared(0), known, now)
                if cleared is not None:
                    return cleared
        return await self._pass(step, seen or await self._positions.present())

    async def delete(self, id: str, etag: str) -> None:
        """One alert by hand; ALERT_NOT_FOUND, ETAG_MISMATCH. While its threshold judges it is made
        again.
        """
        now = self._cache.clock.now()
        async with self._cache.begin() as store:
            snapshot = await self._cache.snapshot(store, await store.service_state.lock())
            rows = np.array([snapshot.row(id, etag)])
            await self._end_quietly(store, snapshot, rows, Step("DELETE_ALERT"), now)
            kept = await self._delete(store, snapshot, rows, {"complete": False})
        self._cache.keep(*kept, snapshot)
        self._cache.outbox_filled()

    async def clear(self, confirm: str) -> int:
        """All alerts and readings; InvalidArgument NOT_CONFIRMED. Thresholds, ledger and outbox
        stay.
        """
        if confirm != "clear":
            raise InvalidArgument(
                "NOT_CONFIRMED",
                'confirm must be the word "clear"',
                fields={"confirm": 'the word "clear"'},
            )
        now = self._cache.clock.now()
        async with self._cache.begin() as store:
            snapshot = await self._cache.snapshot(store, await store.service_state.lock())
            await self._cache.write(store, _summary(snapshot.alert_columns, now))
            await self._end_quietly(
                store,
                snapshot,
                np.flatnonzero(_loud(snapshot.alert_columns)),
                Step("CLEAR_ALERTS"),
                now,
            )
            count = await store.alerts.delete_all()
            await store.evaluations.delete_all()
            await store.annotations.delete_all()
            await store.service_state.change(
                alert_version=new_version(), membership_epoch=-1, complete=False
            )
        self._cache.forget()
        self._cache.outbox_filled()
        return count

    async def _end_quietly(
        self, store: Store, snapshot: Snapshot, rows: NDArray[np.int64], step: Step, now: datetime
    ) -> None:
        """Ledger rows of what a person takes away; nobody is notified, and nothing of it escalates
        any more.
        """
        made = await self._ended_alerts(store, snapshot, rows, step, now)
        sealed = await self._cache.write(
            store, _entries(snapshot.alert_columns, made, "person", now)
        )
        loud = _loud(snapshot.alert_columns)
        noted = [row for item, row in zip(made, sealed, strict=True) if loud[item.row]]
        await enqueue(store, noted, now, noted=True)

    async def _pass(self, step: Step, seen: Present) -> Cleared:
        now, (epoch, keys) = self._cache.clock.now(), seen
        ends = await self._ends(keys)
        async with self._cache.begin() as store:
            done = await store.enter(step, Cleared)
            if done is not None:
                return done
            snapshot = await self._cache.snapshot(store, await store.service_state.lock())
            rows = _lost(snapshot.alert_columns, keys)
            cleared = Cleared(len(rows))
            if len(rows):
                await self._end(store, snapshot, rows, ends, step, now)
                kept = await self._delete(
                    store, snapshot, rows, {"complete": False, "cleared_epoch": epoch}
                )
            else:
                await store.hurry()
                await store.service_state.change(cleared_epoch=epoch)
                kept = (
                    replace(snapshot.service_state, cleared_epoch=epoch),
                    snapshot.alert_columns,
                )
            await store.record(step, Cleared, cleared, now)
        self._cache.keep(*kept, snapshot)
        if len(rows):
            self._cache.outbox_filled()
        return cleared

    async def _ends(self, keys: NDArray[np.int64]) -> Mapping[str, PositionEnd]:
        """How those that are lost ended, asked before the transaction begins."""
        async with self._cache.begin_reading() as store:
            snapshot = await self._cache.snapshot(store, await store.service_state.read())
            rows = _lost(snapshot.alert_columns, keys)
            subjects = (
                await store.subjects.read(snapshot.alert_columns.subject_key[rows])
                if len(rows)
                else {}
            )
        worst = _levels_of(snapshot.alert_columns, rows)
        # Should there be more than can be asked for, then those in danger first.
        order = sorted(subjects.values(), key=lambda subject: -worst[subject.subject_key])
        return await self._positions.ends([subject.name for subject in order]) if order else {}

    async def _end(
        self,
        store: Store,
        snapshot: Snapshot,
        rows: NDArray[np.int64],
        ends: Mapping[str, PositionEnd],
        step: Step,
        now: datetime,
    ) -> None:
        """Ledger rows of all, and one message for each position: what happened to it."""
        made = await self._ended_alerts(store, snapshot, rows, step, now)
        of_one: dict[int, list[EndedAlert]] = {}
        for item in made:
            of_one.setdefault(int(snapshot.alert_columns.subject_key[item.row]), []).append(item)
        chosen = [
            end_notification(
                snapshot.alert_columns, items, ends.get(items[0].subject.name, UNRECORDED)
            )
            for items in of_one.values()
        ]
        sealed = await self._cache.write(
            store, _entries(snapshot.alert_columns, made, "clear", now)
        )
        by_row = {item.row: row for item, row in zip(made, sealed, strict=True)}
        worst = [by_row[item.row] for item in chosen if item.payload["event"] != CLOSED]
        await enqueue(store, worst, now, level=Level.HIGH)
        await enqueue(
            store, [by_row[item.row] for item in chosen if item.payload["event"] == CLOSED], now
        )

    async def _ended_alerts(
        self, store: Store, snapshot: Snapshot, rows: NDArray[np.int64], step: Step, now: datetime
    ) -> list[EndedAlert]:
        subjects = await store.subjects.read(snapshot.alert_columns.subject_key[rows])
        context = ChangeContext(step.cycle_id, snapshot.service_state.demo, micros_of(now))
        return await offload(
            len(rows) * PYTHON_ROW_COST,
            _listed,
            snapshot.alert_columns,
            rows.tolist(),
            subjects,
            context,
        )

    async def _delete(
        self, store: Store, snapshot: Snapshot, rows: NDArray[np.int64], changes: dict[str, Any]
    ) -> tuple[ServiceState, AlertColumns]:
        await store.alerts.delete(snapshot.alert_columns.alert_key[rows])
        annotated = rows[snapshot.alert_columns.trait_bits[rows] & ANNOTATED_BIT != 0]
        await store.annotations.delete(
            [alert_id(key) for key in snapshot.alert_columns.alert_key[annotated].tolist()]
        )
        await store.subjects.delete_unused(
            np.unique(snapshot.alert_columns.subject_key[rows]).tolist()
        )
        changes = {**changes, "alert_version": new_version()}
        await store.service_state.change(**changes)
        return snapshot.service_state.with_changes(changes), snapshot.alert_columns.without(rows)


def _listed(
    alert_columns: AlertColumns,
    rows: Sequence[int],
    subjects: Mapping[int, Subject],
    context: ChangeContext,
) -> list[EndedAlert]:
    return list(ended_alerts(alert_columns, rows, subjects, context))


def _loud(alert_columns: AlertColumns) -> NDArray[np.bool_]:
    """Whose danger was notified at HIGH."""
    loud: NDArray[np.bool_] = (alert_columns.notified_level == Level.HIGH) & ~IS_OPPORTUNITY[
        alert_columns.kind
    ]
    return loud


def _lost(alert_columns: AlertColumns, keys: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = np.flatnonzero(alert_columns.alert_class == AlertClass.POSITION)
    return rows[~np.isin(alert_columns.subject_key[rows], keys)]


def _levels_of(alert_columns: AlertColumns, rows: NDArray[np.int64]) -> dict[int, int]:
    """The highest level of each subject among these rows."""
    levels: dict[int, int] = {}
    for key, level in zip(
        alert_columns.subject_key[rows].tolist(), alert_columns.level[rows].tolist(), strict=True
    ):
        levels[key] = max(levels.get(key, 0), level)
    return levels


def _entries(
    alert_columns: AlertColumns, ended: Iterable[EndedAlert], actor: str, now: datetime
) -> list[Entry]:
    return [
        Entry(
            entry_time=now,
            alert_id=item.payload["alert_id"],
            type=int(alert_columns.kind[item.row]) // 4,
            actor=actor,
            reason=item.payload["event"]
            if item.payload["event"] in (LIQUIDATED, GONE)
            else "DELETED",
            level_before=int(alert_columns.level[item.row]),
            level_after=0,
            value=known_or_none(float(alert_columns.readings.value[item.row])),
            flip_value=None,
            inputs_json=json.dumps(item.payload),
            cycle_id=item.payload["cycle_id"],
            subject=item.subject.name,
        )
        for item in ended
    ]


def _summary(alert_columns: AlertColumns, now: datetime) -> list[Entry]:
    """One row a type, with how many stood at which level."""
    entries = []
    for alert_type in np.unique(alert_columns.kind // 4).tolist():
        levels = np.bincount(
            alert_columns.level[alert_columns.kind // 4 == alert_type], minlength=len(Level) + 1
        )
        inputs = {
            "cleared_count": int(levels.sum()),
            "level_count": {level.name: int(levels[level]) for level in Level},
            "type": AlertType(alert_type).name,
        }
        text = json.dumps(inputs)
        entries.append(
            Entry(now, "", alert_type, "person", "CLEARED", 0, 0, None, None, text, "", "")
        )
    return entries
