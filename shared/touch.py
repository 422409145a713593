"""How likely a series touches a level before a horizon is over, by its hours; pure, numpy.

Two laws: NORMAL, a logarithm that wanders without drift, and EMPIRICAL, what the same series did.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

HORIZON_HOURS: Final = 24
HALF_LIFE_HOURS: Final = 72.0
LEAST_RETURNS: Final = 24
# Ten half-lives of returns: what is older weighs less than a thousandth.
SIGMA_WINDOW_HOURS: Final = 720
START_WINDOW_HOURS: Final = 365 * 24
LEAST_STARTS: Final = 30 * 24
# What the starts of a year need: theirs, and what the volatility of the first of them is made of.
KEPT_HOURS: Final = START_WINDOW_HOURS + SIGMA_WINDOW_HOURS


class TouchModel(IntEnum):
    """Which law a probability comes from."""

    NORMAL = 1
    EMPIRICAL = 2


@dataclass(frozen=True, slots=True)
class Hours:
    """Hourly candles, 0 < low <= close <= high: columns of one length; `hour` counts from any
    origin and rises, an hour that nobody looked at is left out.
    """

    hour: NDArray[np.int64]
    high: Numbers
    low: Numbers
    close: Numbers

    def __len__(self) -> int:
        return len(self.hour)


@dataclass(frozen=True, slots=True)
class Moves:
    """The furthest logarithmic move of each start, upwards and downwards, in units of its sigma
    times the square root of the horizon; NaN where a start is left out.
    """

    up: Numbers
    down: Numbers


@dataclass(frozen=True, slots=True)
class History:
    """The moves of all starts that count, sorted: what a probability is looked up in."""

    up: Numbers
    down: Numbers

    def __len__(self) -> int:
        return len(self.up)

    @property
    def is_enough(self) -> bool:
        """Whether 30 days of starts are there."""
        return len(self) >= LEAST_STARTS

    @property
    def model(self) -> TouchModel:
        """By which law touches are likely, with this past."""
        return TouchModel.EMPIRICAL if self.is_enough else TouchModel.NORMAL


NO_HISTORY: Final = History(np.empty(0), np.empty(0))


def sigmas(hour: NDArray[np.int64], close: Numbers) -> Numbers:
    """Standard deviation of hourly log returns r at each hour, by that hour and those before.

    sqrt(sum(w r^2) / sum(w)) with w = 2^(-age / 72 h) over the last 720 hours, without drift. A
    return counts only between two hours in a row. NaN below 24 returns; 0 when nothing moved.
    """
    squares, counted = np.zeros((2, int(hour[-1] - hour[0]) + 1 if len(hour) else 0))
    follows = np.flatnonzero(np.diff(hour) == 1)
    places = (hour - hour[0])[follows + 1] if len(hour) else follows
    squares[places] = np.diff(np.log(close))[follows] ** 2
    counted[places] = 1.0
    if not len(hour):
        return np.empty(0)
    weights = np.exp2(-np.arange(SIGMA_WINDOW_HOURS - 1) / HALF_LIFE_HOURS)
    number = np.cumsum(counted)
    number[len(weights) :] -= number[: -len(weights)].copy()
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.convolve(squares, weights) / np.convolve(counted, weights)
    enough = number >= LEAST_RETURNS
    found: Numbers = np.where(enough, np.sqrt(variance[: len(number)]), np.nan)[hour - hour[0]]
    return found


def moves(hours: Hours, horizon_hours: int = HORIZON_HOURS) -> Moves:
    """Of each hour as a start: from its close to the highest high and the lowest low of the next
    hours. A start whose horizon is not over or not wholly known, or without a sigma > 0, is NaN.
    """
    up, down = np.full((2, len(hours)), np.nan)
    starts = len(hours) - horizon_hours
    if starts < 1:
        return Moves(up, down)
    sigma = sigmas(hours.hour, hours.close)[:starts]
    whole = hours.hour[horizon_hours:] - hours.hour[:starts] == horizon_hours
    reach = np.where(whole & (sigma > 0), sigma, np.nan) * np.sqrt(horizon_hours)
    start = np.log(hours.close[:starts])
    highest = sliding_window_view(np.log(hours.high[1:]), horizon_hours).max(axis=1)
    lowest = sliding_window_view(np.log(hours.low[1:]), horizon_hours).min(axis=1)
    up[:starts], down[:starts] = (highest - start) / reach, (start - lowest) / reach
    return Moves(up, down)


def history(hours: Hours, horizon_hours: int = HORIZON_HOURS) -> History:
    """The sorted moves of the starts of the last 365 days that are known."""
    if not len(hours):
        return NO_HISTORY
    found = moves(hours, horizon_hours)
    counts = (hours.hour > hours.hour[-1] - START_WINDOW_HOURS) & ~np.isnan(found.up)
    return History(np.sort(found.up[counts]), np.sort(found.down[counts]))


def empirical(past: Numbers, distance: Numbers) -> Numbers:
    """Share of the sorted moves that reach the distance, (k + 0.5) / (n + 1); NaN stays NaN.

    `distance`: |ln(present / level)| / (sigma now * sqrt(horizon)), >= 0, on the side of `past`.
    """
    reached = len(past) - np.searchsorted(past, distance, side="left")
    return np.where(np.isnan(distance), np.nan, (reached + 0.5) / (len(past) + 1.0))


def normal(distance: Numbers) -> Numbers:
    """2 * Phi(-distance), by the reflection principle; `distance` as of `empirical`."""
    return erfc(distance / np.sqrt(2.0))


# Coefficients of erfc, Numerical Recipes 3rd edition, 6.2.2; relative error < 1e-13 up to 20.
_ERFC: Final = (
    -1.3026537197817094,
    6.4196979235649026e-1,
    1.9476473204185836e-2,
    -9.561514786808631e-3,
    -9.46595344482036e-4,
    3.66839497852761e-4,
    4.2523324806907e-5,
    -2.0278578112534e-5,
    -1.624290004647e-6,
    1.303655835580e-6,
    1.5626441722e-8,
    -8.5238095915e-8,
    6.529054439e-9,
    5.059343495e-9,
    -9.91364156e-10,
    -2.27365122e-10,
    9.6467911e-11,
    2.394038e-12,
    -6.886027e-12,
    8.94487e-13,
    3.13092e-13,
    -1.12708e-13,
    3.81e-16,
    7.106e-15,
    -1.523e-15,
    -9.4e-17,
    1.21e-16,
    -2.8e-17,
)


def erfc(values: Numbers) -> Numbers:
    """Complementary error function of values >= 0; numpy has none."""
    step = 2.0 / (2.0 + values)
    doubled = 4.0 * step - 2.0
    older, newer = np.zeros_like(values), np.zeros_like(values)
    for coefficient in _ERFC[:0:-1]:
        older, newer = newer, doubled * newer - older + coefficient
    return step * np.exp(-values * values + 0.5 * (_ERFC[0] + doubled * newer) - older)
