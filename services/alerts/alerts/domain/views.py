"""Alerts as people see them: one with its why, and all at a glance. Changes nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import OFF_BIT, AlertColumns
from services.alerts.alerts.domain.change_payload import alert_id, incident_id, moment, side_name
from services.alerts.alerts.domain.evaluation import ThresholdTables, flip_values
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.domain.kinds import (
    METRICS,
    AlertClass,
    AlertStatus,
    AlertType,
    Condition,
    Level,
    ReadingState,
    parts_of,
)
from services.alerts.domain.levels import next_limit, progress_percent
from services.alerts.notifications.domain import Standing, why


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; None is absent, times in microseconds since 1970 UTC, 0 is never."""

    id: str
    type: AlertType
    alert_class: AlertClass
    asset: str
    position_id: str
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


class Annotations(NamedTuple):
    """What a person wrote about an alert; no channels are those of its threshold."""

    notes: str = ""
    channels: tuple[str, ...] = ()


NO_WORDS = Annotations()


def settings(alert_columns: AlertColumns, row: int, words: Annotations) -> dict[str, Any]:
    """What people may set on an alert, by the names and in the words they know."""
    alert_type, condition = parts_of(int(alert_columns.kind[row]))
    trigger = _present(float(alert_columns.trigger_value[row]))
    limit = {"trigger_value": trigger, "condition": condition.name}
    if alert_type is AlertType.TIME and trigger is not None:
        limit = {"trigger_time": moment(round(trigger * 1_000_000))}
    return {
        **limit,
        "starting_value": _present(float(alert_columns.starting_value[row])),
        "cooldown_seconds": int(alert_columns.cooldown_seconds[row]),
        "status": "INACTIVE" if alert_columns.trait_bits[row] & OFF_BIT else "ACTIVE",
        "channels": list(words.channels),
        "notes": words.notes,
    }


def etag(revision: int) -> str:
    return f"r{revision}"


def show(
    alert_columns: AlertColumns,
    tables: ThresholdTables,
    row: int,
    subject: Subject,
    words: Annotations = NO_WORDS,
) -> Alert:
    """The alert of a row."""
    standing = _standing(alert_columns.pick(np.array([row])), tables)
    metric, trigger = METRICS[standing.type], _present(float(alert_columns.trigger_value[row]))
    is_time = standing.type is AlertType.TIME
    is_position = metric.alert_class is AlertClass.POSITION
    side = side_name(subject.side_sign, metric.alert_class)
    asset = alert_columns.assets[alert_columns.asset_key[row]]
    key, start = int(alert_columns.alert_key[row]), _present(alert_columns.starting_value[row])
    incident = incident_id(key, int(alert_columns.incident_count[row]))
    return Alert(
        id=alert_id(key),
        type=standing.type,
        alert_class=metric.alert_class,
        asset=asset,
        position_id=subject.name if is_position else "",
        wallet=subject.wallet,
        side=side,
        metric=metric.name,
        condition=standing.condition,
        trigger_value=None if is_time else trigger,
        starting_value=start,
        level=standing.level,
        previous_level=Level(alert_columns.previous_level[row]),
        evaluated_value=_present(standing.value),
        evaluated_micros=int(alert_columns.readings.observed_micros[row]),
        reading_state=_state(standing),
        status=_status(standing, int(alert_columns.held_status[row])),
        last_triggered_micros=int(alert_columns.last_triggered_micros[row]),
        cooldown_seconds=int(alert_columns.cooldown_seconds[row]),
        trigger_count=int(alert_columns.trigger_count[row]),
        progress_percent=_progress(standing, start),
        description=subject.summary or f"{_about(asset, side)} {metric.noun}",
        created_micros=int(alert_columns.created_micros[row]),
        flip_value=_present(standing.flip_value),
        why=why(standing),
        incident_id="" if standing.level is Level.NORMAL else incident,
        notes=words.notes,
        channels=words.channels,
        held_level=int(alert_columns.held_level[row]),
        held_until_micros=int(alert_columns.held_until_micros[row]),
        etag=etag(int(alert_columns.revision[row])),
        trigger_micros=round(trigger * 1_000_000) if is_time and trigger is not None else 0,
    )


