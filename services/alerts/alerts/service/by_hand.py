"""Alerts made by hand: each is its own, beside those that thresholds make."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from services.alerts.alerts.domain.alert_columns import HAND_BIT, AlertColumns, fresh_columns
from services.alerts.alerts.domain.change_payload import alert_id
from services.alerts.alerts.domain.evaluation import ThresholdTables
from services.alerts.alerts.domain.subjects import Members, Subject
from services.alerts.alerts.domain.views import Alert
from services.alerts.alerts.service.alert_edits import AlertEdits, check_trigger, equal_rows
from services.alerts.alerts.service.queries import AlertQueries
from services.alerts.domain.kinds import BY_HAND, AlertClass, AlertType, Condition, kind_of
from services.alerts.service.known_names import Channels, check_asset
from services.alerts.service.ports import PositionsPeer
from services.alerts.service.snapshot_cache import Snapshot, SnapshotCache, micros_of
from services.alerts.store.unit_of_work import Store
from services.alerts.thresholds.domain import Scope
from shared.errors import AlreadyExists, InvalidArgument, NotFound

_REMINDER = "reminder"


@dataclass(frozen=True, slots=True)
class NewAlert:
    """An alert to be: what it judges, about whom, its limit, and the other fields that were given.

    `trigger` is in the metric's unit; of a TIME alert the moment, in seconds since 1970 UTC.
    """

    scope: Scope
    position_id: str
    trigger: float
    values: Mapping[str, Any]


class _Place(NamedTuple):
    """About whom: None is a subject to be made; NaN is a value that is not known."""

    subject: Subject | None
    asset: str
    start: float


class AlertsByHand:
    """CreateAlert."""

    def __init__(
        self,
        cache: SnapshotCache,
        positions: PositionsPeer,
        channels: Channels,
        edits: AlertEdits,
        reading: AlertQueries,
    ) -> None:
        self._cache = cache
        self._positions = positions
        self._channels = channels
        self._edits = edits
        self._reading = reading

    async def create(self, wanted: NewAlert) -> Alert:
        """A new alert with its own limit; none that is there is changed.

        ALREADY_THERE with the id of an equal one, POSITION_NOT_FOUND, POSITIONS_UNAVAILABLE,
        UNKNOWN_NAME, INVALID_FIELD, XCOM_UNAVAILABLE.
        """
        _check(wanted)
        await self._channels.check(wanted.values.get("channels", ()), (), "alert.channels")
        is_position = wanted.scope.alert_class is AlertClass.POSITION
        members = await self._positions.members() if is_position else None
        async with self._cache.begin() as store:
            snapshot = await self._cache.snapshot(store, await store.service_state.lock())
            if wanted.scope.alert_class is AlertClass.MARKET:
                check_asset(wanted.scope.asset, snapshot.service_state, "alert.asset")
            place = _place(snapshot.alert_columns, wanted, members)
            _check_new(snapshot.alert_columns, wanted, place)
            row = len(snapshot.alert_columns)
            made = await self._insert(store, snapshot, wanted, place)
            after = await self._edits.apply(store, made, row, wanted.values, "CREATED")
            (alert,) = await self._reading.shown(store, after, [row])
        self._cache.keep(after.service_state, after.alert_columns, snapshot)
        return alert

    async def _insert(
        self, store: Store, snapshot: Snapshot, wanted: NewAlert, place: _Place
    ) -> Snapshot:
        service_state, alert_columns, asset = (
            snapshot.service_state,
            snapshot.alert_columns,
            place.asset,
        )
        subject = place.subject or _new_subject(service_state.next_subject_key, wanted)
        assets = (
            alert_columns.assets
            if asset in alert_columns.assets
            else (*alert_columns.assets, asset)
        )
        columns = fresh_columns(1)
        values = {
            "alert_key": service_state.next_alert_key,
            "subject_key": subject.subject_key,
            "asset_key": assets.index(asset),
            "kind": _kind(wanted),
            "trigger_value": wanted.trigger,
            "starting_value": place.start,
            "created_micros": micros_of(self._cache.clock.now()),
            "trait_bits": HAND_BIT,
        }
        for name, value in values.items():
            columns[name][:] = value
        changes: dict[str, Any] = {
            "next_alert_key": service_state.next_alert_key + 1,
            "cleared_epoch": -1,
        }
        if place.subject is None:
            changes["next_subject_key"] = service_state.next_subject_key - 1
        await store.alerts.insert_assets(
            len(alert_columns.assets), assets[len(alert_columns.assets) :]
        )
        if subject.subject_key:
            await store.subjects.write([subject])
        await store.alerts.insert(columns)
        await store.service_state.change(**changes)
        after = alert_columns.followed_by(assets, columns)
        return Snapshot(
            service_state.with_changes(changes),
            after,
            snapshot.rules,
            ThresholdTables(*snapshot.rules.tables(assets)),
        )


def _check(wanted: NewAlert) -> None:
    scope, name = wanted.scope, wanted.scope.type.name
    if scope.type not in BY_HAND:
        known = ", ".join(kind.name for kind in BY_HAND)
        raise _refused(
            "UNKNOWN_NAME", "alert.type", f"nobody makes a {name} by hand; one of {known}"
        )
    if scope.type is AlertType.TIME and scope.condition is not Condition.ABOVE:
        raise _refused(
            "INVALID_FIELD", "alert.condition", "a moment is reached: ABOVE, or none at all"
        )
    if scope.condition is Condition.NONE:
        raise _refused("INVALID_FIELD", "alert.condition", "ABOVE or BELOW")
    is_position = scope.alert_class is AlertClass.POSITION
    if is_position is not bool(wanted.position_id):
        problem = f"{name} is of {'a position' if is_position else 'no position'}"
        raise _refused("INVALID_FIELD", "alert.position_id", problem)
    if scope.alert_class is AlertClass.MARKET and not scope.asset:
        raise _refused("INVALID_FIELD", "alert.asset", f"{name} is of an asset")
    if scope.asset and scope.alert_class not in (AlertClass.MARKET, AlertClass.POSITION):
        raise _refused("INVALID_FIELD", "alert.asset", f"{name} has no asset")
    check_trigger(scope.type, scope.condition, wanted.trigger, wanted.values.get("starting_value"))


def _check_new(alert_columns: AlertColumns, wanted: NewAlert, place: _Place) -> None:
    if place.subject is None:
        return
    start = wanted.values.get("starting_value")
    key = place.subject.subject_key
    equal = equal_rows(
        alert_columns, _kind(wanted), key, wanted.trigger, math.nan if start is None else start
    )
    if equal:
        id = alert_id(int(alert_columns.alert_key[equal[0]]))
        problem = f"{id} says the same; change or delete that one"
        raise AlreadyExists("ALREADY_THERE", problem, metadata={"alert_id": id})


def _kind(wanted: NewAlert) -> int:
    return kind_of(wanted.scope.type, wanted.scope.condition)


def _new_subject(key: int, wanted: NewAlert) -> Subject:
    if wanted.scope.type is AlertType.TIME:
        return Subject(key, _REMINDER, "", 0, wanted.values.get("notes", ""))
    return Subject(key, wanted.scope.asset, "", 0, "")


def _place(alert_columns: AlertColumns, wanted: NewAlert, members: Members | None) -> _Place:
    if members is not None:
        return _of_position(wanted, members)
    if wanted.scope.alert_class is AlertClass.PORTFOLIO:
        return _Place(Subject(0, "", "", 0, ""), "", math.nan)
    if wanted.scope.type is AlertType.TIME:
        same = np.flatnonzero(
            (alert_columns.kind == _kind(wanted)) & (alert_columns.trigger_value == wanted.trigger)
        ).tolist()
        subject = (
            Subject(int(alert_columns.subject_key[same[0]]), _REMINDER, "", 0, "") if same else None
        )
        return _Place(subject, "", math.nan)
    asset = wanted.scope.asset
    if asset in alert_columns.assets:
        here = alert_columns.asset_key == alert_columns.assets.index(asset)
        keys = alert_columns.subject_key[
            here & (alert_columns.alert_class == AlertClass.MARKET)
        ].tolist()
        if keys:
            return _Place(Subject(keys[0], asset, "", 0, ""), asset, math.nan)
    return _Place(None, asset, math.nan)


def _of_position(wanted: NewAlert, members: Members) -> _Place:
    try:
        row = list(members.position_id).index(wanted.position_id)
    except ValueError as error:
        raise NotFound("POSITION_NOT_FOUND", f"no position {wanted.position_id[:80]!r}") from error
    asset = members.asset_names[members.asset_index[row]]
    if wanted.scope.asset not in ("", asset):
        raise _refused("INVALID_FIELD", "alert.asset", f"the position is in {asset}")
    wallet = members.wallet_names[members.wallet_index[row]]
    key, side = int(members.position_key[row]), int(members.side_sign[row])
    subject = Subject(key, wanted.position_id, wallet, side, "")
    return _Place(subject, asset, float(members.positions.metric(wanted.scope.type)[row]))


def _refused(reason: str, field: str, problem: str) -> InvalidArgument:
    return InvalidArgument(reason, f"{field}: {problem}", fields={field: problem})
