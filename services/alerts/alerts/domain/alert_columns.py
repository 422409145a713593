"""All alerts as columns, in order of their key, with their last readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.estimates import NO_ESTIMATES, Estimates
from services.alerts.domain.kinds import (
    COOLDOWN_SECONDS,
    KIND_COUNT,
    METRICS,
    ReadingState,
    parts_of,
)

Column = NDArray[Any]

no_rows = partial(np.empty, 0, np.int64)
# What the table holds of an alert, fixed width: name -> (PostgreSQL type, dtype here).
ALERT_COLUMNS: Mapping[str, tuple[str, str]] = {
    "alert_key": ("int8", "i8"),
    "subject_key": ("int8", "i8"),
    "asset_key": ("int4", "i4"),
    "kind": ("int2", "i2"),
    "level": ("int2", "i1"),
    "previous_level": ("int2", "i1"),
    "notified_level": ("int2", "i1"),
    "kept_level": ("int2", "i1"),
    "notified_micros": ("int8", "i8"),
    "incident_count": ("int4", "i4"),
    "trigger_count": ("int4", "i4"),
    "last_triggered_micros": ("int8", "i8"),
    "created_micros": ("int8", "i8"),
    "starting_value": ("float8", "f8"),
    "trigger_value": ("float8", "f8"),
    "cooldown_seconds": ("int4", "i4"),
    "held_status": ("int2", "i1"),
    "held_level": ("int2", "i1"),
    "held_until_micros": ("int8", "i8"),
    "trait_bits": ("int2", "i1"),
    "revision": ("int4", "i4"),
    "digest_sequence": ("int8", "i8"),
}
# Traits: switched off by hand; has words of a person; was made by hand, with its own limit.
OFF_BIT, ANNOTATED_BIT, HAND_BIT = 1, 2, 4
# Beside a level in `Readings.falling`.
JUDGED_BIT = 8
# What an evaluation holds of an alert.
READING_COLUMNS: Mapping[str, str] = {
    "value": "f8",
    "observed_micros": "i8",
    "state": "i1",
    "falling": "i1",
}

# Class of each kind, 0 where there is no such kind.
CLASS_OF_KIND = np.zeros(KIND_COUNT, np.int8)
for _kind in range(KIND_COUNT):
    try:
        CLASS_OF_KIND[_kind] = METRICS[parts_of(_kind)[0]].alert_class
    except (KeyError, ValueError):
        continue


@dataclass(frozen=True, slots=True)
class Readings:
    """The last readings, row by row of the alerts; NaN: never known.

    `falling` is the memory of judge(), with JUDGED_BIT where this very observation was judged.
    """

    value: NDArray[np.float64]
    observed_micros: NDArray[np.int64]
    state: NDArray[np.int8]
    falling: NDArray[np.int8]

    @classmethod
    def none(cls, count: int) -> Readings:
        return cls(
            np.full(count, np.nan),
            np.zeros(count, np.int64),
            np.full(count, ReadingState.UNKNOWN, np.int8),
            np.zeros(count, np.int8),
        )

    @property
    def falling_level(self) -> NDArray[np.int8]:
        """The level the last judged observation would have let it fall to; 0 none."""
        return self.falling & ~np.int8(JUDGED_BIT)

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Whether a level was judged by this observation."""
        judged: NDArray[np.bool_] = self.falling & np.int8(JUDGED_BIT) != 0
        return judged

    def pick(self, rows: Column | slice) -> Readings:
        return Readings(*(getattr(self, field.name)[rows] for field in fields(self)))

    def followed_by(self, other: Readings) -> Readings:
        return Readings(
            *(
                np.concatenate([getattr(self, field.name), getattr(other, field.name)])
                for field in fields(self)
            )
        )


