"""What limits would make of the last readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.alerts.alerts.domain.alert_columns import OFF_BIT, AlertColumns
from services.alerts.alerts.domain.views import present
from services.alerts.domain.kinds import Condition, Level, ReadingState, kind_of
from services.alerts.domain.levels import raw_level
from services.alerts.thresholds.domain import Scope

# As many as a summary shows.
_MOST_RAISED = 20


@dataclass(frozen=True, slots=True)
class PreviewedRow:
    """An alert that would stand above NORMAL."""

    subject_key: int
    asset: str
    level: Level
    present_level: Level
    value: float | None
    stale: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """Counts of the alerts a threshold judges, and the worst of those it would raise."""

    alert_count: int
    unknown_count: int
    level_count: Mapping[str, int]
    raised_count: int
    changed_count: int
    worst: Sequence[PreviewedRow]


def preview(
    columns: AlertColumns,
    scope: Scope,
    limits: Sequence[float],
    is_judged: Sequence[bool],
) -> Preview:
    """Levels by the readings alone: no memory, no margin.

    `limits` low, medium, high, NaN for none; `is_judged`: whether by this threshold, by asset.
    """
    rows = np.flatnonzero(
        (columns.kind == kind_of(scope.type, scope.condition))
        & np.isnan(columns.trigger_value)
        & (columns.trait_bits & OFF_BIT == 0)
        & np.array(is_judged, bool)[columns.asset_key]
    )
    value = columns.readings.value[rows]
    known = ~np.isnan(value)
    sign = -1.0 if scope.condition is Condition.BELOW else 1.0
    level = raw_level(value, np.tile(np.array(limits), (len(rows), 1)), np.full(len(rows), sign))
    raised = np.flatnonzero(known & (level > Level.NORMAL))
    ranked = raised[np.lexsort((-sign * value[raised], -level[raised].astype(np.int64)))]
    counts = np.bincount(level[known], minlength=len(Level) + 1).tolist()
    return Preview(
        alert_count=len(rows),
        unknown_count=int((~known).sum()),
        level_count={each.name: counts[each] for each in Level},
        raised_count=len(raised),
        changed_count=int((known & (level != columns.level[rows])).sum()),
        worst=[
            _row(columns, int(rows[place]), int(level[place]))
            for place in ranked[:_MOST_RAISED].tolist()
        ],
    )


def _row(columns: AlertColumns, row: int, level: int) -> PreviewedRow:
    return PreviewedRow(
        int(columns.subject_key[row]),
        columns.assets[columns.asset_key[row]],
        Level(level),
        Level(int(columns.level[row])),
        present(float(columns.readings.value[row])),
        bool(columns.readings.state[row] == ReadingState.STALE),
    )
