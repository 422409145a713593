"""All holdings of an asset as one series: positions and corrected positions added up.

A holding absent from an instant is carried forward up to an age; an instant at which one is absent
for longer is left out, because missing is not zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.withdrawals.gains.domain.corrected_gain import GainSeries
from services.withdrawals.gains.domain.exact import span_micros
from services.withdrawals.gains.domain.samples import Floats, Micros, Units

DEFAULT_CARRY_AGE = timedelta(hours=3)


@dataclass(frozen=True, slots=True, eq=False)
class TotalSeries:
    """Ascending instants (microseconds since 1970), smallest units, USD a token."""

    time_micros: Micros
    units: Units
    gain_units: Units
    corrected_units: Units
    price_usd: Floats

    def __len__(self) -> int:
        return len(self.time_micros)


class _Events(NamedTuple):
    """What changes at an instant: by how much the totals do, how many holdings become absent."""

    time: Micros
    units: Units
    gain: Units
    absent: NDArray[np.int64]
    price: Floats


def total_series(
    series: Sequence[GainSeries], carry_age: timedelta = DEFAULT_CARRY_AGE
) -> TotalSeries:
    """The sum over holdings, in any order, at every instant from the first base on.

    Before its own base a holding adds nothing to the position, and its base's units to the
    corrected one: a wallet that comes later makes no step there.
    """
    if not series:
        none = np.empty(0, np.int64)
        return TotalSeries(none, none, none, none, np.empty(0))
    age = span_micros(carry_age)
    last = max(int(one.time_micros[-1]) for one in series)
    parts = [_events(one, age, last) for one in series]
    time, units, gain, absent, price = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    # Of one instant the lowest price goes first, so that the order of the holdings is nothing.
    order = np.lexsort((price, time))
    time, price = time[order], price[order]
    starts = np.flatnonzero(np.r_[True, time[1:] != time[:-1]])
    is_sampled = ~np.isnan(price[starts])
    sums = [np.cumsum(np.add.reduceat(column[order], starts)) for column in (units, gain, absent)]
    kept = is_sampled & (sums[2] == 0)
    base_units = sum(int(one.units[0]) for one in series)
    return TotalSeries(
        time[starts][kept],
        sums[0][kept],
        sums[1][kept],
        base_units + sums[1][kept],
        price[starts][kept],
    )


def _events(one: GainSeries, age: int, last: int) -> _Events:
    """A sample changes the totals by its difference; a gap begins an age after a sample (one
    microsecond on) and ends with the next one, or not at all.
    """
    time = one.time_micros
    row = np.flatnonzero(np.diff(time, append=last) > age)
    begin = time[row] + age + 1
    end = time[row[row < len(time) - 1] + 1]
    gap = np.r_[begin, end]
    none = np.zeros(len(gap), np.int64)
    step = np.r_[np.ones(len(begin), np.int64), -np.ones(len(end), np.int64)]
    return _Events(
        np.r_[time, gap],
        np.r_[np.diff(one.units, prepend=0), none],
        np.r_[np.diff(one.gain_units, prepend=0), none],
        np.r_[np.zeros(len(time), np.int64), step],
        np.r_[one.price_usd, np.full(len(gap), np.nan)],
    )