@dataclass(frozen=True, slots=True)
class AlertColumns:
    """Alerts, ascending by `alert_key`. subject_key: position key, 0 the portfolio, negative
    others.

    `asset_key` is an index into `assets`, of which the first is the empty name. Times in
    microseconds since 1970 UTC, 0 is never; NaN is absent.
    """

    assets: tuple[str, ...]
    alert_key: NDArray[np.int64]
    subject_key: NDArray[np.int64]
    asset_key: NDArray[np.int32]
    kind: NDArray[np.int16]
    level: NDArray[np.int8]
    previous_level: NDArray[np.int8]
    notified_level: NDArray[np.int8]
    kept_level: NDArray[np.int8]
    notified_micros: NDArray[np.int64]
    incident_count: NDArray[np.int32]
    trigger_count: NDArray[np.int32]
    last_triggered_micros: NDArray[np.int64]
    created_micros: NDArray[np.int64]
    starting_value: NDArray[np.float64]
    trigger_value: NDArray[np.float64]
    cooldown_seconds: NDArray[np.int32]
    held_status: NDArray[np.int8]
    held_level: NDArray[np.int8]
    held_until_micros: NDArray[np.int64]
    trait_bits: NDArray[np.int8]
    revision: NDArray[np.int32]
    digest_sequence: NDArray[np.int64]
    readings: Readings
    evaluated_micros: int = 0
    estimates: Estimates = NO_ESTIMATES

    def __len__(self) -> int:
        return len(self.alert_key)

    @classmethod
    def of(cls, assets: Sequence[str], columns: Mapping[str, Column]) -> AlertColumns:
        """Alerts from stored columns, without readings."""
        typed: dict[str, Any] = {
            name: _narrow(columns[name].astype(dtype, copy=False))
            for name, (_, dtype) in ALERT_COLUMNS.items()
        }
        return cls(tuple(assets), **typed, readings=Readings.none(len(typed["alert_key"])))

    @property
    def alert_class(self) -> NDArray[np.int8]:
        return CLASS_OF_KIND[self.kind]

    @property
    def automatic(self) -> NDArray[np.bool_]:
        """Alerts that thresholds or events made: one a kind and subject."""
        automatic: NDArray[np.bool_] = self.trait_bits & HAND_BIT == 0
        return automatic

    def rows_of(self, alert_keys: Column) -> NDArray[np.int64]:
        """Row of each key; -1 for a key that is not here."""
        if not len(self):
            return np.full(len(alert_keys), -1)
        rows = np.searchsorted(self.alert_key, alert_keys).clip(max=len(self) - 1)
        return np.where(self.alert_key[rows] == alert_keys, rows, -1)

    def with_readings(
        self,
        alert_key: Column,
        readings: Readings,
        evaluated_micros: int,
        estimates: Estimates = NO_ESTIMATES,
    ) -> AlertColumns:
        """The same alerts with what an evaluation saw; an alert made since has not been seen."""
        seen: dict[str, Any] = {"evaluated_micros": evaluated_micros, "estimates": estimates}
        if np.array_equal(alert_key, self.alert_key):
            return replace(self, readings=readings, **seen)
        rows = self.rows_of(alert_key)
        here = rows >= 0
        mine = Readings.none(len(self))
        for field in fields(mine):
            getattr(mine, field.name)[rows[here]] = getattr(readings, field.name)[here]
        return replace(self, readings=mine, **seen)

    def with_values(self, rows: Column, values: Mapping[str, Any]) -> AlertColumns:
        """Other values in some columns of these rows."""
        columns: dict[str, Any] = {}
        for name, fresh in values.items():
            columns[name] = getattr(self, name).copy()
            columns[name][rows] = fresh
            columns[name] = _narrow(columns[name])
        return replace(self, **columns)

    def stored(self, rows: Column | slice) -> dict[str, Any]:
        """The columns of these rows as the table holds them."""
        return {name: getattr(self, name)[rows] for name in ALERT_COLUMNS}

    def pick(self, rows: Column | slice) -> AlertColumns:
        """These rows alone."""
        return replace(self, **self.stored(rows), readings=self.readings.pick(rows))

    def without(self, rows: Column) -> AlertColumns:
        kept = np.ones(len(self), bool)
        kept[rows] = False
        left = self.pick(kept)
        narrow: dict[str, Any] = left.stored(slice(None))
        narrow = {name: _narrow(column) for name, column in narrow.items()}
        return replace(left, **narrow)

    def followed_by(self, assets: Sequence[str], columns: Mapping[str, Column]) -> AlertColumns:
        """More alerts, with higher keys, at the end."""
        more = AlertColumns.of(assets, columns)
        joined: dict[str, Any] = {
            name: _narrow(np.concatenate([getattr(self, name), getattr(more, name)]))
            for name in ALERT_COLUMNS
        }
        return replace(
            self, assets=tuple(assets), **joined, readings=self.readings.followed_by(more.readings)
        )


def _narrow(column: Column) -> Column:
    """A column of one value as a view of one place: of most alerts nobody set anything, and nothing
    happened yet.
    """
    if not len(column):
        return column
    first = column[0]
    if not _is(column[-1:], first).all() or not _is(column, first).all():
        return column
    return np.broadcast_to(column[:1].copy(), column.shape)


def _is(column: Column, value: Any) -> Column:
    """Where it is the value; NaN is NaN."""
    equal: Column = np.isnan(column) if np.isnan(value) else column == value
    return equal


def fresh_columns(count: int) -> dict[str, Column]:
    """Columns of `count` new alerts at NORMAL; the caller fills keys, subject, asset and kind."""
    columns = {name: np.zeros(count, dtype) for name, (_, dtype) in ALERT_COLUMNS.items()}
    columns["level"][:] = 1
    columns["previous_level"][:] = 1
    columns["starting_value"][:] = np.nan
    columns["trigger_value"][:] = np.nan
    columns["cooldown_seconds"][:] = COOLDOWN_SECONDS
    columns["revision"][:] = 1
    return columns


EMPTY = AlertColumns.of(
    [""], {name: np.empty(0, dtype) for name, (_, dtype) in ALERT_COLUMNS.items()}
)
