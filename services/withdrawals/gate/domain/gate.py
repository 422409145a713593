"""The residual gate: whether the last point of a series lies where those before it let expect."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from services.withdrawals.gate.domain.baselines import (
    Baseline,
    median,
    moving_average,
    polynomial,
)
from services.withdrawals.gate.domain.robust import LEAST_POINTS, robust_forecast
from shared.errors import broken_rules

Numbers = NDArray[np.float64]
Micros = NDArray[np.int64]

MAX_ORDER = 5
# Rounding of sums over values of a size leaves residuals of about this share of it.
_ROUNDING = 1e-14


class GateMethod(StrEnum):
    """How the next point is expected."""

    ROBUST = "ROBUST"
    POLYNOMIAL = "POLYNOMIAL"
    MEDIAN = "MEDIAN"
    MOVING_AVERAGE = "MOVING_AVERAGE"


class GateBand(StrEnum):
    """How the band of every method but the robust one is made of the residuals before."""

    K_SIGMA = "K_SIGMA"
    QUANTILE = "QUANTILE"


class GateState(StrEnum):
    """What came of the gate."""

    EVALUATED = "EVALUATED"
    INSUFFICIENT_POINTS = "INSUFFICIENT_POINTS"
    # The residuals scatter by less than the tick: there is nothing to judge by.
    DEGENERATE_SCALE = "DEGENERATE_SCALE"


class GateSide(StrEnum):
    """Where the tested point lies."""

    INSIDE = "INSIDE"
    ABOVE = "ABOVE"
    BELOW = "BELOW"


@dataclass(frozen=True, slots=True)
class GateSettings:
    """How a point is judged. InvalidArgument INVALID_FIELD where one breaks its bounds.

    `order` of POLYNOMIAL, 0 to 5; `average_points`, odd >= 3, of MOVING_AVERAGE. The band of
    ROBUST leaves a share `alpha` outside, on both sides together; that of the others is `k_sigma`
    > 0 or the quantiles at `central_confidence` (both shares 0 to 1, without the ends). `lookback`
    > 0; `min_points` >= 3 before the tested one. `tick` > 0: the least step of the series, in its
    unit; no scale of ROBUST is smaller.
    """

    method: GateMethod = GateMethod.ROBUST
    order: int = 1
    average_points: int = 25
    band: GateBand = GateBand.K_SIGMA
    k_sigma: float = 2.0
    central_confidence: float = 0.68
    alpha: float = 0.05
    lookback: timedelta = timedelta(hours=168)
    min_points: int = 20
    tick: float = 1e-6

    def __post_init__(self) -> None:
        rules = {
            "order": (0 <= self.order <= MAX_ORDER, f"0 to {MAX_ORDER}"),
            "average_points": (
                self.average_points >= 3 and self.average_points % 2 == 1,
                "odd and at least 3",
            ),
            "k_sigma": (0 < self.k_sigma < np.inf, "above 0"),
            "central_confidence": (0 < self.central_confidence < 1, "between 0 and 1"),
            "alpha": (0 < self.alpha < 1, "between 0 and 1"),
            "lookback": (self.lookback > timedelta(0), "above 0"),
            "min_points": (self.min_points >= 3, "at least 3"),
            "tick": (0 < self.tick < np.inf, "above 0"),
        }
        if problems := {name: problem for name, (holds, problem) in rules.items() if not holds}:
            raise broken_rules("gate", problems)

    @property
    def least_points(self) -> int:
        """Before the tested one: as many as are asked for, or more where the method needs them."""
        if self.method is GateMethod.ROBUST:
            return max(self.min_points, LEAST_POINTS)
        if self.method is GateMethod.POLYNOMIAL:
            return max(self.min_points, self.order + 2)
        return self.min_points


@dataclass(frozen=True, slots=True)
class GateResult:
    """What the gate found, in the unit of the series; None unless there were points enough.

    `residual`: the tested point less `fit`; inside is `low` <= residual <= `high`. `sigma`: the
    scale of the residuals before. `side` only where EVALUATED. `point_count`: points before the
    tested one, within the lookback.
    """

    state: GateState
    point_count: int
    side: GateSide | None = None
    fit: float | None = None
    residual: float | None = None
    sigma: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class GateResiduals:
    """The residuals of the points looked at, the tested one last, and what the gate found.

    `row`: of each point in the series. Empty unless there were points enough; the first one of
    ROBUST has no point before it and none.
    """

    row: NDArray[np.intp]
    residual: Numbers
    result: GateResult


@dataclass(frozen=True, slots=True)
class _Expected:
    """The points before and the next one as a method has them, with its band."""

    fitted: Numbers
    next: float
    sigma: float
    low: float
    high: float


def judge(time_micros: Micros, values: Numbers, settings: GateSettings) -> GateResult:
    """The last point, judged by those before it within the lookback. See `residuals`."""
    return residuals(time_micros, values, settings).result


def residuals(time_micros: Micros, values: Numbers, settings: GateSettings) -> GateResiduals:
    """The series against its baseline, which the last point has no part in.

    `time_micros` ascend. Points follow each other by a step, whatever their times. Values that are
    not finite are left out; a last one that is not cannot be tested: INSUFFICIENT_POINTS.
    """
    span = settings.lookback // timedelta(microseconds=1)
    start = int(np.searchsorted(time_micros, time_micros[-1] - span)) if len(time_micros) else 0
    row = start + np.flatnonzero(np.isfinite(values[start:]))
    count = int(np.count_nonzero(row < len(values) - 1))
    if count == len(row) or count < settings.least_points:
        result = GateResult(GateState.INSUFFICIENT_POINTS, count)
        return GateResiduals(row[:0], np.empty(0), result)
    before, last = values[row[:-1]], float(values[row[-1]])
    # A tick that is lost in the rounding of the values is none.
    tick = max(settings.tick, _ROUNDING * float(np.abs(before).max()))
    expected = _expected(before, tick, settings)
    result = _result(expected, last, tick, count)
    residual = np.append(before - expected.fitted, last - expected.next)
    known = np.isfinite(residual)
    return GateResiduals(row[known], residual[known], result)


def _expected(before: Numbers, tick: float, settings: GateSettings) -> _Expected:
    if settings.method is GateMethod.ROBUST:
        forecast = robust_forecast(before, settings.alpha, tick)
        half = float(forecast.half_width)
        sigma, expected = float(forecast.scale), float(forecast.expected)
        return _Expected(forecast.fitted, expected, sigma, -half, half)
    baseline = _baseline(before, settings)
    residual = before - baseline.fitted
    # About their mean, which a median or a moving average does not leave at 0.
    sigma = float(np.std(residual))
    if settings.band is GateBand.K_SIGMA:
        high = settings.k_sigma * sigma
        return _Expected(baseline.fitted, baseline.expected, sigma, -high, high)
    outside = (1.0 - settings.central_confidence) / 2.0
    low, high = (float(one) for one in np.quantile(residual, (outside, 1.0 - outside)))
    return _Expected(baseline.fitted, baseline.expected, sigma, low, high)


def _baseline(before: Numbers, settings: GateSettings) -> Baseline:
    if settings.method is GateMethod.POLYNOMIAL:
        return polynomial(before, settings.order)
    if settings.method is GateMethod.MEDIAN:
        return median(before)
    return moving_average(before, settings.average_points)


def _result(expected: _Expected, last: float, tick: float, count: int) -> GateResult:
    residual = last - expected.next
    # Written so that a scale that overflowed is refused too.
    if not expected.sigma >= tick:
        state, side = GateState.DEGENERATE_SCALE, None
    else:
        state, side = GateState.EVALUATED, GateSide.INSIDE
        if residual > expected.high:
            side = GateSide.ABOVE
        elif residual < expected.low:
            side = GateSide.BELOW
    return GateResult(
        state,
        count,
        side,
        expected.next,
        residual,
        expected.sigma,
        expected.low,
        expected.high,
    )
