"""Corridor and ladder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from services.hedges.domain.holdings import Legs
from services.hedges.domain.ladder import down, reference_price, unjudged, up
from tests.unit.hedges.made_legs import NAN, hedges, legs

# Two longs, two shorts, at 100.
HELD = legs(
    (1, 100, 100, 80, 1000, 210),
    (1, 100, 100, 90, 500, 60),
    (-1, 100, 100, 115, 800, 130),
    (-1, 100, 100, 130, 200, 70),
)


def test_the_first_step_down_is_the_nearest_long_and_tells_what_is_lost_and_left() -> None:
    steps = down(HELD, 100)
    assert steps.rows == ((1,), (0,))
    assert steps.price_usd.tolist() == [90, 80]
    assert steps.distance_percent.tolist() == [10, 20]
    assert steps.forfeited_collateral_usd.tolist() == [60, 210]
    # The long of 5 tokens has lost 50 of its 60, that of 10 tokens 200 of its 210.
    assert steps.forfeited_value_usd == pytest.approx([10, 10])
    assert steps.total_forfeited_collateral_usd.tolist() == [60, 270]
    # 10 tokens long against 10 short; then naked short.
    assert steps.naked_delta_tokens == pytest.approx([0, -10])
    assert steps.naked_delta_usd == pytest.approx([0, -800])
    assert steps.remaining_long_size_usd.tolist() == [1000, 0]
    assert steps.remaining_short_size_usd.tolist() == [1000, 1000]
    assert steps.remaining_value_usd == pytest.approx(
        [110 + 130 + 80 + 70 + 20, 130 + 160 + 70 + 40]
    )
    assert steps.remaining_leg_count.tolist() == [3, 2]


def test_upwards_the_shorts_go_one_after_the_other() -> None:
    steps = up(HELD, 100)
    assert steps.rows == ((2,), (3,))
    assert steps.price_usd.tolist() == [115, 130]
    assert steps.naked_delta_tokens == pytest.approx([13, 15])


def test_legs_of_one_liquidation_price_go_in_one_step() -> None:
    both = legs(
        (1, 100, 100, 90, 500, 60), (1, 101, 100, 90, 500, 60), (-1, 100, 100, 115, 800, 130)
    )
    steps = down(both, 100)
    assert steps.rows == ((0, 1),)
    assert steps.forfeited_collateral_usd.tolist() == [120]


def test_a_leg_at_or_past_its_liquidation_stands_first_at_a_distance_of_zero_or_less() -> None:
    past = legs(
        (1, 100, 100, 104, 500, 60), (1, 100, 100, 90, 500, 60), (-1, 100, 100, 100, 800, 130)
    )
    assert down(past, 100).rows[0] == (0,)
    assert down(past, 100).distance_percent[0] == pytest.approx(-4)
    assert up(past, 100).distance_percent[0] == 0


def test_a_leg_without_a_liquidation_price_stands_on_no_step_and_stays_to_the_end() -> None:
    held = legs(
        (1, 100, 100, NAN, 500, 60), (1, 100, 100, 90, 500, 60), (-1, 100, 100, 115, 800, 130)
    )
    assert unjudged(held) == ["p0"]
    assert unjudged(replace(held, spot=(True, False, False))) == [], "nothing liquidates spot"
    steps = down(held, 100)
    assert steps.rows == ((1,),)
    assert steps.remaining_long_size_usd.tolist() == [500]


def test_absent_collateral_is_not_a_small_loss() -> None:
    held = legs(
        (1, 100, 100, 80, 500, 60), (1, 100, 100, 90, 500, NAN), (-1, 100, 100, 115, 800, 130)
    )
    steps = down(held, 100)
    assert np.isnan(steps.forfeited_collateral_usd[0])
    assert steps.forfeited_collateral_usd[1] == 60
    assert np.isnan(steps.total_forfeited_collateral_usd).all()


def test_no_leg_of_a_direction_is_an_empty_ladder() -> None:
    steps = up(legs((1, 100, 100, 80, 500, 60)), 100)
    assert steps.rows == ()
    assert len(steps.price_usd) == 0


def test_the_reference_is_the_median_of_the_marks_that_are_known() -> None:
    assert (
        reference_price(
            legs((1, 1, 90, NAN, 1, 1), (1, 1, NAN, NAN, 1, 1), (-1, 1, 100, NAN, 1, 1))
        )
        == 95
    )
    assert np.isnan(reference_price(legs((1, 1, NAN, NAN, 1, 1))))
    assert np.isnan(down(HELD, NAN).distance_percent).all()


@given(hedges())
def test_the_first_step_of_each_direction_is_the_nearest_own_liquidation_among_the_legs(
    held: Legs,
) -> None:
    assert down(held, 100).price_usd[0] == held.liquidation_price_usd[held.side > 0].max()
    assert up(held, 100).price_usd[0] == held.liquidation_price_usd[held.side < 0].min()


@given(hedges())
def test_the_last_step_has_taken_the_whole_side_and_none_of_the_other(held: Legs) -> None:
    last = down(held, 100)
    assert last.remaining_long_size_usd[-1] == 0
    assert last.remaining_leg_count[-1] == (held.side < 0).sum()
    assert last.remaining_short_size_usd[-1] == pytest.approx(held.size_usd[held.side < 0].sum())
    assert last.total_forfeited_collateral_usd[-1] == pytest.approx(
        held.collateral_usd[held.side > 0].sum()
    )
    assert (np.diff(last.price_usd) < 0).all()
    assert (np.diff(up(held, 100).price_usd) > 0).all()


@given(hedges())
def test_one_direction_mirrors_the_other(held: Legs) -> None:
    # Sides swapped and liquidation prices turned around: the ladder up becomes the ladder down.
    turned = replace(held, side=-held.side, liquidation_price_usd=2e5 - held.liquidation_price_usd)
    there, back = up(held, 1e5), down(turned, 1e5)
    # Turning rounds, so prices a hair apart may meet: their legs then go together.
    assert sorted(row for rows in back.rows for row in rows) == sorted(
        row for rows in there.rows for row in rows
    )
    assert back.distance_percent[0] == pytest.approx(there.distance_percent[0], abs=1e-6)
    assert back.total_forfeited_collateral_usd[-1] == pytest.approx(
        there.total_forfeited_collateral_usd[-1]
    )
    assert back.naked_delta_tokens[-1] == pytest.approx(-there.naked_delta_tokens[-1])
