"""The touch probability: what it is made of, and what may never change it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.touch import (
    LEAST_STARTS,
    START_WINDOW_HOURS,
    History,
    Hours,
    empirical,
    history,
    moves,
    normal,
    sigmas,
)

HORIZON = 24
seeds = st.integers(0, 2**32 - 1)


def simulated(seed: int, count: int, origin: int = 1000) -> Hours:
    """Hours of a logarithm with jumps, and wicks beyond open and close."""
    chance = np.random.default_rng(seed)
    steps = 0.01 * chance.standard_t(4, count)
    close = 100.0 * np.exp(np.cumsum(steps))
    wick = np.exp(np.abs(chance.normal(0, 0.004, (2, count))))
    before = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(close, before) * wick[0], np.minimum(close, before) / wick[1]
    return Hours(np.arange(origin, origin + count), high, low, close)


def until(hours: Hours, count: int) -> Hours:
    return Hours(hours.hour[:count], hours.high[:count], hours.low[:count], hours.close[:count])


def plainly(hours: Hours, start: int) -> tuple[float, float] | None:
    """The moves of one start, written out."""
    after = range(start + 1, start + HORIZON + 1)
    if after[-1] >= len(hours) or hours.hour[after[-1]] - hours.hour[start] != HORIZON:
        return None
    pairs = [
        (hours.hour[n], math.log(hours.close[n] / hours.close[n - 1]))
        for n in range(1, start + 1)
        if hours.hour[n] - hours.hour[n - 1] == 1 and hours.hour[start] - hours.hour[n] < 719
    ]
    if len(pairs) < 24:
        return None
    weights = [0.5 ** ((hours.hour[start] - hour) / 72) for hour, _ in pairs]
    total = sum(weight * move**2 for weight, (_, move) in zip(weights, pairs, strict=True))
    reach = math.sqrt(total / sum(weights)) * math.sqrt(HORIZON)
    close = hours.close[start]
    up = max(math.log(hours.high[n] / close) for n in after)
    down = max(math.log(close / hours.low[n]) for n in after)
    return (up / reach, down / reach) if reach else None


@settings(deadline=None, max_examples=15)
@given(seeds, st.floats(0, 0.2))
def test_the_moves_are_the_plain_formula_and_a_gap_leaves_a_start_out(
    seed: int, gap: float
) -> None:
    whole = simulated(seed, 160)
    kept = np.random.default_rng(seed).random(160) >= gap * 0.1
    hours = Hours(whole.hour[kept], whole.high[kept], whole.low[kept], whole.close[kept])
    found = moves(hours)
    for start in range(len(hours)):
        expected = plainly(hours, start)
        up, down = float(found.up[start]), float(found.down[start])
        assert math.isnan(up) == math.isnan(down) == (expected is None)
        if expected is not None:
            assert (up, down) == pytest.approx(expected, rel=1e-9)


def test_a_gap_does_leave_starts_out() -> None:
    whole = simulated(5, 300)
    kept = np.arange(300) != 200
    hours = Hours(whole.hour[kept], whole.high[kept], whole.low[kept], whole.close[kept])
    assert np.isnan(moves(hours).up[200 - HORIZON : 200]).all()
    assert not np.isnan(moves(hours).up[200:-HORIZON]).any()
    assert not np.isnan(moves(whole).up[200 - HORIZON : 200]).any()


@settings(deadline=None, max_examples=25)
@given(seeds, st.integers(800, 1200))
def test_hours_that_are_still_to_come_change_no_answer(seed: int, now: int) -> None:
    hours, other = simulated(seed, 1400), simulated(seed + 1, 1400)
    mixed = Hours(
        hours.hour,
        *(
            np.concatenate([ours[:now], theirs[now:]])
            for ours, theirs in (
                (hours.high, other.high),
                (hours.low, other.low),
                (hours.close, other.close),
            )
        ),
    )
    past, whole = moves(until(hours, now)), moves(mixed)
    over = now - HORIZON
    np.testing.assert_array_equal(past.up[:over], whole.up[:over])
    np.testing.assert_array_equal(past.down[:over], whole.down[:over])
    assert np.isnan(past.up[over:]).all()
    np.testing.assert_array_equal(
        sigmas(mixed.hour, mixed.close)[:now], sigmas(*_first(hours, now))
    )


def _first(hours: Hours, count: int) -> tuple[np.ndarray, np.ndarray]:
    return hours.hour[:count], hours.close[:count]


@given(st.lists(st.floats(0, 10), max_size=50), st.lists(st.floats(0, 12), min_size=2, max_size=20))
def test_further_away_is_never_more_likely_and_ties_count(
    past: list[float], distances: list[float]
) -> None:
    ordered, asked = np.sort(np.array(past, float)), np.sort(np.array(distances))
    for law in (lambda one: empirical(ordered, one), normal):
        said = law(asked)
        assert ((said >= 0) & (said <= 1)).all() and (np.diff(said) <= 0).all()
    for distance in (*past, *distances):
        reached = sum(one >= distance for one in past)
        said = float(empirical(ordered, np.array([distance]))[0])
        assert said == (reached + 0.5) / (len(past) + 1)


@settings(deadline=None, max_examples=15)
@given(seeds)
def test_a_mirrored_series_has_mirrored_moves(seed: int) -> None:
    hours = simulated(seed, 900)
    mirrored = Hours(hours.hour, 1 / hours.low, 1 / hours.high, 1 / hours.close)
    there, back = history(hours), history(mirrored)
    np.testing.assert_allclose(there.up, back.down, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(there.down, back.up, rtol=1e-9, atol=1e-12)


def test_a_history_is_the_last_365_days_sorted_and_less_than_30_days_are_not_enough() -> None:
    hours = simulated(3, START_WINDOW_HOURS + 500)
    found = moves(hours)
    kept = found.up[500:]
    np.testing.assert_array_equal(history(hours).up, np.sort(kept[~np.isnan(kept)]))
    assert len(history(hours)) == START_WINDOW_HOURS - HORIZON
    needed = LEAST_STARTS + HORIZON + 24
    assert not history(until(hours, needed - 1)).is_enough
    assert history(until(hours, needed)).is_enough
    assert not len(history(until(hours, 0))) and not len(history(until(hours, 1)))


def test_what_never_moved_says_nothing() -> None:
    still = np.full(1000, 100.0)
    hours = Hours(np.arange(1000), still, still, still)
    assert not len(history(hours)) and np.isnan(moves(hours).up).all()
    assert np.isnan(empirical(np.arange(3.0), np.array([np.nan]))[0])
    assert float(empirical(History(np.empty(0), np.empty(0)).up, np.array([1.0]))[0]) == 0.5
