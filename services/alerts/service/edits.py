"""Alerts made and changed by hand: own limits, words, channels, cooldown, on and off."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from services.alerts.domain.board import OFF_BIT, WORDED_BIT, Board, fresh_columns
from services.alerts.domain.facts import alert_id, incident_id
from services.alerts.domain.judging import Tables
from services.alerts.domain.kinds import DEATH_KIND, METRICS, AlertClass, AlertStatus, Level, kind_of
from services.alerts.domain.ledger import Entry
from services.alerts.domain.members import Members, Subject
from services.alerts.domain.thresholds import Scope, check_scope
from services.alerts.domain.views import Alert, Words
from services.alerts.service.desk import Desk, Image, micros_of
from services.alerts.service.ports import PositionsPeer
from services.alerts.service.reading import Reading
from services.alerts.service.recording import present, tell
from services.alerts.store import Store
from services.alerts.store.docket import new_version
from shared.errors import AlreadyExists, InvalidArgument, NotFound

EDITABLE = ("notes", "channels", "trigger_value", "condition", "starting_value", "cooldown", "status")
_LONGEST_COOLDOWN_SECONDS = 7 * 24 * 3600
_COLUMNS = ("trigger_value", "starting_value", "cooldown_seconds", "kind", "trait_bits")


@dataclass(frozen=True, slots=True)
class Wish:
    """An alert to be: what it judges, about whom, and the values of the fields that were given."""

    scope: Scope
    position_id: str
    values: Mapping[str, Any]


class _Place(NamedTuple):
    """About whom: None is a subject to be made; NaN is a value that is not known."""

    subject: Subject | None
    asset: str
    value: float


class Edits:
    """What people set on single alerts."""

    def __init__(self, desk: Desk, positions: PositionsPeer, reading: Reading) -> None:
        self._desk = desk
        self._positions = positions
        self._reading = reading

    async def update(self, id: str, etag: str, values: Mapping[str, Any]) -> Alert:
        """Change fields of EDITABLE. ALERT_NOT_FOUND, ETAG_MISMATCH, ALREADY_THERE, INVALID_FIELD."""
        async with self._desk.begin() as store:
            image = await self._desk.image(store, await store.docket.lock())
            row = image.row(id, etag)
            after = await self._apply(store, image, row, values, "UPDATED")
            (alert,) = await self._reading.shown(store, after, [row])
        self._desk.keep(after.docket, after.board, image)
        self._desk.told()
        return alert

    async def create(self, wish: Wish) -> Alert:
        """The alert of (type, condition, subject) with an own limit; one that is there gets the limit.

        POSITION_NOT_FOUND, POSITIONS_UNAVAILABLE, UNKNOWN_NAME, INVALID_FIELD.
        """
        _check(wish)
        is_position = wish.scope.alert_class is AlertClass.POSITION
        members = await self._positions.members() if is_position else None
        async with self._desk.begin() as store:
            image = await self._desk.image(store, await store.docket.lock())
            place = _place(image.board, wish, members)
            found = _find(image.board, wish, place)
            if found is None:
                made = await self._insert(store, image, wish, place)
                after = await self._apply(store, made, len(image.board), wish.values, "CREATED")
            else:
                after = await self._apply(store, image, found, wish.values, "UPDATED")
            row = len(image.board) if found is None else found
            (alert,) = await self._reading.shown(store, after, [row])
        self._desk.keep(after.docket, after.board, image)
        return alert

    async def _apply(
        self, store: Store, image: Image, row: int, values: Mapping[str, Any], reason: str
    ) -> Image:
        board, rows = image.board, np.array([row])
        fresh = _columns(board, row, values)
        id = alert_id(int(board.alert_key[row]))
        if "notes" in values or "channels" in values:
            before = (await store.words.read([id])).get(id, Words())
            words = Words(values.get("notes", before.notes), tuple(values.get("channels", before.channels)))
            await store.words.put(id, words)
            fresh["trait_bits"] = fresh.get("trait_bits", int(board.trait_bits[row])) | WORDED_BIT
        after = board.with_values(rows, {**fresh, "revision": int(board.revision[row]) + 1})
        await store.alerts.update_by_hand(after, rows)
        sealed = await self._desk.write(store, [self._entry(board, after, row, values, reason)])
        if values.get("status") is AlertStatus.INACTIVE and board.level[row] > Level.NORMAL:
            # Who switches it off knows of it: nobody else needs to be woken.
            await tell(store, sealed, self._desk.clock.now(), noted=True)
        version = new_version()
        await store.docket.change(alert_version=version)
        return Image(image.docket.with_changes({"alert_version": version}), after, image.rules, image.tables)

    async def _insert(self, store: Store, image: Image, wish: Wish, place: _Place) -> Image:
        docket, board, asset = image.docket, image.board, place.asset
        subject = place.subject or Subject(docket.next_subject_key, asset, "", 0, "")
        assets = board.assets if asset in board.assets else (*board.assets, asset)
        columns = fresh_columns(1)
        values = {
            "alert_key": docket.next_alert_key,
            "subject_key": subject.subject_key,
            "asset_key": assets.index(asset),
            "kind": _kind(wish),
            "starting_value": place.value,
            "created_micros": micros_of(self._desk.clock.now()),
        }
        for name, value in values.items():
            columns[name][:] = value
        changes: dict[str, Any] = {"next_alert_key": docket.next_alert_key + 1, "cleared_epoch": -1}
        if place.subject is None:
            changes["next_subject_key"] = docket.next_subject_key - 1
        await store.alerts.insert_assets(len(board.assets), assets[len(board.assets) :])
        if subject.subject_key:
            await store.subjects.write([subject])
        await store.alerts.insert(columns)
        await store.docket.change(**changes)
        after = board.followed_by(assets, columns)
        return Image(docket.with_changes(changes), after, image.rules, Tables(*image.rules.tables(assets)))

    def _entry(self, before: Board, after: Board, row: int, values: Mapping[str, Any], reason: str) -> Entry:
        """Numbers as they were and are; of words only that they changed."""
        inputs = {
            "before": {name: present(float(getattr(before, name)[row])) for name in _COLUMNS},
            "after": {name: present(float(getattr(after, name)[row])) for name in _COLUMNS},
            "changed": sorted(values),
            "incident_id": incident_id(int(after.alert_key[row]), int(after.incident_count[row])),
        }
        level, value = int(after.level[row]), present(float(after.readings.value[row]))
        id, kind = alert_id(int(after.alert_key[row])), int(after.kind[row])
        now, text = self._desk.clock.now(), json.dumps(inputs)
        return Entry(now, id, kind // 4, "person", reason, level, level, value, None, text, "", "")


def _columns(board: Board, row: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields mean in columns of the row."""
    fresh: dict[str, Any] = {}
    is_death = int(board.kind[row]) == DEATH_KIND
    if is_death and set(values) & {"trigger_value", "condition", "starting_value", "status"}:
        raise _invalid("alert.type", "a death has no limit and nobody switches it off")
    for name in ("trigger_value", "starting_value"):
        if name in values:
            fresh[name] = math.nan if values[name] is None else values[name]
    if "cooldown" in values:
        fresh["cooldown_seconds"] = cooldown_seconds(values["cooldown"], "alert.cooldown")
    if "status" in values:
        bits = int(board.trait_bits[row]) & ~OFF_BIT
        fresh["trait_bits"] = bits | (OFF_BIT if values["status"] is AlertStatus.INACTIVE else 0)
    if "condition" in values and not is_death:
        kind = kind_of(int(board.kind[row]) // 4, values["condition"])
        if kind != board.kind[row]:
            fresh["kind"] = _other_kind(board, row, kind, fresh)
    return fresh


def _other_kind(board: Board, row: int, kind: int, fresh: Mapping[str, Any]) -> int:
    if math.isnan(fresh.get("trigger_value", board.trigger_value[row])):
        raise _invalid("alert.condition", "only an alert with its own trigger_value has its own condition")
    if ((board.kind == kind) & (board.subject_key == board.subject_key[row])).any():
        raise AlreadyExists("ALREADY_THERE", "this subject has an alert with that condition; change that one")
    return kind


def cooldown_seconds(seconds: float | None, field: str) -> int:
    """INVALID_FIELD unless 0 to 7 days."""
    if seconds is None or not 0 <= seconds <= _LONGEST_COOLDOWN_SECONDS:
        raise _invalid(field, "0 to 7 days")
    return round(seconds)


def _check(wish: Wish) -> None:
    check_scope(wish.scope)
    if wish.values.get("trigger_value") is None:
        raise _invalid("alert.trigger_value", "an alert by hand needs its own limit")
    if wish.scope.alert_class is AlertClass.POSITION and not wish.position_id:
        raise _invalid("alert.position_id", f"{METRICS[wish.scope.type].name} is of a position")
    if wish.scope.alert_class is not AlertClass.POSITION and wish.position_id:
        raise _invalid("alert.position_id", f"{METRICS[wish.scope.type].name} is of no position")


def _kind(wish: Wish) -> int:
    return kind_of(wish.scope.type, wish.scope.condition)


def _place(board: Board, wish: Wish, members: Members | None) -> _Place:
    if members is not None:
        try:
            row = list(members.position_id).index(wish.position_id)
        except ValueError as error:
            raise NotFound("POSITION_NOT_FOUND", f"no position {wish.position_id[:80]!r}") from error
        wallet = members.wallet_names[members.wallet_index[row]]
        subject = Subject(
            int(members.position_key[row]), wish.position_id, wallet, int(members.side_sign[row]), ""
        )
        asset = members.asset_names[members.asset_index[row]]
        return _Place(subject, asset, float(members.positions.metric(wish.scope.type)[row]))
    if wish.scope.alert_class is AlertClass.PORTFOLIO:
        return _Place(Subject(0, "", "", 0, ""), "", math.nan)
    asset = wish.scope.asset
    if asset in board.assets:
        here = board.asset_key == board.assets.index(asset)
        keys = board.subject_key[here & (board.alert_class == AlertClass.MARKET)].tolist()
        if keys:
            return _Place(Subject(keys[0], asset, "", 0, ""), asset, math.nan)
    return _Place(None, asset, math.nan)


def _find(board: Board, wish: Wish, place: _Place) -> int | None:
    if place.subject is None:
        return None
    key = place.subject.subject_key
    rows = np.flatnonzero((board.kind == _kind(wish)) & (board.subject_key == key)).tolist()
    return rows[0] if rows else None


def _invalid(field: str, problem: str) -> InvalidArgument:
    return InvalidArgument("INVALID_FIELD", f"{field}: {problem}", fields={field: problem})
