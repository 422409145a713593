"""One summary a metric: its level, its worst subject, what is raised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import AlertColumns, Column
from services.alerts.alerts.domain.views import present
from services.alerts.domain.kinds import (
    METRICS,
    REPORTED,
    AlertClass,
    AlertType,
    Condition,
    Level,
    ReadingState,
    parts_of,
)

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


def summarise(columns: AlertColumns, active: Column) -> list[MetricSummary]:
    """One per metric with active alerts; of two conditions the worse one gives the worst."""
    best: dict[AlertType, MetricSummary] = {}
    for kind in np.unique(columns.kind[active]).tolist():
        summary = _summary(columns, np.flatnonzero(active & (columns.kind == kind)), kind)
        other = best.get(summary.type)
        best[summary.type] = summary if other is None else _merged(other, summary)
    return [best[alert_type] for alert_type in sorted(best)]


def _summary(columns: AlertColumns, rows: NDArray[np.int64], kind: int) -> MetricSummary:
    alert_type, condition = parts_of(kind)
    sign = -1.0 if condition is Condition.BELOW else 1.0
    danger = np.where(
        np.isnan(columns.readings.value[rows]), -np.inf, columns.readings.value[rows] * sign
    )
    levels = np.bincount(columns.level[rows], minlength=len(Level) + 1).tolist()
    by_asset = np.full(len(columns.assets), -np.inf)
    np.maximum.at(by_asset, columns.asset_key[rows], danger)
    worst_by_asset = {
        asset: value * sign
        for asset, value in zip(columns.assets, by_asset.tolist(), strict=True)
        if asset and value > -np.inf
    }
    # Of equals the last one.
    place = len(danger) - 1 - int(np.argmax(danger[::-1]))
    worst = int(rows[place]) if danger[place] > -np.inf else None
    # What is reported is a fact, not a reading: it grows no older.
    is_read = alert_type not in REPORTED
    state = columns.readings.state[rows]
    unknown = (state == ReadingState.UNKNOWN) & (columns.level[rows] == Level.NORMAL)
    raised = np.flatnonzero(columns.level[rows] > Level.NORMAL)
    ranked = raised[np.lexsort((-danger[raised], -columns.level[rows[raised]].astype(np.int64)))]
    return MetricSummary(
        type=alert_type,
        alert_class=METRICS[alert_type].alert_class,
        level=Level(int(columns.level[rows].max())),
        worst_value=None if worst is None else float(columns.readings.value[worst]),
        worst_subject_key=None if worst is None else int(columns.subject_key[worst]),
        worst_asset="" if worst is None else columns.assets[columns.asset_key[worst]],
        alert_count=len(rows),
        stale_count=int((state != ReadingState.FRESH).sum()) if is_read else 0,
        unknown_count=int(unknown.sum()) if is_read else 0,
        level_count={level.name: levels[level] for level in Level},
        worst_by_asset=worst_by_asset,
        raised=[_raised(columns, row) for row in rows[ranked[:_MOST_RAISED]].tolist()],
        raised_count=len(raised),
    )


def _raised(columns: AlertColumns, row: int) -> Raised:
    return Raised(
        int(columns.subject_key[row]),
        columns.assets[columns.asset_key[row]],
        Level(int(columns.level[row])),
        present(float(columns.readings.value[row])),
        bool(columns.readings.state[row] != ReadingState.FRESH),
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
