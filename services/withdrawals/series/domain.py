"""Views of a supply position over time, their aggregation, distribution and trend."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from services.withdrawals.gate.domain.gate import GateResult, GateSettings, residuals

Numbers = NDArray[np.float64]
Micros = NDArray[np.int64]

PERCENTILES = (10, 25, 50, 75, 90)
LEAST_BINS, MOST_BINS = 5, 100
DENSITY_POINTS = 128
_DAY_MICROS = 86_400_000_000.0
_MONTH_DAYS, _YEAR_DAYS = 30.0, 365.0
# How far from its outermost values a density is drawn, in bandwidths.
_DENSITY_MARGIN = 3.0
# Residuals times points of a density at once: a few MB.
_CHUNK = 500_000


class View(StrEnum):
    """What a series shows, and its unit."""

    POSITION = "POSITION"  # tokens
    CORRECTED = "CORRECTED"  # tokens, gain and base
    RESIDUAL = "RESIDUAL"  # tokens
    RATE_USD = "RATE_USD"  # USD a token
    RATE_ADA = "RATE_ADA"  # ADA a token
    GAIN_PERCENT = "GAIN_PERCENT"  # percent of the base


@dataclass(frozen=True, slots=True, eq=False)
class SupplyColumns:
    """A position at ascending times (microseconds since 1970): tokens, USD; NaN is not known.

    `base_units`: the position at the base, which gains are counted from; NaN: there is none.
    """

    time_micros: Micros
    position_units: Numbers
    gain_units: Numbers
    price_usd: Numbers
    ada_usd: Numbers
    base_units: float

    @property
    def corrected_units(self) -> Numbers:
        """The position as if nothing had been put in or taken out since the base."""
        return np.asarray(self.gain_units + self.base_units)


@dataclass(frozen=True, slots=True, eq=False)
class ViewSeries:
    """Points of a view, ascending; those not known are left out. `gate`: of RESIDUAL."""

    time_micros: Micros
    values: Numbers
    gate: GateResult | None = None


def view_series(view: View, columns: SupplyColumns, gate: GateSettings) -> ViewSeries:
    """A view of the position. RESIDUAL: of the corrected position within the gate's lookback, the
    last point judged by those before it.
    """
    if view is View.RESIDUAL:
        found = residuals(columns.time_micros, columns.corrected_units, gate)
        return ViewSeries(columns.time_micros[found.row], found.residual, found.result)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = _VIEWS[view](columns)
    known = np.isfinite(values)
    return ViewSeries(columns.time_micros[known], values[known])


_VIEWS: dict[View, Callable[[SupplyColumns], Numbers]] = {
    View.POSITION: lambda columns: columns.position_units,
    View.CORRECTED: lambda columns: columns.corrected_units,
    View.RATE_USD: lambda columns: columns.price_usd,
    View.RATE_ADA: lambda columns: columns.price_usd / columns.ada_usd,
    View.GAIN_PERCENT: lambda columns: 100.0 * columns.gain_units / columns.base_units,
}


@dataclass(frozen=True, slots=True, eq=False)
class SeriesBins:
    """Bins that hold a point, ascending; `percentiles`: a row a bin, a column a percentile."""

    start_micros: Micros
    point_count: NDArray[np.int64]
    percentiles: Numbers


def aggregate(time_micros: Micros, values: Numbers, width: timedelta) -> SeriesBins:
    """Type-7 percentiles of finite values in bins of `width` > 0, counted from 1970: a bin is the
    same whatever the range asked for.
    """
    micros = width // timedelta(microseconds=1)
    bin_of = time_micros // micros
    order = np.lexsort((values, bin_of))
    ordered, bin_of = values[order], bin_of[order]
    first = np.flatnonzero(np.diff(bin_of, prepend=bin_of[:1] - 1))
    count = np.diff(first, append=len(ordered))
    place = np.asarray(PERCENTILES) / 100.0 * (count - 1)[:, None]
    lower = place.astype(np.int64)
    upper = np.minimum(lower + 1, (count - 1)[:, None])
    low, high = ordered[first[:, None] + lower], ordered[first[:, None] + upper]
    return SeriesBins(bin_of[first] * micros, count, low + (high - low) * (place - lower))


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """`edges` ascending, one more than `counts`; both empty without values."""

    edges: Numbers
    counts: NDArray[np.int64]


def bin_count(point_count: int, points_per_bin: int) -> int:
    """Bins of a histogram that holds so many points a bin, 5 to 100."""
    return min(max(round(point_count / points_per_bin), LEAST_BINS), MOST_BINS)


def histogram(values: Numbers, points_per_bin: int) -> Histogram:
    """Bins of one width from the least to the largest of finite values."""
    if not len(values):
        return Histogram(np.empty(0), np.empty(0, np.int64))
    counts, edges = np.histogram(values, bin_count(len(values), points_per_bin))
    return Histogram(edges, counts)


@dataclass(frozen=True, slots=True, eq=False)
class KernelDensity:
    """A density (1 / unit of the values) at ascending values."""

    at: Numbers
    density: Numbers
    bandwidth: float


def kernel_density(values: Numbers, at: Numbers | None = None) -> KernelDensity | None:
    """A Gaussian kernel's, of bandwidth 1.06 * sd * n^(-1/5) (Silverman 1986).

    sd is the population's. `at`: by default 128 places, to three bandwidths beyond the outermost
    values. None where values do not differ: a density would be a needle.
    """
    spread = float(np.std(values)) if len(values) else 0.0
    if spread <= 1e-14 * float(np.abs(values).max(initial=0.0)):
        return None
    bandwidth = float(1.06 * spread * len(values) ** -0.2)
    if at is None:
        margin = _DENSITY_MARGIN * bandwidth
        at = np.linspace(values.min() - margin, values.max() + margin, DENSITY_POINTS)
    total = np.zeros(len(at))
    rows = max(1, _CHUNK // max(1, len(at)))
    for start in range(0, len(values), rows):
        away = (at[:, None] - values[start : start + rows]) / bandwidth
        total += np.exp(-0.5 * away**2).sum(axis=1)
    density = total / (len(values) * bandwidth * np.sqrt(2.0 * np.pi))
    return KernelDensity(at, density, bandwidth)


@dataclass(frozen=True, slots=True)
class Trend:
    """The slope of a straight line, in the unit of the values: 30 and 365 times that of a day."""

    per_month: float
    per_year: float


def trend(time_micros: Micros, values: Numbers) -> Trend | None:
    """By least squares over time of finite values; None for fewer than two times."""
    if len(values) < 2 or time_micros[0] == time_micros[-1]:
        return None
    day = (time_micros - time_micros[0]) / _DAY_MICROS
    day = day - day.mean()
    per_day = float(np.sum(day * (values - values.mean())) / np.sum(day * day))
    return Trend(per_day * _MONTH_DAYS, per_day * _YEAR_DAYS)
