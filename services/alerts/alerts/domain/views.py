"""Alerts as people see them: one with its why, and all at a glance. Changes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import OFF_BIT, AlertColumns, Column
from services.alerts.alerts.domain.change_payload import alert_id, incident_id, moment, side_name
from services.alerts.alerts.domain.compiled_limits import ThresholdTables
from services.alerts.alerts.domain.digests import digest_id
from services.alerts.alerts.domain.evaluation import flip_values
from services.alerts.alerts.domain.incidents import IS_OPPORTUNITY
from services.alerts.alerts.domain.standing import Standing, why
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.domain.kinds import (
    METRICS,
    WITHDRAW_KIND,
    AlertClass,
    AlertStatus,
    AlertType,
    Condition,
    Level,
    Metric,
    ReadingState,
    is_reported,
    parts_of,
    type_number,
)
from services.alerts.domain.levels import next_limit, progress_percent
from services.alerts.notifications.domain import about
from shared.texts import spelled


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; None is absent, times in microseconds since 1970 UTC, 0 is never."""

    id: str
    type: AlertType
    alert_class: AlertClass
    asset: str
    position_id: str
    account_id: str
    account: str
    wallet: str
    side: str
    metric: str
    condition: Condition
    trigger_value: float | None
    starting_value: float | None
    level: Level
    previous_level: Level
    evaluated_value: float | None
    evaluated_micros: int
    reading_state: ReadingState
    status: AlertStatus
    last_triggered_micros: int
    cooldown_seconds: int
    trigger_count: int
    progress_percent: float | None
    description: str
    created_micros: int
    flip_value: float | None
    why: str
    incident_id: str
    notes: str
    channels: tuple[str, ...]
    held_level: int
    held_until_micros: int
    etag: str
    trigger_micros: int
    digest_id: str
    estimated_value: float | None = None
    mark_frozen_since_micros: int = 0


# What an alert shows as it is stored.
_AS_STORED = (
    "last_triggered_micros",
    "cooldown_seconds",
    "trigger_count",
    "created_micros",
    "held_level",
    "held_until_micros",
)


class Annotations(NamedTuple):
    """What a person wrote about an alert; no channels are those of its threshold."""

    notes: str = ""
    channels: tuple[str, ...] = ()


NO_ANNOTATIONS = Annotations()
_NO_WORDS: Mapping[str, Annotations] = MappingProxyType({})


def settings(columns: AlertColumns, row: int, annotations: Annotations) -> dict[str, Any]:
    """What people may set on an alert, by the names and in the words they know."""
    alert_type, condition = parts_of(int(columns.kind[row]))
    trigger = present(float(columns.trigger_value[row]))
    limit = {"trigger_value": trigger, "condition": condition.name}
    if alert_type is AlertType.TIME and trigger is not None:
        limit = {"trigger_time": moment(round(trigger * 1_000_000))}
    return {
        **limit,
        "starting_value": present(float(columns.starting_value[row])),
        "cooldown_seconds": int(columns.cooldown_seconds[row]),
        "status": "INACTIVE" if columns.trait_bits[row] & OFF_BIT else "ACTIVE",
        "channels": list(annotations.channels),
        "notes": annotations.notes,
    }


def etag(revision: int) -> str:
    return f"r{revision}"


def show(
    columns: AlertColumns,
    tables: ThresholdTables,
    rows: Sequence[int],
    subjects: Iterable[Subject],
    annotations: Mapping[str, Annotations] = _NO_WORDS,
) -> list[Alert]:
    """The alerts of rows, each with its subject; `annotations` by alert id."""
    shown, assets = columns.pick(np.array(rows, np.int64)), columns.assets
    # Rows of plain numbers: one by one out of an array, each would cost a call of numpy.
    shown_columns = {**shown.stored(slice(None)), "observed_micros": shown.readings.observed_micros}
    listed = zip(*(column.tolist() for column in shown_columns.values()), strict=True)
    return [
        _alert(dict(zip(shown_columns, row, strict=True)), assets, standing, subject, annotations)
        for row, standing, subject in zip(listed, _standings(shown, tables), subjects, strict=True)
    ]


