"""What may be believed of a venue's figures: scale, profit, leaps, quarantine."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.positions.domain.scale import off_scale
from services.positions.sync.domain.leaps import (
    COMPARED,
    Quarantined,
    confirmed,
    entry_fault,
    leaps,
    noted,
    totals_leap,
)

SECOND = 1_000_000
FIGURES = dict(zip(COMPARED, (100.0, 1000.0, 100.0, 105.0, 60.0), strict=True))
prices = st.floats(1e-6, 1e6)


@given(prices, st.floats(1 / 19.9, 19.9))
def test_a_price_within_a_factor_20_is_on_scale_and_beyond_it_is_not(
    price: float, factor: float
) -> None:
    assert not off_scale(price * factor, price)
    assert off_scale(price * 20.1, price) and off_scale(price / 20.1, price)
    assert not off_scale(None, price) and not off_scale(price, None)


@given(prices, st.floats(0.05, 1000.0), st.floats(1.0, 1e7), st.sampled_from([1.0, -1.0]))
def test_an_entry_is_taken_however_far_the_market_ran_when_the_profit_says_so(
    entry: float, run: float, size: float, sign: float
) -> None:
    profit = sign * size * (run - 1.0)
    assert entry_fault(sign, size, entry, entry * run, profit) == ""
    assert bool(entry_fault(sign, size, entry, entry * run, None)) == off_scale(entry, entry * run)


@given(
    prices, st.floats(0.7, 1.5), st.floats(100.0, 1e7), st.sampled_from([100.0, 1e6, 0.01, 1e-6])
)
def test_an_entry_in_another_unit_than_its_profit_is_refused(
    entry: float, run: float, size: float, factor: float
) -> None:
    profit = size * (run - 1.0)
    assert entry_fault(1.0, size, entry * factor, entry * run, profit) == "ENTRY_SCALE"


@given(prices, st.floats(0.7, 1.5), st.floats(100.0, 1e7), st.sampled_from([10.0, 0.1]))
def test_an_entry_or_a_mark_ten_times_off_contradicts_the_profit(
    entry: float, run: float, size: float, factor: float
) -> None:
    profit = size * (run - 1.0)
    assert entry_fault(1.0, size, entry * factor, entry * run, profit) != ""
    assert entry_fault(1.0, size, entry, entry * run * factor, profit) != ""


def columns(**changes: float) -> dict[str, np.ndarray]:
    return {
        name: np.array([value])
        for name, value in (FIGURES | {"own_liquidation_price_usd": 61.0} | changes).items()
    }


def leapt(
    *, market: float = math.nan, known: bool = True, whole: bool | None = None, **changes: float
) -> list[str]:
    """`whole`: whether the collateral that it shares leapt; None: it shares none."""
    before, after = columns(), columns(**changes)
    shared, totals = np.array([whole is not None]), np.array([bool(whole)])
    found = leaps(before, after, np.array([known]), np.array([market]), shared, totals)
    return [name for name, where in found.items() if where[0]]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, []),
        ({"size_usd": 19_000.0, "collateral_usd": 1_900.0, "entry_price_usd": 1_900.0}, []),
        ({"size_usd": 21_000.0}, ["size_usd"]),
        ({"size_usd": 49.0}, ["size_usd"]),
        ({"collateral_usd": 3_000.0}, ["collateral_usd"]),
        ({"collateral_usd": 4.0}, ["collateral_usd"]),
        ({"collateral_usd": 3_000.0, "whole": False}, []),
        ({"collateral_usd": 3_000.0, "whole": True}, ["collateral_usd"]),
        ({"entry_price_usd": 10_000.0}, ["entry_price_usd"]),
        ({"mark_price_usd": 4_000.0}, ["mark_price_usd"]),
        ({"mark_price_usd": 4_000.0, "market": 3_900.0}, []),
        ({"mark_price_usd": math.nan}, ["mark_price_usd"]),
        ({"liquidation_price_usd": 1.0}, ["liquidation_price_usd"]),
        ({"liquidation_price_usd": 1.0, "own_liquidation_price_usd": 1.1}, []),
        ({"liquidation_price_usd": math.nan}, []),
        ({"size_usd": 21_000.0, "mark_price_usd": 9_000.0, "known": False}, []),
    ],
)
def test_what_leaps_and_what_confirms_it(changes: dict[str, float], names: list[str]) -> None:
    assert leapt(**changes) == names


def test_a_collateral_that_others_of_the_wallet_took_is_no_leap_of_the_whole() -> None:
    before, after = np.array([10_000.0, 100.0, 50.0]), np.array([9_800.0, 2.0, 5_000.0])
    place, known = np.array([0, 0, 1]), np.array([True, True, True])
    assert totals_leap(before, after, known, place, 2).tolist() == [False, False, True]


LEAP = FIGURES | {"collateral_usd": 3_000.0}


@pytest.mark.parametrize(
    ("seconds", "others", "taken"),
    [
        ((0, 30, 60), {}, True),
        ((0, 60), {}, False),
        ((0, 20, 40), {}, False),
        ((0, 60, 60), {}, False),
        ((0, 60, 120), {1: {"collateral_usd": 9_000.0}}, False),
        ((0, 60, 120), {1: {"collateral_usd": 3_100.0}, 2: {"mark_price_usd": 110.0}}, True),
        ((0, 60, 120), {2: {"liquidation_price_usd": math.nan}}, False),
    ],
)
def test_a_leap_is_taken_when_three_looks_over_a_minute_say_the_same(
    seconds: tuple[int, ...], others: dict[int, dict[str, float]], taken: bool
) -> None:
    waiting: Quarantined | None = None
    for number, second in enumerate(seconds[:-1]):
        waiting = noted(waiting, LEAP | others.get(number, {}), second * SECOND)
    assert waiting is not None
    last = LEAP | others.get(len(seconds) - 1, {})
    assert confirmed(waiting, last, seconds[-1] * SECOND) is taken


@given(st.lists(st.floats(0.6, 1.6), min_size=3, max_size=8), st.integers(30, 600))
def test_whatever_is_stated_steadily_is_taken_in_the_end(factors: list[float], apart: int) -> None:
    waiting = noted(None, LEAP, 0)
    for number, factor in enumerate(factors, 1):
        figures = LEAP | {"mark_price_usd": LEAP["mark_price_usd"] * factor}
        if confirmed(waiting, figures, number * apart * SECOND):
            return
        waiting = noted(waiting, figures, number * apart * SECOND)
    raise AssertionError("still in quarantine")