def _standing(one: AlertColumns, tables: ThresholdTables) -> Standing:
    """How the alert of columns of one stands; a death is always known."""
    alert_type, condition = parts_of(int(one.kind[0]))
    limits = tables.limits_of(one)
    low, medium, high = limits[0].tolist()
    state = ReadingState.FRESH if alert_type is AlertType.DEATH_NAIL else one.readings.state[0]
    return Standing(
        type=alert_type,
        condition=condition,
        level=Level(one.level[0]),
        value=float(one.readings.value[0]),
        limits=(low, medium, high),
        flip_value=float(flip_values(one.kind, one.level, one.last_triggered_micros, limits)[0]),
        active=bool(tables.active(one)[0]),
        known=state != ReadingState.UNKNOWN,
        stale=bool(state == ReadingState.STALE),
    )


def _state(standing: Standing) -> ReadingState:
    if not standing.known:
        return ReadingState.UNKNOWN
    return ReadingState.STALE if standing.stale else ReadingState.FRESH


def _status(standing: Standing, held_status: int) -> AlertStatus:
    if not standing.active:
        return AlertStatus.INACTIVE
    return AlertStatus(held_status or AlertStatus.ACTIVE)


def _about(asset: str, side: str) -> str:
    return " ".join(word for word in (asset, side.lower()) if word) or "portfolio"


def _present(number: float) -> float | None:
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


def choose(
    alert_columns: AlertColumns,
    tables: ThresholdTables,
    wanted: Filter,
    subject_keys: list[int] | None,
) -> NDArray[np.bool_]:
    """Rows that fit; `subject_keys` are those of the position asked for."""
    mask = np.ones(len(alert_columns), bool)
    if wanted.alert_class is not None:
        mask &= alert_columns.alert_class == wanted.alert_class
    if wanted.type is not None:
        mask &= alert_columns.kind // 4 == wanted.type
    if wanted.min_level is not None:
        mask &= alert_columns.level >= wanted.min_level
    if wanted.status is not None:
        status = np.where(
            alert_columns.held_status > 0, alert_columns.held_status, AlertStatus.ACTIVE
        )
        mask &= (
            np.where(tables.compiled_limits(alert_columns).active, status, AlertStatus.INACTIVE)
            == wanted.status
        )
    if wanted.asset:
        mask &= alert_columns.asset_key == (
            alert_columns.assets.index(wanted.asset) if wanted.asset in alert_columns.assets else -1
        )
    if subject_keys is not None:
        mask &= np.isin(alert_columns.subject_key, subject_keys) & (
            alert_columns.alert_class == AlertClass.POSITION
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
)


def changed_rows(before: AlertColumns, after: AlertColumns) -> NDArray[np.bool_]:
    """Rows of `after` that are new or of which people see something else; readings alone do not
    count.
    """
    rows = before.rows_of(after.alert_key)
    changed: NDArray[np.bool_] = rows < 0
    if not len(before):
        return changed
    for name in _SHOWN:
        changed |= getattr(before, name)[rows] != getattr(after, name)
    return changed


def worst_first(
    alert_columns: AlertColumns, mask: NDArray[np.bool_], after: tuple[int, int] | None, size: int
) -> list[int]:
    """The next rows, one more than `size`: highest level first, then by key; `after` is (level,
    key).
    """
    rows: list[int] = []
    for level in reversed(Level):
        if after is not None and level > after[0]:
            continue
        here = np.flatnonzero(mask & (alert_columns.level == level))
        if after is not None and level == after[0]:
            here = here[alert_columns.alert_key[here] > after[1]]
        rows += here[: size + 1 - len(rows)].tolist()
        if len(rows) > size:
            break
    return rows


# A book in a crash has more: those who show them say how many.
_MOST_RAISED = 20


@dataclass(frozen=True, slots=True)
class Raised:
    """A subject above NORMAL; `value` None = no reading."""

    subject_key: int
    asset: str
    level: Level
    value: float | None
    stale: bool


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """One metric of one class; `worst_subject_key` is None when no reading is known."""

    type: AlertType
    alert_class: AlertClass
    level: Level
    worst_value: float | None
    worst_subject_key: int | None
    worst_asset: str
    alert_count: int
    stale_count: int
    unknown_count: int
    level_count: Mapping[str, int]
    worst_by_asset: Mapping[str, float]
    raised: Sequence[Raised] = ()
    raised_count: int = 0