def _alert(
    row: Mapping[str, Any],
    assets: Sequence[str],
    standing: Standing,
    subject: Subject,
    annotations: Mapping[str, Annotations],
) -> Alert:
    metric, trigger = METRICS[standing.type], present(row["trigger_value"])
    is_time, kind = standing.type is AlertType.TIME, metric.alert_class
    side = side_name(subject.side_sign, metric.alert_class)
    asset, key, start = assets[row["asset_key"]], row["alert_key"], present(row["starting_value"])
    id, is_normal = alert_id(key), standing.level is Level.NORMAL
    notes, channels = annotations.get(id, NO_ANNOTATIONS)
    return Alert(
        id=id,
        type=standing.type,
        alert_class=metric.alert_class,
        asset=asset,
        position_id=subject.name if kind is AlertClass.POSITION else "",
        account_id=subject.name if kind is AlertClass.ACCOUNT else "",
        account=subject.summary if kind is AlertClass.ACCOUNT else "",
        wallet=subject.wallet,
        side=side,
        metric=metric.name,
        condition=standing.condition,
        trigger_value=None if is_time else trigger,
        starting_value=start,
        level=standing.level,
        previous_level=Level(row["previous_level"]),
        evaluated_value=present(standing.value),
        evaluated_micros=row["observed_micros"],
        reading_state=_state(standing),
        status=_status(standing, row["held_status"]),
        progress_percent=_progress(standing, start),
        description=_description(subject, metric, asset, side),
        flip_value=present(standing.flip_value),
        why=why(standing),
        incident_id="" if is_normal else incident_id(key, row["incident_count"]),
        notes=notes,
        channels=channels,
        etag=etag(row["revision"]),
        trigger_micros=round(trigger * 1_000_000) if is_time and trigger is not None else 0,
        digest_id=digest_id(row["digest_sequence"]) if row["digest_sequence"] else "",
        estimated_value=present(standing.estimated_value),
        mark_frozen_since_micros=standing.mark_frozen_since_micros,
        **{name: row[name] for name in _AS_STORED},
    )


def _description(subject: Subject, metric: Metric, asset: str, side: str) -> str:
    if metric.alert_class is AlertClass.ACCOUNT:
        return f"{subject.summary} {metric.noun}"
    return subject.summary or f"{about(asset, side)} {metric.noun}"


def _standings(shown: AlertColumns, tables: ThresholdTables) -> Iterator[Standing]:
    """How each alert stands; a death is always known."""
    limits = tables.limits_of(shown)
    flip = flip_values(shown.kind, shown.level, shown.last_triggered_micros, limits)
    state = np.where(is_reported(shown.kind), ReadingState.FRESH, shown.readings.state)
    kinds, levels = map(parts_of, shown.kind.tolist()), map(Level, shown.level.tolist())
    keys, estimates = shown.subject_key.tolist(), shown.estimates
    for key, (alert_type, condition), level, *numbers in zip(
        keys,
        kinds,
        levels,
        shown.readings.value.tolist(),
        map(tuple, limits.tolist()),
        flip.tolist(),
        tables.active(shown).tolist(),
        (state != ReadingState.UNKNOWN).tolist(),
        (state == ReadingState.STALE).tolist(),
        strict=True,
    ):
        standing = Standing(alert_type, condition, level, *numbers)
        if estimates and METRICS[alert_type].alert_class is AlertClass.POSITION:
            value, since = estimates.of(key, alert_type)
            standing = replace(standing, estimated_value=value, mark_frozen_since_micros=since)
        yield standing


def _state(standing: Standing) -> ReadingState:
    if not standing.known:
        return ReadingState.UNKNOWN
    return ReadingState.STALE if standing.stale else ReadingState.FRESH


def _status(standing: Standing, held_status: int) -> AlertStatus:
    if not standing.active:
        return AlertStatus.INACTIVE
    return AlertStatus(held_status or AlertStatus.ACTIVE)


def present(number: float) -> float | None:
    return None if math.isnan(number) else float(number)


