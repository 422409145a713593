"""Volatility of hourly closes, held against the formula written out in plain Python."""

import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.price.domain.volatility import hour_of, hourly_volatility_ratio


def plainly(hours: list[int], closes: list[float]) -> float | None:
    """sqrt(sum(w r^2) / sum(w)), w = 0.5 ** (age in hours / 72), only between hours in a row."""
    pairs = [
        (hours[i], math.log(closes[i] / closes[i - 1]))
        for i in range(1, len(hours))
        if hours[i] == hours[i - 1] + 1
    ]
    if len(pairs) < 24:
        return None
    newest = pairs[-1][0]
    weights = [0.5 ** ((newest - hour) / 72) for hour, _ in pairs]
    total = sum(weight * move * move for weight, (_, move) in zip(weights, pairs, strict=True))
    return math.sqrt(total / sum(weights)) or None


@given(st.integers(0, 250), st.floats(0, 0.5), st.integers(0, 2**32))
def test_it_equals_the_plain_formula(count: int, gap_chance: float, seed: int) -> None:
    chance = random.Random(seed)
    hours = [hour for hour in range(count) if chance.random() >= gap_chance]
    closes = [100 * math.exp(chance.gauss(0, 0.01)) for _ in hours]
    expected, found = plainly(hours, closes), hourly_volatility_ratio(hours, closes)
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-9))


def test_steady_moves_give_exactly_their_size() -> None:
    closes = [100.0 * (1.01 if hour % 2 else 1.0) for hour in range(200)]
    assert hourly_volatility_ratio(range(200), closes) == pytest.approx(math.log(1.01), rel=1e-12)


def test_twenty_three_returns_are_too_few_and_twenty_four_are_enough() -> None:
    closes = [100.0 + hour for hour in range(25)]
    assert hourly_volatility_ratio(range(24), closes[:24]) is None
    assert hourly_volatility_ratio(range(25), closes) is not None


def test_a_move_three_days_ago_weighs_half_of_one_now() -> None:
    def with_move(at: int) -> float:
        closes = [100.0 if hour < at else 110.0 for hour in range(201)]
        return hourly_volatility_ratio(range(201), closes) or 0.0

    assert (with_move(128) / with_move(200)) ** 2 == pytest.approx(0.5, rel=1e-9)


def test_a_gap_is_no_hourly_move() -> None:
    hours = [*range(30), *range(100, 130)]
    calm = [100.0 + 0.1 * (hour % 2) for hour in range(30)]
    assert (hourly_volatility_ratio(hours, calm + [2 * price for price in calm]) or 1) < 0.01


def test_a_price_that_never_moves_has_no_volatility() -> None:
    assert hourly_volatility_ratio(range(50), [100.0] * 50) is None


def test_an_hour_starts_on_the_hour_in_utc() -> None:
    assert hour_of(datetime(2026, 1, 1, 5, 59, 59, tzinfo=UTC)) == datetime(
        2026, 1, 1, 5, tzinfo=UTC
    )
    assert timedelta(0) == hour_of(datetime(2026, 1, 1, 5, tzinfo=UTC)) - datetime(
        2026, 1, 1, 5, tzinfo=UTC
    )
