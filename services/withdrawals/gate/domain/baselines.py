"""What points let expect of themselves and of the next one: polynomial, median, moving average."""

from typing import NamedTuple

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


class Baseline(NamedTuple):
    """`fitted`: at each point, `expected`: at the next one, in the unit of the points."""

    fitted: Numbers
    expected: float


def polynomial(values: Numbers, order: int) -> Baseline:
    """Least squares over the rows 0, 1, ...; more points than the order."""
    row = np.arange(float(len(values)))
    fit = Polynomial.fit(row, values, order)
    return Baseline(fit(row), float(fit(len(values))))


def median(values: Numbers) -> Baseline:
    level = float(np.median(values))
    return Baseline(np.full_like(values, level), level)


def moving_average(values: Numbers, width: int) -> Baseline:
    """The mean of `width` (odd) points around each; at an end, of those of them that there are.

    So it is for the next point, which has only points before it.
    """
    # Sums of what is left of the first value: a constant stays one to the last digit.
    sums = np.concatenate(([0.0], np.cumsum(values - values[0])))
    row = np.arange(len(values) + 1)
    first = np.maximum(row - width // 2, 0)
    end = np.minimum(row + width // 2 + 1, len(values))
    means = (sums[end] - sums[first]) / (end - first) + values[0]
    return Baseline(means[:-1], float(means[-1]))
