"""A robust forecast of the next point: a Huber line on the series whitened by a robust AR(1).

Works along the last axis, so that many series of one length are forecast at once.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.withdrawals.gate.domain.student import student_quantile

Numbers = NDArray[np.float64]

# Below it the corrected correlation and its leverage mean nothing.
LEAST_POINTS = 8
# 95 % efficient on normal residuals: Huber's and Tukey's.
_HUBER = 1.345
_BISQUARE = 4.685
# Of a normal variable: its standard deviation by the median of its size.
_NORMAL_MEDIAN = 1.4826
_LINE_STEPS = 5
_CORRELATION_STEPS = 2
# At 1 the level of the whitened line would not be determined.
_MAX_CORRELATION = 0.99
# Intercept, slope, correlation.
_PARAMETER_COUNT = 3
# An innovation beyond so many scales is no state the next point goes on from.
_MAX_INNOVATION = 3.0
# Points before the forecast from which the state is followed.
_FOLLOWED_COUNT = 8
_SMALLEST = 1e-300


@dataclass(frozen=True, slots=True)
class Forecast:
    """`fitted`: each point as expected by the one before it, NaN for the first; `expected`: the
    next one, within +- `half_width`. All in the unit of the series.
    """

    fitted: Numbers
    expected: Numbers
    scale: Numbers
    half_width: Numbers


def robust_forecast(values: Numbers, alpha: float, tick: float) -> Forecast:
    """The next point of `values` (..., n >= 8), a step apart each.

    Band: t(1 - alpha / 2, n - p) * s * sqrt(1 + leverage), s = 1.4826 * median |residual| *
    sqrt(n / (n - p)) and at least `tick` > 0, of the n - 1 whitened residuals and p = 3. The median
    is that of the sizes, not about their median: of a series that rests and then steps, the
    residuals at rest are all alike.
    """
    n = values.shape[-1]
    # Far from 0 the sums of a line lose digits. The point forecast is at 0.
    origin = values[..., :1]
    y, x = values - origin, np.arange(-n, 0.0)
    level, slope = _line(x, y, tick)
    rho = _correlation(y - level - slope * x, tick)
    white_y, white_x = y[..., 1:] - rho * y[..., :-1], x[1:] - rho * x[:-1]
    intercept, slope = _line(white_x, white_y, tick)
    fitted = intercept + slope * white_x + rho * y[..., :-1]
    residual = y[..., 1:] - fitted

    degrees = n - 1 - _PARAMETER_COUNT
    scale = np.maximum(_spread(residual) * math.sqrt((n - 1) / degrees), tick)
    last = y[..., -1:] + _outlying(residual, rho, scale)
    expected = intercept + slope * rho + rho * last
    deviation = (last - intercept / (1.0 - rho) + slope) / scale
    # The share of the correlation's own error, as of a third column of the design.
    third = np.minimum(deviation**2 * (1.0 - rho**2), _MAX_INNOVATION**2) / (n - 1)
    half_width = (
        student_quantile(1.0 - alpha / 2.0, degrees) * scale * np.sqrt(1.0 + _leverage(n) + third)
    )
    unknown = np.full_like(origin, np.nan)
    return Forecast(
        np.concatenate((unknown, fitted + origin), axis=-1),
        (expected + origin)[..., 0],
        scale[..., 0],
        half_width[..., 0],
    )


def _line(x: Numbers, y: Numbers, tick: float) -> tuple[Numbers, Numbers]:
    """Intercept and slope by Huber's weights, from least squares on."""
    weight = np.ones_like(y)
    for _ in range(_LINE_STEPS):
        intercept, slope = _weighted_line(x, y, weight)
        size = np.abs(y - intercept - slope * x)
        limit = _HUBER * np.maximum(_NORMAL_MEDIAN * _median(size), tick)
        weight = np.minimum(1.0, limit / np.maximum(size, _SMALLEST))
    return _weighted_line(x, y, weight)


def _weighted_line(x: Numbers, y: Numbers, weight: Numbers) -> tuple[Numbers, Numbers]:
    total = _sum(weight)
    x_mean, y_mean = _sum(weight * x) / total, _sum(weight * y) / total
    away = weight * (x - x_mean)
    slope = _sum(away * (y - y_mean)) / _sum(away * (x - x_mean))
    return y_mean - slope * x_mean, slope


def _correlation(residual: Numbers, tick: float) -> Numbers:
    """Of each residual with the one before, by bounded influence: predecessors are weighted by
    their own size, successors by that of the innovation.

    Corrected for the bias of a series whose line was fitted, (n r + 2) / (n - 4) (Orcutt and
    Winokur 1969).
    """
    n = residual.shape[-1]
    before, after = residual[..., :-1], residual[..., 1:]
    own = _bisquare(residual, tick)
    rho = _weighted_ratio(before, after, own[..., :-1] * own[..., 1:])
    for _ in range(_CORRELATION_STEPS):
        innovation = _bisquare(after - rho * before, tick)
        rho = _weighted_ratio(before, after, own[..., :-1] * innovation)
    corrected = (n * rho + 2.0) / (n - 4.0)
    return np.asarray(np.clip(corrected, -_MAX_CORRELATION, _MAX_CORRELATION))


def _weighted_ratio(before: Numbers, after: Numbers, weight: Numbers) -> Numbers:
    weighted = weight * before
    return _sum(weighted * after) / np.maximum(_sum(weighted * before), _SMALLEST)


def _outlying(residual: Numbers, rho: Numbers, scale: Numbers) -> Numbers:
    """What the last point is off from the state that the next one goes on from.

    An outlier is a fault of one point: the point after it goes on from where it should have been. A
    lasting step is followed within a few points.
    """
    off = np.zeros_like(rho)
    for row in range(-min(_FOLLOWED_COUNT, residual.shape[-1]), 0):
        innovation = residual[..., [row]] - rho * off
        off = np.clip(innovation, -_MAX_INNOVATION * scale, _MAX_INNOVATION * scale) - innovation
    return off


def _leverage(n: int) -> float:
    """Of the next point on a line through the n - 1 whitened ones."""
    # Whitening scales and shifts the abscissae alike, so it changes no leverage.
    count = n - 1
    return 1.0 / count + (count + 1) ** 2 / 4.0 / (count * (count**2 - 1) / 12.0)


def _bisquare(residual: Numbers, tick: float) -> Numbers:
    ratio = residual / (_BISQUARE * np.maximum(_spread(residual), tick))
    return np.asarray(np.maximum(1.0 - ratio**2, 0.0) ** 2)


def _spread(residual: Numbers) -> Numbers:
    """The standard deviation that normal residuals of such a median size have."""
    return _NORMAL_MEDIAN * _median(np.abs(residual))


def _median(values: Numbers) -> Numbers:
    """np.median takes twice as long on a week of hours."""
    half = values.shape[-1] // 2
    if values.shape[-1] % 2:
        return np.asarray(np.partition(values, half, axis=-1)[..., [half]])
    middle = np.partition(values, (half - 1, half), axis=-1)[..., [half - 1, half]]
    return np.asarray(middle.mean(axis=-1, keepdims=True))


def _sum(values: Numbers) -> Numbers:
    return np.asarray(values.sum(axis=-1, keepdims=True))
