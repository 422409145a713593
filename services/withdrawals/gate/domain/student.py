"""Quantiles of Student's t, exact to rounding."""

import math
from functools import lru_cache
from statistics import NormalDist

_STEPS = 100
_PRECISION = 1e-15
_TINY = 1e-300


@lru_cache(maxsize=4096)
def student_quantile(probability: float, degrees: int) -> float:
    """The t below which a share `probability`, 0 to 1 without the ends, of Student's t lies.

    `degrees` of freedom >= 1. Newton's method on the upper tail, which stays exact far out.
    """
    if probability < 0.5:
        return -student_quantile(1.0 - probability, degrees)
    tail = 1.0 - probability
    # Below the root: the tail is convex there, so that every step stops short of it.
    found = NormalDist().inv_cdf(probability)
    for _ in range(_STEPS):
        step = (_upper_tail(found, degrees) - tail) / _density(found, degrees)
        found += step
        if abs(step) <= _PRECISION * max(1.0, found):
            break
    return found


def _density(t: float, degrees: int) -> float:
    half = (degrees + 1) / 2
    log = math.lgamma(half) - math.lgamma(degrees / 2) - math.log(degrees * math.pi) / 2
    return math.exp(log - half * math.log1p(t * t / degrees))


def _upper_tail(t: float, degrees: int) -> float:
    """P(T > t) for t >= 0: half the regularized incomplete beta function at d / (d + t^2)."""
    a, b, x = degrees / 2, 0.5, degrees / (degrees + t * t)
    if x >= 1.0:
        return 0.5
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(log + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a / 2
    return 0.5 - front * _fraction(b, a, 1.0 - x) / b / 2


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method (DLMF 8.17.22)."""
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, 1000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = value
        for term in (even, odd):
            c = 1.0 + term / c or _TINY
            d = 1.0 / (1.0 + term * d or _TINY)
            value *= c * d
        if abs(value - before) <= _PRECISION * abs(value):
            break
    return value
