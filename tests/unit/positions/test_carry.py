"""How long carry alone leaves a position, against the venues' own formulas."""

import math

import numpy as np
import pytest

from services.positions.risk.domain.carry import hours_until_liquidation
from services.positions.risk.domain.liquidation import (
    dydx_liquidation_price,
    jupiter_liquidation_price,
)


def test_after_these_hours_of_borrowing_jupiter_liquidates_at_the_present_price() -> None:
    chance = np.random.default_rng(7)
    side = chance.choice([-1.0, 1.0], 1000)
    entry, size = 10 ** chance.uniform(0, 5, 1000), 10 ** chance.uniform(2, 6, 1000)
    collateral, price = size / chance.uniform(2, 50, 1000), entry * chance.uniform(0.9, 1.1, 1000)
    carry = size * chance.uniform(1e-5, 1e-4, 1000)
    liquidation = jupiter_liquidation_price(side, entry, size, collateral, 0.0)
    hours = hours_until_liquidation(side, price, size / entry, liquidation, carry)
    then = jupiter_liquidation_price(side, entry, size, collateral, hours * carry)
    alive = side * (price - liquidation) > 0
    np.testing.assert_allclose(then[alive], price[alive], rtol=1e-9)
    assert (hours[~alive] == 0).all() and alive.sum() > 100


def test_after_these_hours_of_funding_dydx_liquidates_at_the_present_price() -> None:
    liquidation = float(dydx_liquidation_price(500, -2, 1000, 0.04))
    hours = float(hours_until_liquidation(-1, 1000, 2, liquidation, 0.5, 0.04))
    assert float(dydx_liquidation_price(500 - 0.5 * hours, -2, 1000, 0.04)) == pytest.approx(1000)


def test_carry_that_costs_nothing_or_pays_never_liquidates() -> None:
    for carry in (0.0, -1.0):
        assert float(hours_until_liquidation(1, 100, 1, 90, carry)) == math.inf
        assert float(hours_until_liquidation(1, 80, 1, 90, carry)) == 0, "past it already"


@pytest.mark.parametrize("absent", range(5))
def test_an_absent_input_gives_absent_hours(absent: int) -> None:
    inputs = [1.0, 100.0, 1.0, 90.0, 0.1]
    inputs[absent] = math.nan
    assert math.isnan(float(hours_until_liquidation(*inputs)))
    assert math.isnan(float(hours_until_liquidation(0, 100, 1, 90, 0.1)))
