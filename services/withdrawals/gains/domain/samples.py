"""Supply samples as columns, cleaned and in order; a year of hourly samples is no year of objects.

Units and times are exact integers. Prices and exchange rates are float64: what a provider tells
as a JSON number loses nothing there, and no balance is summed from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.withdrawals.gains.domain.exact import UnitScale, exact_micros
from services.withdrawals.gains.domain.flows import Holding

Micros = NDArray[np.int64]
Units = NDArray[np.int64]
Floats = NDArray[np.float64]

# int64 has no NaN: units that are not known.
ABSENT_UNITS = int(np.iinfo(np.int64).min)


class LeftOutReason(IntEnum):
    """Why a sample does not count."""

    MISSING_UNITS = 1
    NEGATIVE_UNITS = 2
    MISSING_PRICE = 3
    BAD_PRICE = 4
    # Told twice alike: the other one counts.
    DUPLICATE = 5
    # Two of one instant differ in units: neither counts.
    CONFLICTING = 6


@dataclass(frozen=True, slots=True)
class SupplySample:
    """One sample at the edge: tokens held, USD a token; None is not known."""

    holding: Holding
    time: datetime
    units: Decimal | None
    price_usd: float | None
    receipt_units: Decimal | None = None
    exchange_rate: float | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Samples that do not count: row in the input and `LeftOutReason`, ascending by row."""

    row: NDArray[np.int64]
    reason: NDArray[np.int8]

    def counts(self) -> dict[LeftOutReason, int]:
        return {
            LeftOutReason(int(reason)): int(count)
            for reason, count in zip(*np.unique(self.reason, return_counts=True), strict=True)
        }


@dataclass(frozen=True, slots=True)
class SampleColumns:
    """Samples as told, row by row in any order. `holding_key`: index into `holdings`.

    `units` and `receipt_units` in smallest units of the asset's scale, ABSENT_UNITS where not
    known; `price_usd` and `exchange_rate` NaN where not known; times in microseconds since 1970.
    """

    holdings: tuple[Holding, ...]
    holding_key: NDArray[np.int64]
    time_micros: Micros
    units: Units
    price_usd: Floats
    receipt_units: Units
    exchange_rate: Floats

    def __len__(self) -> int:
        return len(self.time_micros)

    @classmethod
    def of(cls, samples: Sequence[SupplySample], scale: UnitScale) -> SampleColumns:
        """Columns of a few samples (an import, one evaluation). InvalidArgument: naive time."""
        holdings = tuple(sorted({sample.holding for sample in samples}))
        keys = {holding: key for key, holding in enumerate(holdings)}

        def units_of(amounts: Sequence[Decimal | None]) -> Units:
            return np.array(
                [ABSENT_UNITS if one is None else scale.smallest(one) for one in amounts], np.int64
            )

        return cls(
            holdings,
            np.array([keys[sample.holding] for sample in samples], np.int64),
            np.array([exact_micros(sample.time, "sample.time") for sample in samples], np.int64),
            units_of([sample.units for sample in samples]),
            np.array([sample.price_usd for sample in samples], np.float64),
            units_of([sample.receipt_units for sample in samples]),
            np.array([sample.exchange_rate for sample in samples], np.float64),
        )

    def pick(self, rows: NDArray[Any] | slice) -> SampleColumns:
        """These rows alone, in their order."""
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return SampleColumns(self.holdings, **columns)

    def between(self, start_row: int, end_row: int) -> SampleColumns:
        return self.pick(slice(start_row, end_row))


_COLUMNS = tuple(field.name for field in fields(SampleColumns) if field.name != "holdings")


