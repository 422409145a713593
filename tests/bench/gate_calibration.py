"""By hand: `make calibrate-gate SEED=7` measures how often the robust gate of withdrawals triggers.

1,000 series of 168 points, each of a seed of its own, in some ten seconds. Exit code 0 when every
rate is within its limits. Both sides of the band are tests of 2.5 %, so a rate is their mean.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.withdrawals.gate.domain.robust import robust_forecast

Numbers = NDArray[np.float64]

SERIES = 1_000
POINTS = 168
ALPHA = 0.05
TICK = 1e-6
POWER_SHIFT = 4.0
_OUTLIER_SHARE, _OUTLIER = 0.05, 15.0


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of the series, 0 to 1, and what it must be."""

    name: str
    above: float
    below: float | None
    least: float
    most: float

    @property
    def value(self) -> float:
        return self.above if self.below is None else (self.above + self.below) / 2.0

    @property
    def holds(self) -> bool:
        return self.least <= self.value <= self.most


def noise(first_seed: int, count: int, points: int = POINTS) -> Numbers:
    """Standard normal, a series a seed; the last of points + 1 is the one to be tested."""
    seeds = range(first_seed, first_seed + count)
    return np.array([np.random.default_rng(seed).standard_normal(points + 1) for seed in seeds])


def autoregressive(noise: Numbers, correlation: float) -> Numbers:
    series = noise.copy()
    series[:, 0] /= np.sqrt(1.0 - correlation**2)
    for row in range(1, series.shape[1]):
        series[:, row] += correlation * series[:, row - 1]
    return series


def with_outliers(noise: Numbers, first_seed: int) -> Numbers:
    """Outliers of both signs among the points before the tested one."""
    random = np.random.default_rng([first_seed, 15])
    hit = random.random(noise.shape) < _OUTLIER_SHARE
    hit[:, -1] = False
    return noise + np.where(hit, random.choice([-_OUTLIER, _OUTLIER], noise.shape), 0.0)


def triggered(series: Numbers, shift: float = 0.0) -> tuple[float, float]:
    """The shares of series whose last point, shifted, lies above and below its band."""
    forecast = robust_forecast(series[:, :-1], ALPHA, TICK)
    residual = series[:, -1] + shift - forecast.expected
    return (
        float(np.mean(residual > forecast.half_width)),
        float(np.mean(residual < -forecast.half_width)),
    )


def rates(first_seed: int, count: int = SERIES) -> list[Rate]:
    """Every promise of the gate on these seeds."""
    plain = noise(first_seed, count)
    trend = 1_000.0 + 0.5 * np.arange(plain.shape[1]) + plain
    outliers = with_outliers(plain, first_seed)
    # A tick's deviation, in every size and both signs.
    still = np.full_like(plain, 1_000.0)
    still[:, -1] += np.linspace(-0.999, 0.999, count) * TICK
    made: list[tuple[str, Callable[[], Numbers], float, float]] = [
        ("independent", lambda: plain, 0.015, 0.035),
        ("AR(1) 0.9", lambda: autoregressive(plain, 0.9), 0.0, 0.035),
        ("trend", lambda: trend, 0.0, 0.04),
        ("5 % outliers", lambda: outliers, 0.0, 0.035),
        ("constant, under a tick", lambda: still, 0.0, 0.0),
    ]
    found = [Rate(name, *triggered(make()), least, most) for name, make, least, most in made]
    above, _ = triggered(outliers, POWER_SHIFT)
    found.append(Rate("power at +4 sd, outliers", above, None, 0.9, 1.0))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the first series; default 0")
    seed: int = parser.parse_args().seed
    found = rates(seed)
    print(f"{SERIES} series of {POINTS} points, seeds {seed} to {seed + SERIES - 1}")
    print(f"{'':26} {'above':>7} {'below':>7} {'rate':>7}  limits")
    for rate in found:
        below = "" if rate.below is None else f"{rate.below:.4f}"
        said = "" if rate.holds else "  MISSED"
        limits = f"{rate.least:.3f} to {rate.most:.3f}"
        print(f"{rate.name:26} {rate.above:7.4f} {below:>7} {rate.value:7.4f}  {limits}{said}")
    return 0 if all(rate.holds for rate in found) else 1


if __name__ == "__main__":
    sys.exit(main())
