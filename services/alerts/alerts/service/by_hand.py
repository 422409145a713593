"""Alerts made by hand: each is its own, beside those that thresholds make."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from services.alerts.alerts.domain.alert_columns import (
    HAND_BIT,
    AlertColumns,
    fresh_columns,
    no_rows,
)
from services.alerts.alerts.domain.change_payload import alert_id
from services.alerts.alerts.domain.missing_alerts import account_subject
from services.alerts.alerts.domain.subjects import Members, Subject
from services.alerts.alerts.domain.views import Alert
from services.alerts.alerts.service.alert_edits import AlertEdits, check_trigger, equal_rows
from services.alerts.alerts.service.queries import AlertQueries
from services.alerts.domain.kinds import (
    BY_HAND,
    METRICS,
    AlertClass,
    AlertType,
    Condition,
    kind_of,
)
from services.alerts.service.commits import Commits
from services.alerts.service.known_names import Channels, check_asset
from services.alerts.service.ports import PositionsPeer
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.store.service_state import ServiceState
from services.alerts.thresholds.domain import Scope
from shared.clock import micros_of
from shared.errors import AlreadyExists, InvalidArgument, NotFound, invalid

_REMINDER = "reminder"


@dataclass(frozen=True, slots=True)
class NewAlert:
    """An alert to be: what it judges, about whom, its limit, and the other fields that were given.

    `trigger` is in the metric's unit; of a TIME alert the moment, in seconds since 1970 UTC.
    """

    scope: Scope
    position_id: str
    account_id: str
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
        commits: Commits,
        positions: PositionsPeer,
        channels: Channels,
        edits: AlertEdits,
        queries: AlertQueries,
    ) -> None:
        self._cache = cache
        self._commits = commits
        self._positions = positions
        self._channels = channels
        self._edits = edits
        self._queries = queries

    async def create(self, wanted: NewAlert) -> Alert:
        """A new alert with its own limit; none that is there is changed.

        ALREADY_THERE with the id of an equal one, POSITION_NOT_FOUND, ACCOUNT_NOT_FOUND,
        POSITIONS_UNAVAILABLE, UNKNOWN_NAME, INVALID_FIELD, XCOM_UNAVAILABLE.
        """
        _check(wanted)
        await self._channels.check(wanted.values.get("channels", ()), (), "alert.channels")
        is_held = wanted.scope.alert_class in (AlertClass.POSITION, AlertClass.ACCOUNT)
        members = await self._positions.members() if is_held else None
        async with self._commits.edit() as edit:
            state, columns = edit.snapshot.service_state, edit.snapshot.columns
            if wanted.scope.alert_class is AlertClass.MARKET:
                check_asset(wanted.scope.asset, state, "alert.asset")
            place = _place(columns, wanted, members)
            _check_new(columns, wanted, place)
            subject = place.subject or _new_subject(state.next_subject_key, wanted)
            opened, after = self._opened(columns, state, wanted, place, subject)
            row, store = len(columns), edit.store
            if subject.subject_key:
                await store.subjects.write([subject])
            decision = await self._edits.decide(store, opened, after, row, wanted.values, "CREATED")
            known = len(columns.assets)
            await store.alerts.insert_assets(known, opened.assets[known:])
            await store.alerts.insert(decision.columns.stored(slice(row, None)))
            written = await edit.write(replace(decision, settings=no_rows()))
            (alert,) = await self._queries.shown(store, written, [row])
        return alert

    def _opened(
        self,
        columns: AlertColumns,
        state: ServiceState,
        wanted: NewAlert,
        place: _Place,
        subject: Subject,
    ) -> tuple[AlertColumns, ServiceState]:
        """The alerts with a new one at NORMAL, not written yet."""
        assets = columns.assets
        if place.asset not in assets:
            assets = (*assets, place.asset)
        made = fresh_columns(1)
        values = {
            "alert_key": state.next_alert_key,
            "subject_key": subject.subject_key,
            "asset_key": assets.index(place.asset),
            "kind": _kind(wanted),
            "trigger_value": wanted.trigger,
            "starting_value": place.start,
            "created_micros": micros_of(self._cache.clock.now()),
            "trait_bits": HAND_BIT,
        }
        for name, value in values.items():
            made[name][:] = value
        after = replace(
            state,
            next_alert_key=state.next_alert_key + 1,
            next_subject_key=state.next_subject_key - (place.subject is None),
            cleared_epoch=-1,
        )
        return columns.followed_by(assets, made), after


def _check(wanted: NewAlert) -> None:
    scope, name = wanted.scope, wanted.scope.type.name
    if scope.type not in BY_HAND:
        known = ", ".join(kind.name for kind in BY_HAND)
        raise _refused(
            "UNKNOWN_NAME", "alert.type", f"nobody makes a {name} by hand; one of {known}"
        )
    if scope.type is AlertType.TIME and scope.condition is not Condition.ABOVE:
        raise invalid("alert.condition", "a moment is reached: ABOVE, or none at all")
    if scope.condition is Condition.NONE:
        raise invalid("alert.condition", "ABOVE or BELOW")
    for noun, held_class in (("position", AlertClass.POSITION), ("account", AlertClass.ACCOUNT)):
        is_of, field = scope.alert_class is held_class, f"{noun}_id"
        if is_of is not bool(getattr(wanted, field)):
            raise invalid(f"alert.{field}", f"{name} is of {'its' if is_of else 'no'} {noun}")
    if scope.alert_class is AlertClass.MARKET and not scope.asset:
        raise invalid("alert.asset", f"{name} is of an asset")
    if scope.asset and scope.alert_class not in (AlertClass.MARKET, AlertClass.POSITION):
        raise invalid("alert.asset", f"{name} has no asset")
    check_trigger(scope.type, scope.condition, wanted.trigger, wanted.values.get("starting_value"))


def _check_new(columns: AlertColumns, wanted: NewAlert, place: _Place) -> None:
    if place.subject is None:
        return
    start = wanted.values.get("starting_value")
    key = place.subject.subject_key
    equal = equal_rows(
        columns, _kind(wanted), key, wanted.trigger, math.nan if start is None else start
    )
    if equal:
        id = alert_id(int(columns.alert_key[equal[0]]))
        problem = f"{id} says the same; change or delete that one"
        raise AlreadyExists("ALREADY_THERE", problem, metadata={"alert_id": id})


def _kind(wanted: NewAlert) -> int:
    return kind_of(wanted.scope.type, wanted.scope.condition)


def _new_subject(key: int, wanted: NewAlert) -> Subject:
    if wanted.scope.type is AlertType.TIME:
        return Subject(key, _REMINDER, "", 0, wanted.values.get("notes", ""))
    return Subject(key, wanted.scope.asset, "", 0, "")


def _place(columns: AlertColumns, wanted: NewAlert, members: Members | None) -> _Place:
    if members is not None:
        return (_of_account if wanted.account_id else _of_position)(wanted, members)
    if wanted.scope.alert_class is AlertClass.PORTFOLIO:
        return _Place(Subject(0, "", "", 0, ""), "", math.nan)
    if wanted.scope.type is AlertType.TIME:
        same = np.flatnonzero(
            (columns.kind == _kind(wanted)) & (columns.trigger_value == wanted.trigger)
        ).tolist()
        subject = Subject(int(columns.subject_key[same[0]]), _REMINDER, "", 0, "") if same else None
        return _Place(subject, "", math.nan)
    asset = wanted.scope.asset
    if asset in columns.assets:
        here = columns.asset_key == columns.assets.index(asset)
        keys = columns.subject_key[here & (columns.alert_class == AlertClass.MARKET)].tolist()
        if keys:
            return _Place(Subject(keys[0], asset, "", 0, ""), asset, math.nan)
    return _Place(None, asset, math.nan)


def _of_position(wanted: NewAlert, members: Members) -> _Place:
    try:
        row = list(members.position_id).index(wanted.position_id)
    except ValueError as error:
        raise NotFound("POSITION_NOT_FOUND", f"no position {wanted.position_id[:80]!r}") from error
    asset = members.asset_names[members.asset_index[row]]
    if wanted.scope.asset not in ("", asset.upper()):
        raise invalid("alert.asset", f"the position is in {asset}")
    wallet = members.wallet_names[members.wallet_index[row]]
    key, side = int(members.position_key[row]), int(members.side_sign[row])
    subject = Subject(key, wanted.position_id, wallet, side, "")
    return _Place(subject, asset, float(members.positions.metric(wanted.scope.type)[row]))


def _of_account(wanted: NewAlert, members: Members) -> _Place:
    accounts = members.positions.accounts
    for row, account in enumerate(accounts.rows):
        if account.id == wanted.account_id:
            value = float(accounts.figures[METRICS[wanted.scope.type].name][row])
            start = value if math.isfinite(value) else math.nan
            return _Place(account_subject(account), "", start)
    problem = f"no account {wanted.account_id[:80]!r} whose positions share a margin"
    raise NotFound("ACCOUNT_NOT_FOUND", problem)


def _refused(reason: str, field: str, problem: str) -> InvalidArgument:
    return InvalidArgument(reason, f"{field}: {problem}", fields={field: problem})
