"""Alerts changed by hand: own limits, words, channels, cooldown, on and off."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from services.alerts.alerts.domain.alert_columns import (
    ANNOTATED_BIT,
    HAND_BIT,
    OFF_BIT,
    AlertColumns,
)
from services.alerts.alerts.domain.change_payload import alert_id, incident_id
from services.alerts.alerts.domain.views import Alert, Annotations, present, settings
from services.alerts.alerts.service.queries import AlertQueries
from services.alerts.domain.kinds import (
    LONGEST_QUIET_SECONDS,
    METRICS,
    REPORTED,
    TIME_KIND,
    AlertStatus,
    AlertType,
    Condition,
    Level,
    kind_of,
    parts_of,
    type_number,
)
from services.alerts.ledger.domain.chain import Entry
from services.alerts.service.commits import Commits, Decision, Entries, Notice
from services.alerts.service.known_names import Channels
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.store.service_state import ServiceState, new_version
from services.alerts.store.unit_of_work import Store
from shared.errors import AlreadyExists, invalid
from shared.rpc import call

EDITABLE = (
    "notes",
    "channels",
    "trigger_value",
    "trigger_time",
    "condition",
    "starting_value",
    "cooldown",
    "status",
)


class AlertEdits:
    """What people set on single alerts."""

    def __init__(
        self, cache: SnapshotCache, commits: Commits, channels: Channels, queries: AlertQueries
    ) -> None:
        self._cache = cache
        self._commits = commits
        self._channels = channels
        self._queries = queries

    async def update(self, id: str, etag: str, values: Mapping[str, Any]) -> Alert:
        """Change fields of EDITABLE.

        ALERT_NOT_FOUND, ETAG_MISMATCH, ALREADY_THERE, INVALID_FIELD, UNKNOWN_NAME,
        XCOM_UNAVAILABLE.
        """
        if values.get("channels"):
            async with self._cache.begin_reading() as store:
                before = await _annotations(store, id)
            await self._channels.check(values["channels"], before.channels, "alert.channels")
        async with self._commits.edit() as edit:
            row = edit.snapshot.row(id, etag)
            columns, state = edit.snapshot.columns, edit.snapshot.service_state
            decision = await self.decide(edit.store, columns, state, row, values, "UPDATED")
            after = await edit.write(decision)
            (alert,) = await self._queries.shown(edit.store, after, [row])
        return alert

    async def decide(
        self,
        store: Store,
        columns: AlertColumns,
        state: ServiceState,
        row: int,
        values: Mapping[str, Any],
        reason: str,
    ) -> Decision[None]:
        """These fields of an alert set, with their record; texts are written at once."""
        rows, fresh = np.array([row]), _columns(columns, row, values)
        id = alert_id(int(columns.alert_key[row]))
        annotations = known = await _annotations(store, id)
        if "notes" in values or "channels" in values:
            annotations = Annotations(
                values.get("notes", known.notes), tuple(values.get("channels", known.channels))
            )
            await store.annotations.put(id, annotations)
            bits = fresh.get("trait_bits", int(columns.trait_bits[row]))
            fresh["trait_bits"] = bits | ANNOTATED_BIT
            if columns.kind[row] == TIME_KIND:
                await store.subjects.describe(int(columns.subject_key[row]), annotations.notes)
        after = columns.with_values(rows, {**fresh, "revision": int(columns.revision[row]) + 1})
        was = {} if reason == "CREATED" else settings(columns, row, known)
        entry = self._entry(after, row, was, settings(after, row, annotations), reason)
        is_off = values.get("status") is AlertStatus.INACTIVE
        # Who switches it off knows of it: nobody else needs to be woken.
        notices = [Notice(0, noted=True)] if is_off and columns.level[row] > Level.NORMAL else []
        return Decision(
            None,
            replace(state, alert_version=new_version()),
            after,
            settings=rows,
            entries=Entries.of([entry], notices),
        )

    def _entry(
        self,
        after: AlertColumns,
        row: int,
        was: Mapping[str, Any],
        now_is: Mapping[str, Any],
        reason: str,
    ) -> Entry:
        """Every field that changed, as it was and as it is, in the words people use for it."""
        changed = [name for name in now_is if not was or was[name] != now_is[name]]
        inputs: dict[str, Any] = {
            "before": {name: was[name] for name in changed} if was else None,
            "after": {name: now_is[name] for name in changed},
        }
        if after.level[row] > Level.NORMAL:
            key, count = int(after.alert_key[row]), int(after.incident_count[row])
            inputs["incident_id"] = incident_id(key, count)
        level, value = int(after.level[row]), present(float(after.readings.value[row]))
        actor = call.person()
        id, kind = alert_id(int(after.alert_key[row])), int(after.kind[row])
        now, text = self._cache.clock.now(), json.dumps(inputs)
        return Entry(
            now, id, type_number(kind), actor, reason, level, level, value, None, text, "", ""
        )


async def _annotations(store: Store, id: str) -> Annotations:
    return (await store.annotations.read([id])).get(id, Annotations())


def _columns(columns: AlertColumns, row: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields mean in columns of the row."""
    fresh: dict[str, Any] = {}
    kind = int(columns.kind[row])
    _check_fields(kind, set(values))
    if "trigger_time" in values:
        fresh["trigger_value"] = values["trigger_time"]
    for name in ("trigger_value", "starting_value"):
        if name in values:
            fresh[name] = math.nan if values[name] is None else values[name]
    if "cooldown" in values:
        fresh["cooldown_seconds"] = cooldown_seconds(values["cooldown"], "alert.cooldown")
    if "status" in values:
        bits = int(columns.trait_bits[row]) & ~OFF_BIT
        fresh["trait_bits"] = bits | (OFF_BIT if values["status"] is AlertStatus.INACTIVE else 0)
    is_reported = AlertType(type_number(kind)) in REPORTED
    if "condition" in values and not is_reported:
        other = kind_of(type_number(kind), values["condition"])
        if other != kind:
            fresh["kind"] = other
    _check_limit(columns, row, fresh)
    return fresh


