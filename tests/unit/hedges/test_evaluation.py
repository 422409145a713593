"""A hedge at prices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.hedges.domain.evaluation import FIGURE_LIMIT, Evaluation, check_count, evaluate
from services.hedges.domain.grouping import pair
from services.hedges.domain.holdings import Holdings, Legs
from shared.errors import InvalidArgument
from tests.unit.hedges.made_legs import (
    LONG_ROW,
    NAN,
    ORACLE,
    PRICES,
    SHORT_ROW,
    hedges,
    legs,
    oracle_pair,
)

GRIDS = ("pnl_usd", "value_usd", "delta_usd", "past_liquidation")
NETS = ("net_value_usd", "net_pnl_usd", "net_delta_tokens", "net_delta_usd", "imbalance_usd")


def test_every_figure_of_the_pair_is_that_of_the_oracle_in_one_pass() -> None:
    pair_of_legs = oracle_pair()
    found = evaluate(pair_of_legs, pair_of_legs.at([case["price"] for case in ORACLE["at"]]))
    for place, case in enumerate(ORACLE["at"]):
        assert found.price_usd[place] == case["price"]
        assert found.value_usd[place, LONG_ROW] == pytest.approx(case["long_value"], abs=1e-6)
        assert found.value_usd[place, SHORT_ROW] == pytest.approx(case["short_value"], abs=1e-6)
        assert found.pnl_usd[place, LONG_ROW] == pytest.approx(case["long_pnl"], abs=1e-6)
        assert found.pnl_usd[place, SHORT_ROW] == pytest.approx(case["short_pnl"], abs=1e-6)
        assert found.net_value_usd[place] == pytest.approx(case["net_value"], abs=1e-6)
        assert found.net_pnl_usd[place] == pytest.approx(case["net_pnl"], abs=1e-6)
        assert found.imbalance_usd[place] == pytest.approx(case["imbalance"], abs=2e-6)
        assert found.net_delta_tokens[place] == pytest.approx(ORACLE["net_delta_tokens"], abs=1e-6)
        assert found.net_delta_usd[place] == pytest.approx(
            ORACLE["net_delta_tokens"] * case["price"], abs=1e-4
        )


def test_an_absent_figure_of_a_member_makes_its_nets_absent_and_no_other() -> None:
    held = legs((1, 100, 105, 50, 1000, NAN), (-1, 110, 105, 150, 1000, 500))
    found = evaluate(held, held.marks)
    assert np.isnan(found.net_value_usd[0])
    assert np.isnan(found.imbalance_usd[0])
    assert found.net_pnl_usd[0] == pytest.approx(95.454545, abs=1e-6)


def test_a_leg_is_past_its_liquidation_price_at_it_and_beyond_and_never_without_one() -> None:
    held = legs(
        (1, 100, 100, 90, 1000, 100), (-1, 100, 100, 110, 1000, 100), (-1, 100, 100, NAN, 1, 1)
    )
    found = evaluate(held, held.at([89, 90, 100, 110, 111]))
    assert found.past_liquidation.tolist() == [
        [True, False, False],
        [True, False, False],
        [False, False, False],
        [False, True, False],
        [False, True, False],
    ]


def test_marks_that_differ_have_no_one_price() -> None:
    held = legs((1, 100, 104, NAN, 1000, 100), (-1, 100, 105, NAN, 1000, 100))
    assert np.isnan(evaluate(held, held.marks).price_usd[0])


def test_more_figures_than_fit_a_message_are_refused_with_the_number_that_fits() -> None:
    check_count(FIGURE_LIMIT // 2, 2)
    with pytest.raises(InvalidArgument) as refused:
        check_count(FIGURE_LIMIT // 2 + 1, 2)
    assert refused.value.reason == "TOO_MANY_FIGURES"
    assert "10000" in refused.value.message


@given(hedges())
def test_at_the_marks_it_equals_what_linking_stores(held: Legs) -> None:
    found = evaluate(held, held.marks)
    (stored,) = pair(as_held(held, found))
    for name in ("net_delta_tokens", "net_delta_usd", "imbalance_usd", "net_pnl_usd"):
        assert getattr(found, name)[0] == pytest.approx(getattr(stored, name), rel=1e-9, abs=1e-6)


def as_held(held: Legs, found: Evaluation) -> Holdings:
    """What positions would say of these legs."""
    zeros = np.zeros(len(held), dtype=np.int64)
    return Holdings(
        wallet_names=["w"],
        asset_names=["BTC"],
        wallet=zeros,
        asset=zeros,
        side=held.side,
        position_key=np.arange(len(held)),
        entry_price_usd=held.entry_price_usd,
        mark_price_usd=held.mark_price_usd,
        size_usd=held.size_usd,
        value_usd=held.collateral_usd + found.pnl_usd[0],
        pnl_usd=found.pnl_usd[0],
        heat_index=np.full(len(held), np.nan),
        stale=np.zeros(len(held), np.bool_),
    )


@given(hedges(), st.lists(PRICES, min_size=1, max_size=5))
def test_one_price_is_a_list_of_one(held: Legs, prices: list[float]) -> None:
    together = evaluate(held, held.at(prices))
    for place, price in enumerate(prices):
        alone = evaluate(held, held.at([price]))
        for name in (*GRIDS, *NETS):
            assert np.array_equal(getattr(together, name)[place], getattr(alone, name)[0])


@given(hedges(), PRICES)
def test_swapping_the_sides_mirrors_profit_delta_and_imbalance(held: Legs, price: float) -> None:
    there = evaluate(held, held.at([price]))
    swapped = replace(held, side=-held.side, collateral_usd=np.zeros(len(held)))
    back = evaluate(swapped, swapped.at([price]))
    assert np.array_equal(back.pnl_usd, -there.pnl_usd)
    assert np.array_equal(back.delta_usd, -there.delta_usd)
    bare = evaluate(replace(held, collateral_usd=np.zeros(len(held))), held.at([price]))
    assert back.imbalance_usd[0] == pytest.approx(bare.imbalance_usd[0])
