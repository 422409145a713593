"""Risk metrics: the oracle, the edges, and laws that hold for every position."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.positions.domain.venue_answer import Flag
from services.positions.enrichment.domain.metrics import (
    METRIC_NAMES,
    HeatModel,
    HeatWeights,
    Metrics,
    Terms,
    bits_of,
    flags_of,
    mark_disagrees,
    metrics,
    risk_liquidation_price,
)

ORACLE = json.loads((Path(__file__).parents[2] / "oracle" / "risk.json").read_text())
SIGNS = {"LONG": 1.0, "SHORT": -1.0}
prices = st.floats(1e-4, 1e6)
ratios = st.floats(0.01, 0.95)


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def one(
    side: float,
    entry: float,
    price: float,
    liquidation: float,
    size: float,
    collateral: float,
    **also,
) -> Metrics:
    sigma = also.pop("sigma", math.nan)
    terms = Terms(*map(column, (side, entry, price, liquidation, size, collateral, sigma)))
    return metrics(terms, **also)


def figures(found: Metrics) -> dict[str, float]:
    return {name: float(getattr(found, name)[0]) for name in METRIC_NAMES}


def case(row: dict, **also) -> Metrics:
    return one(
        SIGNS[row["side"]],
        row["entry_price_usd"],
        row["mark_price_usd"],
        row["liquidation_price_usd"],
        row["size_usd"],
        row["collateral_usd"],
        **also,
    )


def label(row: dict) -> str:
    return row.get("why") or f"{row['side']} {row['entry_price_usd']} at {row['mark_price_usd']}"


@pytest.mark.parametrize("row", ORACLE["cases"] + ORACLE["edges"], ids=label)
def test_every_case_of_the_oracle_holds(row) -> None:
    found, classic = case(row), case(row, model=HeatModel.CLASSIC)
    for name, wanted in row["expect"].items():
        if name == "flag":
            assert found.wrong_side[0]
            continue
        value = float(
            classic.heat_index[0] if name == "heat_index_classic" else getattr(found, name)[0]
        )
        if wanted is None:
            assert math.isnan(value), name
        else:
            assert math.isclose(value, wanted, rel_tol=1e-9, abs_tol=1e-12), name


def test_a_zero_is_never_negative() -> None:
    found = figures(one(-1, 100, 100, 150, 1000, 100))
    assert math.copysign(1, found["pnl_usd"]) == math.copysign(1, found["travel_percent"]) == 1


def test_an_unknown_side_or_an_absent_price_leaves_every_metric_that_needs_it_absent() -> None:
    for found in (one(0, 100, 75, 50, 1000, 100), one(1, 100, math.nan, 50, 1000, 100)):
        assert all(
            math.isnan(value) for name, value in figures(found).items() if name != "leverage_ratio"
        )


def test_liquidation_past_a_wrong_side_is_full_heat_even_without_collateral() -> None:
    assert one(1, 100, 90, 120, 1000, -3).heat_index[0] == 100
    assert one(1, 100, 90, 120, 1000, -3, model=HeatModel.CLASSIC).heat_index[0] == 75


@given(
    entry=prices,
    way=ratios,
    share=st.floats(-1, 1.5),
    size=st.floats(1, 1e7),
    leverage=st.floats(0.1, 400),
)
def test_a_short_is_the_mirror_of_a_long(entry, way, share, size, leverage) -> None:
    # A price is above 0 on both sides of the mirror.
    assume(way * abs(share) < 0.999)
    reach = entry * way
    long = one(1, entry, entry - reach * share, entry - reach, size, size / leverage)
    short = one(-1, entry, entry + reach * share, entry + reach, size, size / leverage)
    for name in ("travel_percent", "heat_index", "pnl_usd", "liquidation_distance_usd"):
        left, right = figures(long)[name], figures(short)[name]
        assert left == pytest.approx(right, rel=1e-6, abs=1e-6 * max(1, size))


@given(
    entry=prices,
    way=ratios,
    share=st.floats(0, 1),
    scale=st.floats(1e-3, 1e3),
    leverage=st.floats(0.1, 400),
)
def test_another_currency_changes_no_percent_and_no_heat(
    entry, way, share, scale, leverage
) -> None:
    def at(unit: float) -> dict[str, float]:
        return figures(
            one(
                1,
                entry * unit,
                entry * (1 - way * share) * unit,
                entry * (1 - way) * unit,
                1e3 * unit,
                1e3 / leverage * unit,
            )
        )

    small, large = at(1.0), at(scale)
    for name in ("travel_percent", "heat_index", "leverage_ratio", "liquidation_distance_percent"):
        assert small[name] == pytest.approx(large[name], rel=1e-6, abs=1e-6)


@given(way=ratios, near=st.floats(0, 1), far=st.floats(0, 1), leverage=st.floats(0.1, 400))
def test_heat_never_falls_on_the_way_to_liquidation_and_ends_at_100(
    way, near, far, leverage
) -> None:
    def heat(share: float) -> float:
        return float(
            one(1, 100, 100 - 100 * way * share, 100 - 100 * way, 1000, 1000 / leverage).heat_index[
                0
            ]
        )

    assert heat(max(near, far)) >= heat(min(near, far)) - 1e-9
    assert heat(1.0) == pytest.approx(100, abs=1e-4)
    assert 5 <= heat(near) <= 100 + 1e-9


@given(share=st.floats(0.01, 0.99), collateral=st.floats(1, 900), more=st.floats(1, 900))
def test_more_collateral_is_never_hotter_and_never_nearer(share, collateral, more) -> None:
    def found(amount: float) -> dict[str, float]:
        # An isolated long of size 1000: the liquidation price falls as collateral grows.
        liquidation = 100 * (1 - amount / 1000)
        return figures(one(1, 100, 100 - 0.1 * share, liquidation, 1000, amount))

    less_danger, danger = found(collateral + more), found(collateral)
    for name in ("liquidation_distance_percent", "travel_percent"):
        assert math.isnan(less_danger[name]) or less_danger[name] >= danger[name] - 1e-9
    if not math.isnan(less_danger["heat_index"]):
        assert less_danger["heat_index"] <= danger["heat_index"] + 1e-9


@given(
    st.lists(
        st.tuples(prices, prices, prices, st.sampled_from([1.0, -1.0, 0.0])),
        min_size=1,
        max_size=20,
    )
)
def test_a_scalar_is_the_vector_of_length_one(rows) -> None:
    entry, price, liquidation, side = (column(*values) for values in zip(*rows, strict=True))
    size, rest = np.full(len(rows), 1000.0), np.full(len(rows), 100.0)
    together = metrics(
        Terms(side, entry, price, liquidation, size, rest, np.full(len(rows), 0.005))
    )
    for row, (e, p, liq, s) in enumerate(rows):
        alone = one(s, e, p, liq, 1000, 100, sigma=0.005)
        for name in METRIC_NAMES:
            np.testing.assert_allclose(
                getattr(together, name)[row],
                getattr(alone, name)[0],
                rtol=1e-12,
                equal_nan=True,
                err_msg=name,
            )


@given(price=prices, away=st.floats(1e-4, 3), sigma=st.floats(1e-4, 0.2))
def test_touch_probability_is_the_reflection_principle(price, away, sigma) -> None:
    liquidation = price * math.exp(-away)
    found = figures(one(1, price * 1.01, price, liquidation, 1000, 100, sigma=sigma))[
        "liquidation_probability"
    ]
    distance = abs(math.log(price / liquidation)) / (sigma * math.sqrt(24))
    assert found == pytest.approx(math.erfc(distance / math.sqrt(2)), rel=1e-7, abs=1e-300)


def test_touch_probability_is_1_at_liquidation_and_absent_without_volatility() -> None:
    assert one(1, 100, 49, 50, 1000, 100, sigma=0.01).liquidation_probability[0] == 1
    assert math.isnan(one(1, 100, 49, 50, 1000, 100).liquidation_probability[0])
    assert math.isnan(one(1, 100, 75, 50, 1000, 100, sigma=0.0).liquidation_probability[0])


@pytest.mark.parametrize(
    ("side", "venue", "own", "driving", "disagrees"),
    [
        (1, 50, 50.2, 50, False),
        (1, 50, 51, 51, True),
        (1, 51, 50, 51, True),
        (-1, 150, 149, 149, True),
        (-1, 149, 150, 149, True),
        (1, math.nan, 50, 50, False),
        (1, 50, math.nan, 50, False),
        (1, 0, 50, 50, False),
    ],
)
def test_the_nearer_liquidation_price_drives_when_they_disagree(
    side, venue, own, driving, disagrees
) -> None:
    chosen, where = risk_liquidation_price(column(side), column(100), column(venue), column(own))
    assert (chosen[0], bool(where[0])) == (driving, disagrees)


def test_marks_disagree_over_two_percent_and_never_against_nothing() -> None:
    found = mark_disagrees(column(102, 102.1, 100, math.nan), column(100, 100, math.nan, 100))
    assert found.tolist() == [False, True, False, False]


def test_weights_change_the_heat() -> None:
    plain = one(1, 100, 75, 50, 1000, 100).heat_index[0]
    assert one(1, 100, 75, 50, 1000, 100, weights=HeatWeights(0.6, 0.0, 0.0)).heat_index[0] > plain


def test_flags_survive_their_bits() -> None:
    assert flags_of(bits_of(frozenset(Flag))) == frozenset(Flag)