@dataclass(frozen=True, slots=True)
class SupplySamples:
    """Samples that count, ascending by holding and time, one an instant.

    `start_row[k]` to `start_row[k + 1]` are the rows of holding k. A receipt count below 0 and a
    rate that is not above 0 are taken as not known.
    """

    columns: SampleColumns
    start_row: NDArray[np.int64]
    left_out: LeftOut

    @property
    def holdings(self) -> tuple[Holding, ...]:
        return self.columns.holdings

    def of_holding(self, holding: Holding) -> SampleColumns:
        """The rows of one holding; none for one that has no sample."""
        if holding not in self.holdings:
            return self.columns.between(0, 0)
        key = self.holdings.index(holding)
        return self.columns.between(int(self.start_row[key]), int(self.start_row[key + 1]))


def clean_samples(told: SampleColumns, until_micros: int | None = None) -> SupplySamples:
    """What counts of the samples up to a moment (included), sorted, and what was left out and why.

    The order of the rows and of the holdings changes nothing.
    """
    reason = _unusable(told)
    is_there = np.ones(len(told), bool)
    if until_micros is not None:
        is_there = told.time_micros <= until_micros
    row = np.flatnonzero(is_there & (reason == 0))
    by_name = sorted(range(len(told.holdings)), key=lambda key: told.holdings[key])
    rank = np.empty(len(by_name), np.int64)
    rank[by_name] = np.arange(len(by_name))
    key, time = rank[told.holding_key[row]], told.time_micros[row]
    if not _ascending(key, time):
        # The other columns decide among rows of one instant, so that the input's order does not;
        # `~` puts absent receipts last, as NaN is.
        others = (told.price_usd, ~told.receipt_units, told.exchange_rate, told.units)
        order = np.lexsort((*(column[row] for column in others), time, key))
        row, key, time = row[order], key[order], time[order]
        fate = _repeated(key, time, told.units[row])
        reason[row] = fate
        row, key = row[fate == 0], key[fate == 0]
    columns = told.pick(row)
    holdings = tuple(told.holdings[old] for old in by_name)
    receipts = np.where(columns.receipt_units < 0, ABSENT_UNITS, columns.receipt_units)
    rate = np.where(
        np.isfinite(columns.exchange_rate) & (columns.exchange_rate > 0),
        columns.exchange_rate,
        np.nan,
    )
    columns = SampleColumns(
        holdings, key, columns.time_micros, columns.units, columns.price_usd, receipts, rate
    )
    start_row = np.searchsorted(key, np.arange(len(holdings) + 1))
    out = np.flatnonzero(is_there & (reason != 0))
    return SupplySamples(columns, start_row, LeftOut(out, reason[out]))


def _unusable(told: SampleColumns) -> NDArray[np.int8]:
    """The reason of each row, 0 where it counts; the units' reason goes before the price's."""
    reason = np.zeros(len(told), np.int8)
    reason[~(np.isfinite(told.price_usd) & (told.price_usd > 0))] = LeftOutReason.BAD_PRICE
    reason[np.isnan(told.price_usd)] = LeftOutReason.MISSING_PRICE
    reason[told.units < 0] = LeftOutReason.NEGATIVE_UNITS
    reason[told.units == ABSENT_UNITS] = LeftOutReason.MISSING_UNITS
    return reason


def _ascending(key: NDArray[np.int64], time: Micros) -> bool:
    rises = (key[1:] > key[:-1]) | ((key[1:] == key[:-1]) & (time[1:] > time[:-1]))
    return bool(rises.all())


def _repeated(key: NDArray[np.int64], time: Micros, units: Units) -> NDArray[np.int8]:
    """DUPLICATE for all but the first of an instant; CONFLICTING for all where units differ."""
    fate = np.zeros(len(time), np.int8)
    if not len(time):
        return fate
    starts = np.r_[True, (key[1:] != key[:-1]) | (time[1:] != time[:-1])]
    fate[~starts] = LeftOutReason.DUPLICATE
    instant = np.cumsum(starts) - 1
    # Sorted by units first within an instant, so that its first and last row are the extremes.
    differs = units != units[np.flatnonzero(starts)][instant]
    torn = np.unique(instant[differs])
    fate[np.isin(instant, torn)] = LeftOutReason.CONFLICTING
    return fate
