"""Limits by kind and asset, and what they make of the alerts; the same from cycle to cycle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import OFF_BIT, AlertColumns
from services.alerts.alerts.domain.alignment import ReadingIndex
from services.alerts.domain.kinds import KIND_COUNT, condition_number, is_reported
from services.alerts.domain.levels import signs

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Truths = NDArray[np.bool_]


class CompiledLimits:
    """What limits make of the alerts: the same until one comes, goes or is edited."""

    def __init__(self, tables: ThresholdTables, columns: AlertColumns) -> None:
        self._made_of = _compiled_from(columns)
        self.tables = tables
        self.reading_index = ReadingIndex(columns)
        self.active = tables.active(columns)
        self.judged = self.active & ~is_reported(columns.kind)
        self.sign = signs(condition_number(columns.kind)).astype(np.int8)
        # The first edge a rising danger meets; dangerous is high, BELOW in the mirror.
        of_kind = signs(condition_number(np.arange(KIND_COUNT)))[:, None, None]
        nearest = np.fmin.reduce(tables.limits * of_kind, axis=2)
        own = columns.trigger_value * self.sign
        self.nearest = np.where(np.isnan(own), nearest[columns.kind, columns.asset_key], own)

    def holds_for(self, tables: ThresholdTables, columns: AlertColumns) -> bool:
        """Whether it was made of these: columns are replaced, never changed."""
        return tables is self.tables and all(
            mine is theirs
            for mine, theirs in zip(self._made_of, _compiled_from(columns), strict=True)
        )


def _compiled_from(columns: AlertColumns) -> tuple[object, ...]:
    return (
        columns.subject_key,
        columns.kind,
        columns.asset_key,
        columns.trigger_value,
        columns.trait_bits,
        columns.assets,
    )


@dataclass(frozen=True, slots=True)
class ThresholdTables:
    """Limits (kind, asset, 3) and whether they judge (kind, asset); asset as in the alerts."""

    limits: Floats
    enabled: Truths

    def limits_of(self, columns: AlertColumns, rows: Integers | slice = slice(None)) -> Floats:
        """Limits of each row, (n, 3); an alert's own trigger replaces them: HIGH, else NORMAL."""
        limits: Floats = self.limits[columns.kind[rows], columns.asset_key[rows]]
        own = columns.trigger_value[rows]
        is_own = ~np.isnan(own)
        if is_own.any():
            limits[is_own] = own[is_own, None]
        return limits

    def active(self, columns: AlertColumns) -> Truths:
        """Rows that are judged and notified, the rest is INACTIVE; a death always is."""
        judged: Truths = self.enabled[columns.kind, columns.asset_key]
        active: Truths = judged | ~np.isnan(columns.trigger_value) | is_reported(columns.kind)
        on: Truths = active & (columns.trait_bits & OFF_BIT == 0)
        return on