def _progress(standing: Standing, start: float | None) -> float | None:
    limit = next_limit(standing.level, standing.limits)
    if math.isnan(limit) or math.isnan(standing.value):
        return None
    return progress_percent(start, limit, standing.value)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which alerts; None and "" are any."""

    alert_class: AlertClass | None = None
    type: AlertType | None = None
    min_level: Level | None = None
    status: AlertStatus | None = None
    position_id: str = ""
    asset: str = ""
    position_ids: tuple[str, ...] = ()

    @property
    def names(self) -> Sequence[str]:
        """Of the positions that fit; none are any."""
        if self.position_id and self.position_ids:
            return [self.position_id] if self.position_id in self.position_ids else [""]
        return [self.position_id] if self.position_id else self.position_ids


def choose(
    columns: AlertColumns, active: Column, wanted: Filter, subject_keys: list[int] | None
) -> NDArray[np.bool_]:
    """Rows that fit; `subject_keys` are those of the positions asked for."""
    mask = np.ones(len(columns), bool)
    if wanted.alert_class is not None:
        mask &= columns.alert_class == wanted.alert_class
    if wanted.type is not None:
        mask &= type_number(columns.kind) == wanted.type
    if wanted.min_level is not None:
        mask &= columns.level >= wanted.min_level
    if wanted.status is not None:
        status = np.where(columns.held_status > 0, columns.held_status, AlertStatus.ACTIVE)
        mask &= np.where(active, status, AlertStatus.INACTIVE) == wanted.status
    if wanted.asset:
        names = spelled(wanted.asset, columns.assets)
        mask &= np.isin(columns.asset_key, [columns.assets.index(name) for name in names])
    if subject_keys is not None:
        mask &= np.isin(columns.subject_key, subject_keys) & (
            columns.alert_class == AlertClass.POSITION
        )
    return mask


_SHOWN = (
    "level",
    "previous_level",
    "incident_count",
    "trigger_count",
    "held_status",
    "held_level",
    "held_until_micros",
    "kind",
    "revision",
    "digest_sequence",
)


def changed_rows(before: AlertColumns, after: AlertColumns) -> NDArray[np.bool_]:
    """Rows of `after` that are new or look different; readings alone do not count."""
    rows = before.rows_of(after.alert_key)
    changed: NDArray[np.bool_] = rows < 0
    if not len(before):
        return changed
    for name in _SHOWN:
        changed |= getattr(before, name)[rows] != getattr(after, name)
    return changed


# Of all ranks that `urgency` gives.
MOST_URGENT = Level.HIGH + len(Level)
_BLOCK_ROWS = 16_384


def urgency(columns: AlertColumns) -> NDArray[np.int8]:
    """How early a list shows each alert: what is NORMAL last, before it news and first danger,
    each by its level: hundreds of positions in profit stand behind the one near liquidation.
    """
    ranks = columns.level.astype(np.int8)
    is_danger = ~IS_OPPORTUNITY[columns.kind] & (columns.kind != WITHDRAW_KIND)
    ranks[(ranks > Level.NORMAL) & is_danger] += len(Level)
    return ranks


def worst_first(
    ranks: NDArray[np.int8],
    keys: NDArray[np.int64],
    mask: NDArray[np.bool_],
    after: tuple[int, int] | None,
    size: int,
) -> list[tuple[int, int]]:
    """The next `size` + 1 of the chosen, each as (urgency, row): the most urgent first, then by
    key; `ranks`: the urgency of each row; `after`: (urgency, key).
    """
    found: list[tuple[int, int]] = []
    for rank in range(after[0] if after is not None else MOST_URGENT, -1, -1):
        chosen, start = mask & (ranks == rank), 0
        if after is not None and rank == after[0]:
            start = int(np.searchsorted(keys, after[1], side="right"))
        found += [(rank, row) for row in _first(chosen, start, size + 1 - len(found))]
        if len(found) > size:
            break
    return found


def _first(chosen: NDArray[np.bool_], start: int, count: int) -> list[int]:
    """The first so many rows from `start` on; of a full column only its beginning is looked at."""
    rows: list[int] = []
    while start < len(chosen) and len(rows) < count:
        end = start + _BLOCK_ROWS
        rows += (start + np.flatnonzero(chosen[start:end])).tolist()
        start = end
    return rows[:count]
