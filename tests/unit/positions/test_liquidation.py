"""Where positions are liquidated, against worked examples and against the meaning of the word."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.positions.risk.domain.liquidation import (
    dydx_liquidation_price,
    hyperliquid_liquidation_price,
    hyperliquid_maintenance_ratio,
    jupiter_close_fee_bps,
    jupiter_impact_scalar,
    jupiter_liquidation_price,
)

REPOSITORY = Path(__file__).parents[3]
GOLDEN = json.loads(
    (REPOSITORY / "tests/fixtures/golden/jupiter_liquidation_vectors.json").read_text()
)
SHARED_GOLDEN = REPOSITORY.parent / "shared/fixtures/golden/liquidation_vectors.json"
SIGN = {"long": 1.0, "short": -1.0}


def jupiter_of(vector: dict[str, str]) -> float:
    borrow = vector["borrow_fee_usd"].split()[0]
    return float(
        jupiter_liquidation_price(
            SIGN[vector["side"]],
            float(vector["entry"]),
            float(vector["size_usd"]),
            float(vector["collateral_usd"]),
            float(borrow),
        )
    )


@pytest.mark.parametrize("vector", GOLDEN, ids=lambda vector: f"{vector['side']} {vector['entry']}")
def test_jupiter_gives_the_worked_prices(vector: dict[str, str]) -> None:
    assert jupiter_close_fee_bps(float(vector["size_usd"]), 3.75e15) == vector["close_fee_bps"]
    assert jupiter_of(vector) == pytest.approx(float(vector["expected_liquidation"]), abs=1e-6)


def test_the_published_vectors_hold_where_they_are_at_hand() -> None:
    if not SHARED_GOLDEN.exists():
        pytest.skip("the published examples are kept beside the repository, not in it")
    for vector in json.loads(SHARED_GOLDEN.read_text()):
        wanted = float(vector["expected_liquidation"])
        if vector["venue"] == "jupiter":
            price = jupiter_of(vector)
        elif vector["venue"] == "dydx":
            price = float(
                dydx_liquidation_price(
                    float(vector["equity"]),
                    float(vector["size"]),
                    float(vector["price"]),
                    float(vector["mmf"]),
                    float(vector.get("other_maintenance", 0)),
                )
            )
        else:
            base, notional = float(vector["szi"]), float(vector["position_value"])
            available = float(vector["margin_used"]) - notional * float(
                hyperliquid_maintenance_ratio(vector["max_leverage"])
            )
            price = float(
                hyperliquid_liquidation_price(
                    notional / base, base, available, vector["max_leverage"]
                )
            )
        assert price == pytest.approx(wanted, abs=float(vector.get("tolerance", 1e-9)))


def test_dydx_gives_a_price_worked_by_hand() -> None:
    # Short 2 at 1,000 with equity 500, maintenance 4 %: equity(L) = 500 - 2 (L - 1000) = 0.04 * 2 *
    # L.
    assert float(dydx_liquidation_price(500, -2, 1000, 0.04)) == pytest.approx(
        2500 / 2.08, rel=1e-12
    )
    # The same with 100 kept for another market.
    assert float(dydx_liquidation_price(500, -2, 1000, 0.04, 100)) == pytest.approx(
        2400 / 2.08, rel=1e-12
    )
    # Long 2: 500 + 2 (L - 1000) = 0.04 * 2 * L.
    assert float(dydx_liquidation_price(500, 2, 1000, 0.04)) == pytest.approx(
        1500 / 1.92, rel=1e-12
    )


def test_hyperliquid_gives_a_price_worked_by_hand() -> None:
    # Long 2 at 1,000, 20x at most (maintenance 2.5 %), margin 300, so 250 to spare:
    # 300 + 2 (L - 1000) = 0.05 L.
    assert float(hyperliquid_liquidation_price(1000, 2, 250, 20)) == pytest.approx(
        1700 / 1.95, rel=1e-12
    )
    assert float(hyperliquid_liquidation_price(1000, -2, 250, 20)) == pytest.approx(
        2300 / 2.05, rel=1e-12
    )


def test_fees_that_ate_the_collateral_put_the_price_beyond_entry() -> None:
    assert float(jupiter_liquidation_price(1, 100, 1000, 5, 20)) > 100
    assert float(jupiter_liquidation_price(-1, 100, 1000, 5, 20)) < 100


def test_a_long_with_more_collateral_than_it_can_lose_has_no_liquidation_price() -> None:
    assert math.isnan(float(jupiter_liquidation_price(1, 100, 1000, 1200, 0)))
    assert math.isfinite(float(jupiter_liquidation_price(-1, 100, 1000, 1200, 0)))


def test_impact_grows_in_whole_basis_points_with_the_size() -> None:
    scalar = jupiter_impact_scalar("SOL")
    assert list(
        jupiter_close_fee_bps(np.array([1.0, 375_000.0, 375_001.0, 750_001.0]), scalar)
    ) == [7, 7, 8, 9]
    assert jupiter_impact_scalar("UNKNOWN") == scalar


@pytest.mark.parametrize("absent", range(5))
def test_an_absent_input_gives_an_absent_price(absent: int) -> None:
    inputs = [1.0, 100.0, 1000.0, 100.0, 1.0]
    inputs[absent] = math.nan
    assert math.isnan(float(jupiter_liquidation_price(*inputs)))


@pytest.mark.parametrize(
    "inputs", [(0, 100, 1000, 100, 0), (1, 0, 1000, 100, 0), (1, 100, 0, 100, 0), (1, -1, 9, 9, 0)]
)
def test_senseless_terms_have_no_price(inputs: tuple[float, ...]) -> None:
    assert math.isnan(float(jupiter_liquidation_price(*inputs)))
    assert math.isnan(float(dydx_liquidation_price(1000, 0, 100, 0.05)))
    assert math.isnan(float(hyperliquid_liquidation_price(100, 0, 10, 50)))


@given(
    st.sampled_from([1.0, -1.0]),
    st.floats(0.01, 1e6),
    st.floats(10, 1e7),
    st.floats(1.1, 100),
    st.floats(0, 1e3),
)
def test_at_the_price_what_is_left_is_what_the_venue_asks(
    side: float, entry: float, size: float, leverage: float, borrow: float
) -> None:
    collateral = size / leverage
    price = float(jupiter_liquidation_price(side, entry, size, collateral, borrow))
    if math.isnan(price):
        return
    pnl = side * size / entry * (price - entry)
    close_fee = size * float(jupiter_close_fee_bps(size, 3.75e15)) / 1e4
    left = collateral + pnl - close_fee - borrow
    assert left == pytest.approx(size / 500, rel=1e-6, abs=1e-6 * size)


@given(
    st.lists(
        st.tuples(st.floats(1, 1e5), st.floats(1, 1e6), st.floats(1, 1e6)), min_size=1, max_size=20
    )
)
def test_the_scalar_is_the_vector_of_length_one(rows: list[tuple[float, float, float]]) -> None:
    entry, size, collateral = (np.array(column) for column in zip(*rows, strict=True))
    together = jupiter_liquidation_price(1.0, entry, size, collateral, 0.0)
    apart = [float(jupiter_liquidation_price(1.0, *row, 0.0)) for row in rows]
    np.testing.assert_array_equal(together, np.array(apart))