def _check_fields(kind: int, names: set[str]) -> None:
    """INVALID_FIELD for a field that alerts of this kind do not have."""
    if AlertType(type_number(kind)) in REPORTED and names - {"notes", "channels", "cooldown"}:
        problem = "what a service reports has no limit and nobody switches it off"
        raise invalid("alert.type", problem)
    if kind == TIME_KIND and names & {"trigger_value", "condition", "starting_value"}:
        raise invalid(
            "alert.trigger_time", "a TIME alert has a moment, trigger_time, and no other limit"
        )
    if kind != TIME_KIND and "trigger_time" in names:
        raise invalid(
            "alert.trigger_time", "only a TIME alert has a moment; others have trigger_value"
        )


def _check_limit(columns: AlertColumns, row: int, fresh: Mapping[str, Any]) -> None:
    """INVALID_FIELD for a limit without sense, ALREADY_THERE for that of an equal alert."""
    kind = int(fresh.get("kind", columns.kind[row]))
    trigger = float(fresh.get("trigger_value", columns.trigger_value[row]))
    is_by_hand = bool(columns.trait_bits[row] & HAND_BIT)
    if not fresh.keys() & {"kind", "trigger_value", "starting_value"}:
        return
    if math.isnan(trigger):
        if is_by_hand:
            problem = (
                "an alert made by hand has a limit of its own; delete it to leave it to the "
                "thresholds"
            )
            raise invalid("alert.trigger_value", problem)
        if "kind" in fresh:
            problem = "only an alert with its own trigger_value has its own condition"
            raise invalid("alert.condition", problem)
        return
    alert_type, condition = parts_of(kind)
    check_trigger(alert_type, condition, trigger, fresh.get("starting_value"))
    if is_by_hand:
        start = float(fresh.get("starting_value", columns.starting_value[row]))
        equal = equal_rows(columns, kind, int(columns.subject_key[row]), trigger, start)
    else:
        same = (columns.kind == kind) & (columns.subject_key == columns.subject_key[row])
        equal = np.flatnonzero(same & (columns.trait_bits & HAND_BIT == 0)).tolist()
    if [other for other in equal if other != row]:
        raise AlreadyExists(
            "ALREADY_THERE", "this subject has an alert with that condition; change that one"
        )


def equal_rows(
    columns: AlertColumns, kind: int, subject_key: int, trigger: float, start: float
) -> list[int]:
    """Alerts made by hand that say the same; a DELTA_CHANGE by the same start too."""
    same = (
        (columns.kind == kind)
        & (columns.subject_key == subject_key)
        & (columns.trigger_value == trigger)
    )
    same &= columns.trait_bits & HAND_BIT != 0
    if type_number(kind) == AlertType.DELTA_CHANGE:
        same &= (columns.starting_value == start) | (
            np.isnan(columns.starting_value) & math.isnan(start)
        )
    return [int(row) for row in np.flatnonzero(same)]


def check_trigger(
    alert_type: AlertType, condition: Condition, trigger: float, start: float | None = None
) -> None:
    """INVALID_FIELD for a limit outside what its metric can be, or a start that is no price."""
    problem = METRICS[alert_type].limit_problem(trigger)
    if alert_type is AlertType.DELTA_CHANGE:
        wrong = trigger <= 0 if condition is Condition.ABOVE else trigger >= 0
        problem = problem or ("ABOVE needs a rise above 0, BELOW a fall below 0" if wrong else "")
        if start is not None and not 0 < start < math.inf:
            raise invalid(
                "alert.starting_value", "a price above 0; absent takes the next fresh one"
            )
    if problem:
        raise invalid("alert.trigger_value", problem)


def cooldown_seconds(seconds: float | None, field: str) -> int:
    """INVALID_FIELD unless 0 to 7 days."""
    if seconds is None or not 0 <= seconds <= LONGEST_QUIET_SECONDS:
        raise invalid(field, "0 to 7 days")
    return round(seconds)