def summarise(alert_columns: AlertColumns, tables: ThresholdTables) -> list[MetricSummary]:
    """One per metric with active alerts; where both conditions are judged, the worse one gives the
    worst.
    """
    active = tables.compiled_limits(alert_columns).active
    best: dict[AlertType, MetricSummary] = {}
    for kind in np.unique(alert_columns.kind[active]).tolist():
        summary = _summary(
            alert_columns, np.flatnonzero(active & (alert_columns.kind == kind)), kind
        )
        other = best.get(summary.type)
        best[summary.type] = summary if other is None else _merged(other, summary)
    return [best[alert_type] for alert_type in sorted(best)]


def _summary(alert_columns: AlertColumns, rows: NDArray[np.int64], kind: int) -> MetricSummary:
    alert_type, condition = parts_of(kind)
    sign = -1.0 if condition is Condition.BELOW else 1.0
    danger = np.where(
        np.isnan(alert_columns.readings.value[rows]),
        -np.inf,
        alert_columns.readings.value[rows] * sign,
    )
    levels = np.bincount(alert_columns.level[rows], minlength=len(Level) + 1).tolist()
    by_asset = np.full(len(alert_columns.assets), -np.inf)
    np.maximum.at(by_asset, alert_columns.asset_key[rows], danger)
    worst_by_asset = {
        asset: value * sign
        for asset, value in zip(alert_columns.assets, by_asset.tolist(), strict=True)
        if asset and value > -np.inf
    }
    # Of equals the last one.
    place = len(danger) - 1 - int(np.argmax(danger[::-1]))
    worst = int(rows[place]) if danger[place] > -np.inf else None
    # A death is a fact, not a reading: it grows no older.
    is_read = alert_type is not AlertType.DEATH_NAIL
    state = alert_columns.readings.state[rows]
    unknown = (state == ReadingState.UNKNOWN) & (alert_columns.level[rows] == Level.NORMAL)
    raised = np.flatnonzero(alert_columns.level[rows] > Level.NORMAL)
    ranked = raised[
        np.lexsort((-danger[raised], -alert_columns.level[rows[raised]].astype(np.int64)))
    ]
    return MetricSummary(
        type=alert_type,
        alert_class=METRICS[alert_type].alert_class,
        level=Level(int(alert_columns.level[rows].max())),
        worst_value=None if worst is None else float(alert_columns.readings.value[worst]),
        worst_subject_key=None if worst is None else int(alert_columns.subject_key[worst]),
        worst_asset="" if worst is None else alert_columns.assets[alert_columns.asset_key[worst]],
        alert_count=len(rows),
        stale_count=int((state != ReadingState.FRESH).sum()) if is_read else 0,
        unknown_count=int(unknown.sum()) if is_read else 0,
        level_count={level.name: levels[level] for level in Level},
        worst_by_asset=worst_by_asset,
        raised=[_raised(alert_columns, row) for row in rows[ranked[:_MOST_RAISED]].tolist()],
        raised_count=len(raised),
    )


def _raised(alert_columns: AlertColumns, row: int) -> Raised:
    return Raised(
        int(alert_columns.subject_key[row]),
        alert_columns.assets[alert_columns.asset_key[row]],
        Level(int(alert_columns.level[row])),
        _present(float(alert_columns.readings.value[row])),
        bool(alert_columns.readings.state[row] != ReadingState.FRESH),
    )


def _merged(one: MetricSummary, other: MetricSummary) -> MetricSummary:
    leader, second = (one, other) if one.level >= other.level else (other, one)
    return MetricSummary(
        type=leader.type,
        alert_class=leader.alert_class,
        level=leader.level,
        worst_value=leader.worst_value,
        worst_subject_key=leader.worst_subject_key,
        worst_asset=leader.worst_asset,
        alert_count=one.alert_count + other.alert_count,
        stale_count=one.stale_count + other.stale_count,
        unknown_count=one.unknown_count + other.unknown_count,
        level_count={
            name: one.level_count[name] + other.level_count[name] for name in one.level_count
        },
        worst_by_asset={**second.worst_by_asset, **leader.worst_by_asset},
        raised=sorted((*leader.raised, *second.raised), key=lambda one: -one.level)[:_MOST_RAISED],
        raised_count=one.raised_count + other.raised_count,
    )
