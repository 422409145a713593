"""The touch probability against simulated paths, within three standard errors."""

from __future__ import annotations

import numpy as np
import pytest

from services.positions.enrichment.domain.metrics import touch_probability

PATHS = 200_000
STEPS = 48
HOURS = 24.0


def simulated(price: float, barrier: float, hourly_sigma: float, seed: int) -> tuple[float, float]:
    """Share of Brownian log prices that touch the barrier within 24 h, and its standard error.

    Between two steps a path that stayed on one side still touched with the probability of a
    Brownian bridge, exp(-2ab / (sigma^2 dt)): without it, every finite step would miss touches.
    """
    chance = np.random.default_rng(seed)
    spread = hourly_sigma * np.sqrt(HOURS / STEPS)
    above = np.full(PATHS, abs(np.log(price / barrier)))
    touched = np.zeros(PATHS, bool)
    for _ in range(STEPS):
        after = above + chance.normal(0.0, spread, PATHS)
        bridge = np.exp(-2 * np.maximum(above, 0) * np.maximum(after, 0) / spread**2)
        touched |= (after <= 0) | (chance.random(PATHS) < bridge)
        above = after
    share = float(touched.mean())
    return share, float(np.sqrt(share * (1 - share) / PATHS))


@pytest.mark.parametrize("barrier", [99.0, 95.0, 90.0, 102.0, 112.0])
@pytest.mark.parametrize("hourly_sigma", [0.004, 0.01, 0.025])
def test_the_formula_lies_within_three_standard_errors_of_simulated_paths(
    barrier: float, hourly_sigma: float
) -> None:
    share, error = simulated(
        100.0, barrier, hourly_sigma, seed=round(barrier * 1000 * hourly_sigma)
    )
    side = np.sign(100.0 - barrier)
    found = touch_probability(*(np.array([one]) for one in (side, 100.0, barrier, hourly_sigma)))[0]
    assert abs(found - share) <= 3 * max(error, 1 / PATHS)
