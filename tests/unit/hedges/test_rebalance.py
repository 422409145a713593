"""What to change of one leg."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.hedges.domain.evaluation import evaluate
from services.hedges.domain.holdings import Legs
from services.hedges.domain.rebalance import (
    Advice,
    Field,
    Outcome,
    Question,
    Reason,
    Target,
    advise,
    applied,
    largest,
)
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

WANTED = ORACLE["rebalance_equal_value_at_105"]


def asked(held: Legs, target: Target, row: int, field: Field, price: float) -> Advice:
    return advise(held, Question(target, row, field), held.at([price]))


@pytest.mark.parametrize(
    ("row", "field", "wanted"),
    [
        (LONG_ROW, Field.COLLATERAL, WANTED["side_long_collateral"]),
        (SHORT_ROW, Field.COLLATERAL, WANTED["side_short_collateral"]),
        (LONG_ROW, Field.SIZE, WANTED["size_only_long"]),
        (SHORT_ROW, Field.SIZE, WANTED["size_only_short"]),
    ],
)
def test_equal_value_at_105_is_that_of_the_oracle(row: int, field: Field, wanted: float) -> None:
    advice = asked(oracle_pair(), Target.EQUAL_VALUE, row, field, 105)
    assert advice.outcome[0] == Outcome.CHANGE
    changed = advice.collateral_usd if field is Field.COLLATERAL else advice.size_usd
    kept = advice.size_usd if field is Field.COLLATERAL else advice.collateral_usd
    assert changed[0] == pytest.approx(wanted, abs=1e-6)
    assert kept[0] == (1000 if field is Field.COLLATERAL else 500)


@pytest.mark.parametrize(
    ("row", "wanted"), [(LONG_ROW, 1000 / 110 * 100), (SHORT_ROW, 1000 / 100 * 110)]
)
def test_delta_neutral_makes_the_tokens_of_both_sides_equal(row: int, wanted: float) -> None:
    advice = asked(oracle_pair(), Target.DELTA_NEUTRAL, row, Field.SIZE, 105)
    assert advice.size_usd[0] == pytest.approx(wanted)


def reason(held: Legs, target: Target, row: int, field: Field, price: float) -> Reason:
    advice = asked(held, target, row, field, price)
    assert advice.outcome[0] == Outcome.CANNOT_BE_MET
    assert np.isnan([advice.collateral_usd[0], advice.size_usd[0]]).all()
    return Reason(int(advice.reason[0]))


def test_what_cannot_be_met_says_why() -> None:
    held = oracle_pair()
    value, neutral = Target.EQUAL_VALUE, Target.DELTA_NEUTRAL
    assert (
        reason(held, neutral, LONG_ROW, Field.COLLATERAL, 105) is Reason.COLLATERAL_MOVES_NO_DELTA
    )
    assert reason(held, value, LONG_ROW, Field.SIZE, 100) is Reason.PRICE_AT_ENTRY
    assert reason(held, value, LONG_ROW, Field.COLLATERAL, 170) is Reason.COLLATERAL_NOT_POSITIVE
    assert reason(held, value, LONG_ROW, Field.COLLATERAL, 166) is Reason.COLLATERAL_NOT_POSITIVE
    # Below its entry the long loses: only a negative size would let it win what the short has won.
    assert reason(held, value, LONG_ROW, Field.SIZE, 90) is Reason.SIZE_NOT_POSITIVE
    # A third leg holds more tokens than the whole other side.
    three = legs(
        (1, 100, 105, NAN, 1000, 500), (-1, 110, 105, NAN, 500, 500), (1, 100, 105, NAN, 900, 5)
    )
    assert reason(three, neutral, LONG_ROW, Field.SIZE, 105) is Reason.SIZE_NOT_POSITIVE
    absent = replace(held, collateral_usd=np.array([500.0, NAN]))
    assert reason(absent, value, LONG_ROW, Field.COLLATERAL, 105) is Reason.FIGURE_ABSENT


def spot_hedge(short_size: float) -> Legs:
    """10 tokens of spot bought at 100, and a short entered at 100."""
    held = legs((1, 100, 100, NAN, 1000, 1000), (-1, 100, 100, 150, short_size, 400))
    return replace(held, spot=(True, False))


def test_a_spot_balance_is_sold_or_bought_at_any_price_and_has_no_collateral_to_move() -> None:
    held = spot_hedge(800.0)
    for target in Target:
        for price in (80, 100, 120):
            without = reason(held, target, LONG_ROW, Field.COLLATERAL, price)
            assert without is Reason.SPOT_HAS_NO_COLLATERAL
            advice = asked(held, target, LONG_ROW, Field.SIZE, price)
            assert advice.outcome[0] == Outcome.CHANGE
            assert advice.collateral_usd[0] == pytest.approx(advice.size_usd[0])
    # 2 tokens too many; at their entry 600 USD of value too many: 6 tokens.
    neutral = asked(held, Target.DELTA_NEUTRAL, LONG_ROW, Field.SIZE, 120)
    assert neutral.size_usd[0] == pytest.approx(800)
    value = asked(held, Target.EQUAL_VALUE, LONG_ROW, Field.SIZE, 100)
    assert value.size_usd[0] == pytest.approx(400)
    # The short is worth less than nothing: no sale makes the long worth as little.
    assert reason(held, Target.EQUAL_VALUE, LONG_ROW, Field.SIZE, 160) is Reason.SIZE_NOT_POSITIVE
    # Of the other leg everything is as ever.
    assert (
        asked(held, Target.EQUAL_VALUE, SHORT_ROW, Field.COLLATERAL, 100).collateral_usd[0] == 1000
    )


def test_a_value_that_would_be_gone_is_no_advice() -> None:
    # The short has lost more than its collateral: the long would have to be worth less than
    # nothing.
    held = legs((1, 100, 100, NAN, 1000, 2000), (-1, 50, 100, NAN, 1000, 500))
    assert (
        reason(held, Target.EQUAL_VALUE, LONG_ROW, Field.COLLATERAL, 90)
        is Reason.COLLATERAL_NOT_POSITIVE
    )
    losing = replace(held, entry_price_usd=np.array([200.0, 50.0]))
    assert (
        reason(losing, Target.EQUAL_VALUE, LONG_ROW, Field.COLLATERAL, 90)
        is Reason.VALUE_NOT_POSITIVE
    )


def test_without_the_other_side_no_target_is_met() -> None:
    alone = legs((1, 100, 105, NAN, 1000, 500))
    assert reason(alone, Target.DELTA_NEUTRAL, 0, Field.SIZE, 105) is Reason.SIZE_NOT_POSITIVE
    assert reason(alone, Target.EQUAL_VALUE, 0, Field.COLLATERAL, 90) is Reason.VALUE_NOT_POSITIVE


def test_a_target_that_is_met_changes_nothing_whatever_may_change() -> None:
    level = legs((1, 100, 100, NAN, 1000, 500), (-1, 100, 100, NAN, 1000, 500))
    for target in Target:
        for field in Field:
            advice = asked(level, target, LONG_ROW, field, 100)
            assert advice.outcome[0] == Outcome.ALREADY_MET
            assert (advice.collateral_usd[0], advice.size_usd[0]) == (500, 1000)


def test_the_largest_leg_of_the_side_changes_unless_one_is_named() -> None:
    held = legs(
        (1, 1, 1, NAN, 10, 1), (1, 1, 1, NAN, 30, 1), (-1, 1, 1, NAN, 50, 1), (1, 1, 1, NAN, NAN, 1)
    )
    assert largest(held, 1, "") == 1
    assert largest(held, 1, "p0") == 0
    for side, name in ((-1, "p0"), (1, "p9")):
        with pytest.raises(InvalidArgument) as refused:
            largest(held, side, name)
        assert refused.value.reason == "LEG_NOT_FOUND"


def with_spot(held: Legs) -> Legs:
    """The first leg, a long, held without a loan."""
    collateral = np.concatenate([held.size_usd[:1], held.collateral_usd[1:]])
    spot = (True, *[False] * (len(held) - 1))
    return replace(held, collateral_usd=collateral, spot=spot)


CHOICES = st.tuples(
    st.sampled_from(list(Target)), st.sampled_from(list(Field)), st.sampled_from([0, 1])
)


@given(hedges(), CHOICES, st.lists(PRICES, min_size=1, max_size=4), st.booleans())
def test_an_advice_that_is_followed_reaches_the_target(
    held: Legs, choice: tuple[Target, Field, int], prices: list[float], has_spot: bool
) -> None:
    target, field, row = choice
    held = with_spot(held) if has_spot else held
    advice = advise(held, Question(target, row, field), held.at(prices))
    for place, price in enumerate(prices):
        if advice.outcome[place] != Outcome.CHANGE:
            continue
        after_legs = applied(held, row, advice.collateral_usd[place], advice.size_usd[place])
        after = evaluate(after_legs, after_legs.at([price]))
        sums = np.concatenate(
            [np.abs(after.value_usd[0]), after_legs.collateral_usd, np.abs(after.pnl_usd[0])]
        )
        if target is Target.EQUAL_VALUE:
            assert abs(after.imbalance_usd[0]) <= 1e-9 * sums.sum()
        else:
            # What is left of a large leg is as exact as the large leg was.
            rounding = np.finfo(float).eps * evaluate(held, held.at([price])).tokens.sum()
            assert abs(after.net_delta_tokens[0]) <= 1e-9 * after.tokens.sum() + rounding


@given(hedges(), CHOICES, st.lists(PRICES, min_size=1, max_size=4))
def test_one_price_is_a_list_of_one(
    held: Legs, choice: tuple[Target, Field, int], prices: list[float]
) -> None:
    question = Question(choice[0], choice[2], choice[1])
    together = advise(held, question, held.at(prices))
    for place, price in enumerate(prices):
        alone = advise(held, question, held.at([price]))
        for name in ("outcome", "reason", "collateral_usd", "size_usd"):
            assert np.array_equal(
                getattr(together, name)[place : place + 1], getattr(alone, name), equal_nan=True
            )


@given(hedges(), st.sampled_from(list(Field)))
def test_swapping_the_sides_changes_no_advice_on_delta(held: Legs, field: Field) -> None:
    question = Question(Target.DELTA_NEUTRAL, 0, field)
    # At its entry a leg is worth its collateral on either side.
    there, back = (
        advise(one, question, one.at([float(held.entry_price_usd[0])]))
        for one in (held, replace(held, side=-held.side))
    )
    assert np.array_equal(there.size_usd, back.size_usd, equal_nan=True)
    assert there.reason[0] == back.reason[0]
