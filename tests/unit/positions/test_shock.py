"""A portfolio walked along a move: sums on the way, and what is liquidated in which order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.positions.risk.domain.shock import Shock, check_shock, moves, walk
from shared.errors import InvalidArgument

NAN = float("nan")


def columns(*rows: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Rows of side, entry, mark, liquidation, size, collateral."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    side, entry, mark, liquidation, size, collateral = table.T
    with np.errstate(all="ignore"):
        value = collateral + side * size / entry * (mark - entry)
    return {
        "side_sign": side.astype(np.int32),
        "entry_price_usd": entry,
        "mark_price_usd": mark,
        "risk_liquidation_price_usd": liquidation,
        "size_usd": size,
        "collateral_usd": collateral,
        "value_usd": value,
    }


LONG = (1.0, 100.0, 100.0, 91.0, 1000.0, 100.0)
DEEP = (1.0, 100.0, 100.0, 80.0, 1000.0, 220.0)
SHORT = (-1.0, 100.0, 100.0, 110.0, 1000.0, 110.0)


def ratios(*percents: float) -> np.ndarray:
    return np.array(percents) / 100.0


def test_a_fall_liquidates_longs_in_order_and_shorts_gain() -> None:
    found = walk(columns(LONG, DEEP, SHORT), ratios(-30, -30, -30), 3)
    assert found.liquidated_rows.tolist() == [0, 1]
    assert found.shares.tolist() == pytest.approx([0.3, 2 / 3])
    assert found.prices_usd.tolist() == pytest.approx([91.0, 80.0])
    assert [point.liquidated_count for point in found.points] == [0, 1, 2, 2]
    # At a third: long gone (-100), deep at 90: 220 - 100, short at 90: 110 + 100.
    assert found.points[1].value_usd == pytest.approx(120 + 210)
    assert found.points[1].pnl_usd == pytest.approx(-100 - 100 + 100)
    assert found.points[3].value_usd == pytest.approx(410)
    assert found.value_change_usd == pytest.approx(410 - 430)


def test_each_asset_goes_its_own_way() -> None:
    shock = Shock("", {"btc": -10.0}, 5.0)
    assert moves(shock, ("BTC", "ETH")).tolist() == [-0.1, 0.05]
    assert moves(Shock("", {}, None), ("BTC",)).tolist() == [0.0]
    found = walk(columns(LONG, SHORT), ratios(-10, 20), 2)
    assert found.liquidated_rows.tolist() == [1, 0]


def test_a_move_that_ends_at_the_liquidation_price_reaches_it() -> None:
    assert walk(columns((1, 3, 3, 2.1, 10, 1)), ratios(-30), 10).points[-1].liquidated_count == 1


def test_what_is_past_liquidation_is_lost_before_the_first_step() -> None:
    found = walk(columns((1, 100, 90, 91, 1000, 100)), ratios(50), 1)
    assert found.shares.tolist() == [0.0] and found.points[0].value_usd == 0.0


@pytest.mark.parametrize(
    "row", [(1, NAN, 100, 50, 10, 1), (1, 100, NAN, 50, 10, 1), (0, 100, 100, 50, 10, 1)]
)
def test_what_cannot_be_judged_adds_nothing(row) -> None:
    found = walk(columns(row, SHORT), ratios(-5, -5), 1)
    assert found.points[-1].value_usd == pytest.approx(160)


def test_without_a_liquidation_price_nothing_is_liquidated() -> None:
    found = walk(columns((1, 100, 100, NAN, 1000, 100)), ratios(-50), 1)
    assert found.points[-1].liquidated_count == 0 and found.points[-1].value_usd == pytest.approx(
        -400
    )


def test_an_empty_system_has_points_of_nothing() -> None:
    found = walk(columns(), np.zeros(0), 4)
    assert [point.value_usd for point in found.points] == [0.0] * 5


@pytest.mark.parametrize("percent", [-100.0, -150.0, NAN, float("inf")])
def test_a_move_that_leaves_no_price_is_refused(percent) -> None:
    for shock in (Shock("", {"BTC": percent}, None), Shock("", {}, percent)):
        with pytest.raises(InvalidArgument, match="INVALID_FIELD"):
            check_shock(shock)


@given(st.floats(-90, 300), st.integers(1, 20))
def test_the_count_never_falls_and_the_end_does_not_depend_on_the_steps(percent, steps) -> None:
    rows = columns(LONG, DEEP, SHORT)
    found = walk(rows, ratios(*[percent] * 3), steps)
    counts = [point.liquidated_count for point in found.points]
    assert counts == sorted(counts) and counts[-1] == len(found.liquidated_rows)
    assert found.points[-1] == walk(rows, ratios(*[percent] * 3), 1).points[-1]
    assert list(found.shares) == sorted(found.shares)
