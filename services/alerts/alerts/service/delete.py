"""Alerts that end: with their position, by hand, or all at once. The ledger keeps their rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import WORDED_BIT, Board
from services.alerts.alerts.domain.change_payload import Gone, Setting, alert_id, gone
from services.alerts.alerts.domain.ends import UNRECORDED, Ended, tell_end
from services.alerts.alerts.domain.incidents import IS_OPPORTUNITY
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.domain.kinds import AlertClass, AlertType, Level
from services.alerts.ledger.domain import Entry
from services.alerts.notifications.domain import CLOSED, GONE, LIQUIDATED
from services.alerts.notifications.service.record import present, tell
from services.alerts.service.ports import PositionsPeer, Present
from services.alerts.service.snapshot_cache import PYTHON_ROW_COST, Desk, Image, apart, micros_of
from services.alerts.store.service_state import Docket, new_version
from services.alerts.store.unit_of_work import Store
from shared.database.fence import Step
from shared.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class Cleared:
    cleared_count: int


class Removal:
    """Deletes alerts."""

    def __init__(self, desk: Desk, positions: PositionsPeer) -> None:
        self._desk = desk
        self._positions = positions

    async def clear_stale(self, step: Step, membership_epoch: int | None) -> Cleared:
        """Delete position alerts whose position is closed, liquidated or deleted, and only those.

        `membership_epoch` is what the caller was told by positions; None is asked for.
        """
        last = self._desk.last()
        seen: Present | None = None
        if last is not None and last.docket.cleared_epoch >= 0:
            known = last.docket.cleared_epoch
            seen = None if known == membership_epoch else await self._positions.present_since(known)
            if seen is None:
                now = self._desk.clock.now()
                cleared = await self._desk.at_once.clear(step, Cleared(0), known, now)
                if cleared is not None:
                    return cleared
        return await self._pass(step, seen or await self._positions.present())

    async def delete(self, id: str, etag: str) -> None:
        """One alert by hand; ALERT_NOT_FOUND, ETAG_MISMATCH. While its threshold judges it is made again."""
        now = self._desk.clock.now()
        async with self._desk.begin() as store:
            image = await self._desk.image(store, await store.docket.lock())
            rows = np.array([image.row(id, etag)])
            await self._unsaid_end(store, image, rows, Step("DELETE_ALERT"), now)
            kept = await self._delete(store, image, rows, {"complete": False})
        self._desk.keep(*kept, image)
        self._desk.told()

    async def clear(self, confirm: str) -> int:
        """All alerts and readings; InvalidArgument NOT_CONFIRMED. Thresholds, ledger and outbox stay."""
        if confirm != "clear":
            raise InvalidArgument(
                "NOT_CONFIRMED", 'confirm must be the word "clear"', fields={"confirm": 'the word "clear"'}
            )
        now = self._desk.clock.now()
        async with self._desk.begin() as store:
            image = await self._desk.image(store, await store.docket.lock())
            await self._desk.write(store, _summary(image.board, now))
            await self._unsaid_end(
                store, image, np.flatnonzero(_loud(image.board)), Step("CLEAR_ALERTS"), now
            )
            count = await store.alerts.delete_all()
            await store.evaluations.delete_all()
            await store.words.delete_all()
            await store.docket.change(alert_version=new_version(), membership_epoch=-1, complete=False)
        self._desk.forget()
        self._desk.told()
        return count

    async def _unsaid_end(
        self, store: Store, image: Image, rows: NDArray[np.int64], step: Step, now: datetime
    ) -> None:
        """Ledger rows of what a person takes away; nobody is told, but nothing of it escalates any more."""
        made = await self._gone(store, image, rows, step, now)
        sealed = await self._desk.write(store, _entries(image.board, made, "person", now))
        loud = _loud(image.board)
        noted = [row for item, row in zip(made, sealed, strict=True) if loud[item.row]]
        await tell(store, noted, now, noted=True)

    async def _pass(self, step: Step, seen: Present) -> Cleared:
        now, (epoch, keys) = self._desk.clock.now(), seen
        ends = await self._ends(keys)
        async with self._desk.begin() as store:
            done = await store.enter(step, Cleared)
            if done is not None:
                return done
            image = await self._desk.image(store, await store.docket.lock())
            rows = _lost(image.board, keys)
            cleared = Cleared(len(rows))
            if len(rows):
                await self._end(store, image, rows, ends, step, now)
                kept = await self._delete(store, image, rows, {"complete": False, "cleared_epoch": epoch})
            else:
                await store.hurry()
                await store.docket.change(cleared_epoch=epoch)
                kept = (replace(image.docket, cleared_epoch=epoch), image.board)
            await store.record(step, Cleared, cleared, now)
        self._desk.keep(*kept, image)
        if len(rows):
            self._desk.told()
        return cleared

    async def _ends(self, keys: NDArray[np.int64]) -> Mapping[str, Ended]:
        """How those that are lost ended, asked before the transaction begins."""
        async with self._desk.begin_reading() as store:
            image = await self._desk.image(store, await store.docket.read())
            rows = _lost(image.board, keys)
            subjects = await store.subjects.read(image.board.subject_key[rows]) if len(rows) else {}
        worst = _levels_of(image.board, rows)
        # Should there be more than can be asked for, then those in danger first.
        order = sorted(subjects.values(), key=lambda subject: -worst[subject.subject_key])
        return await self._positions.ends([subject.name for subject in order]) if order else {}

    async def _end(
        self,
        store: Store,
        image: Image,
        rows: NDArray[np.int64],
        ends: Mapping[str, Ended],
        step: Step,
        now: datetime,
    ) -> None:
        """Ledger rows of all, and one message for each position: what happened to it."""
        made = await self._gone(store, image, rows, step, now)
        of_one: dict[int, list[Gone]] = {}
        for item in made:
            of_one.setdefault(int(image.board.subject_key[item.row]), []).append(item)
        tellers = [
            tell_end(image.board, items, ends.get(items[0].subject.name, UNRECORDED))
            for items in of_one.values()
        ]
        sealed = await self._desk.write(store, _entries(image.board, made, "clear", now))
        by_row = {item.row: row for item, row in zip(made, sealed, strict=True)}
        worst = [by_row[item.row] for item in tellers if item.facts["event"] != CLOSED]
        await tell(store, worst, now, level=Level.HIGH)
        await tell(store, [by_row[item.row] for item in tellers if item.facts["event"] == CLOSED], now)

    async def _gone(
        self, store: Store, image: Image, rows: NDArray[np.int64], step: Step, now: datetime
    ) -> list[Gone]:
        subjects = await store.subjects.read(image.board.subject_key[rows])
        setting = Setting(step.cycle_id, image.docket.demo, micros_of(now))
        return await apart(
            len(rows) * PYTHON_ROW_COST, _listed, image.board, rows.tolist(), subjects, setting
        )

    async def _delete(
        self, store: Store, image: Image, rows: NDArray[np.int64], changes: dict[str, Any]
    ) -> tuple[Docket, Board]:
        await store.alerts.delete(image.board.alert_key[rows])
        worded = rows[image.board.trait_bits[rows] & WORDED_BIT != 0]
        await store.words.delete([alert_id(key) for key in image.board.alert_key[worded].tolist()])
        await store.subjects.delete_unused(np.unique(image.board.subject_key[rows]).tolist())
        changes = {**changes, "alert_version": new_version()}
        await store.docket.change(**changes)
        return image.docket.with_changes(changes), image.board.without(rows)


def _listed(
    board: Board, rows: Sequence[int], subjects: Mapping[int, Subject], setting: Setting
) -> list[Gone]:
    return list(gone(board, rows, subjects, setting))


def _loud(board: Board) -> NDArray[np.bool_]:
    """Whose danger was told at HIGH."""
    loud: NDArray[np.bool_] = (board.told_level == Level.HIGH) & ~IS_OPPORTUNITY[board.kind]
    return loud


def _lost(board: Board, keys: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = np.flatnonzero(board.alert_class == AlertClass.POSITION)
    return rows[~np.isin(board.subject_key[rows], keys)]


def _levels_of(board: Board, rows: NDArray[np.int64]) -> dict[int, int]:
    """The highest level of each subject among these rows."""
    levels: dict[int, int] = {}
    for key, level in zip(board.subject_key[rows].tolist(), board.level[rows].tolist(), strict=True):
        levels[key] = max(levels.get(key, 0), level)
    return levels


def _entries(board: Board, ended: Iterable[Gone], actor: str, now: datetime) -> list[Entry]:
    return [
        Entry(
            entry_time=now,
            alert_id=item.facts["alert_id"],
            type=int(board.kind[item.row]) // 4,
            actor=actor,
            reason=item.facts["event"] if item.facts["event"] in (LIQUIDATED, GONE) else "DELETED",
            level_before=int(board.level[item.row]),
            level_after=0,
            value=present(float(board.readings.value[item.row])),
            flip_value=None,
            inputs_json=json.dumps(item.facts),
            cycle_id=item.facts["cycle_id"],
            subject=item.subject.name,
        )
        for item in ended
    ]


def _summary(board: Board, now: datetime) -> list[Entry]:
    """One row a type, with how many stood at which level."""
    entries = []
    for alert_type in np.unique(board.kind // 4).tolist():
        levels = np.bincount(board.level[board.kind // 4 == alert_type], minlength=len(Level) + 1)
        inputs = {
            "cleared_count": int(levels.sum()),
            "level_count": {level.name: int(levels[level]) for level in Level},
            "type": AlertType(alert_type).name,
        }
        text = json.dumps(inputs)
        entries.append(Entry(now, "", alert_type, "person", "CLEARED", 0, 0, None, None, text, "", ""))
    return entries
