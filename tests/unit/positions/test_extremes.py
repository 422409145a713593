"""Extremes between looks: no minute's high or low is missed, judged twice, or invented."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.positions.extremes.domain import (
    MINUTE_MICROS,
    MOST_MICROS,
    NOT_ASKED,
    TOO_LONG_AGO,
    MinuteColumns,
    Seen,
    adverse,
    first_micros,
    look,
    since,
    unlooked,
    wanted,
)

SECOND = 1_000_000
START = 29_000_000 * MINUTE_MICROS


class Market:
    """A price every second, and its minutes as a provider shows them at a moment."""

    def __init__(self, seed: int, minutes: int) -> None:
        chance = np.random.default_rng(seed)
        steps = chance.standard_t(3, minutes * 60) * 0.0004
        self.price = 100 * np.exp(np.cumsum(steps))

    def minutes(self, start_micros: int, now_micros: int) -> MinuteColumns:
        last = (now_micros - START) // SECOND
        first = max((start_micros - START) // MINUTE_MICROS, 0)
        numbers = range(first, max(last - 1, 0) // 60 + 1)
        shown = [self.price[n * 60 : min(n * 60 + 60, last)] for n in numbers]
        minute = START // MINUTE_MICROS + np.array(numbers, np.int64)
        highs, lows = ([float(f(part)) for part in shown] for f in (np.max, np.min))
        return MinuteColumns("test", "", minute, np.array(highs), np.array(lows))


def at(second: int) -> int:
    return START + second * SECOND


def extremes(seen: Seen | None, judged: int, now: int) -> tuple[float, float]:
    """High and low for who has judged until then."""
    found = since("BTC", seen, judged, now)
    return found.high_usd[0], found.low_usd[0]


def watched(
    market: Market, moments: list[int], failing: set[int] = frozenset()
) -> dict[int, tuple[float, float]]:
    """High and low by the second of each look, for who judges after each; some fail."""
    seen, judged, found = unlooked(at(0)), at(0), {}
    for second in moments:
        now = at(second)
        minutes = market.minutes(first_micros(seen, now), now)
        if second in failing:
            minutes = MinuteColumns("", "TIMEOUT", np.empty(0, np.int64), *np.empty((2, 0)))
        seen = look("BTC", seen, minutes, now)
        found[second] = extremes(seen, judged, now)
        assert bool(since("BTC", seen, judged, now).unseen) == (second in failing)
        judged = now
    return found


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(5, 700), min_size=1, max_size=12),
    st.data(),
)
def test_every_high_and_low_is_in_some_look_and_no_look_tells_of_what_was_known(
    seed: int, gaps: list[int], data: st.DataObject
) -> None:
    market = Market(seed, sum(gaps) // 60 + 1)
    moments = np.cumsum(gaps).tolist()
    failing = data.draw(st.sets(st.sampled_from(moments[:-1]))) if moments[:-1] else set()
    looks = watched(market, moments, failing)
    before = 0
    for second in moments:
        if second in failing:
            assert np.isnan(looks[second]).all()
            continue
        inside = market.price[before:second]
        # Nothing between two looks is missed: the extreme is in this look, unless an earlier look
        # of the same minute knew a worse price already.
        known = market.price[before // 60 * 60 : before]
        high, low = inside.max(), inside.min()
        if not len(known) or high > known.max():
            assert looks[second][0] >= high
        if not len(known) or low < known.min():
            assert looks[second][1] <= low
        # And none is invented: it lies after the look before.
        for extreme in looks[second]:
            if not math.isnan(extreme):
                assert extreme in inside
        before = second


@pytest.mark.slow
@pytest.mark.parametrize("outage", [0, 10 * 60])
def test_no_touch_of_a_level_two_or_three_percent_away_is_missed_by_a_look_a_minute(
    outage: int,
) -> None:
    touched = missed_by_marks = missed = 0
    for seed in range(12):
        market = Market(seed, 360)
        moments = [one for one in range(60, 360 * 60, 60) if not 7200 < one < 7200 + outage]
        looks = watched(market, moments)
        before = 60
        for second in moments[1:]:
            mark, low = market.price[before - 1], looks[second][1]
            for percent in (0.2, 0.5, 2.0, 2.5, 3.0):
                level = mark * (1 - percent / 100)
                if market.price[before:second].min() <= level:
                    touched += 1
                    missed_by_marks += market.price[second - 1] > level
                    missed += not low <= level
            before = second
    assert missed == 0 < missed_by_marks < touched


def test_what_is_longer_ago_than_a_day_or_missing_in_the_middle_is_unseen() -> None:
    market = Market(1, 30)
    now = at(1500)
    judged = now - MOST_MICROS - 60 * SECOND
    whole = market.minutes(at(0), now)
    kept = np.ones(len(whole.minute), bool)
    kept[10:13] = False
    minutes = MinuteColumns(
        "test", "", whole.minute[kept], whole.high_usd[kept], whole.low_usd[kept]
    )
    after = look("BTC", unlooked(judged), minutes, now)
    assert after.until_micros == now
    second, third, first = since("BTC", after, judged, now).unseen
    assert first.reason == TOO_LONG_AGO
    assert first.start_micros == judged
    assert 0 <= now - MOST_MICROS - first.end_micros < 60 * SECOND
    # Before the market's first minute nobody has candles, nor of the three in the middle.
    assert (second.end_micros, second.reason) == (at(0), "NO_CANDLES")
    assert (third.start_micros, third.end_micros) == (at(600), at(780))


def test_a_failed_look_is_unseen_until_one_succeeds_and_then_nothing_is() -> None:
    market = Market(2, 30)
    seen = look("BTC", unlooked(at(0)), market.minutes(at(0), at(300)), at(300))
    none = MinuteColumns("", "TIMEOUT", np.empty(0, np.int64), *np.empty((2, 0)))
    failed = look("BTC", seen, none, at(900))
    found = since("BTC", failed, at(300), at(905))
    (unseen,) = found.unseen
    assert (unseen.start_micros, unseen.end_micros) == (at(300), at(900))
    assert unseen.reason == "TIMEOUT" and math.isnan(found.low_usd[0])
    again = look("BTC", failed, market.minutes(at(300), at(960)), at(960))
    assert not again.failure
    # The evaluation in between counted until 900; what happened before is told now all the same.
    later = since("BTC", again, at(900), at(965))
    assert later.low_usd[0] == market.price[300:960].min() and not later.unseen
    assert np.isnan(extremes(again, at(960), at(965))).all()


def test_what_this_process_never_looked_at_is_not_asked() -> None:
    (unseen,) = since("BTC", None, at(0), at(60)).unseen
    assert (unseen.start_micros, unseen.end_micros, unseen.reason) == (at(0), at(60), NOT_ASKED)


def test_what_a_look_reached_back_to_and_was_judged_before_is_not_told_again() -> None:
    """As when two replicas look in turn: who judges has heard the other one until 300."""
    market = Market(5, 30)
    market.price[60:90] = 50.0
    seen = look("BTC", unlooked(at(0)), market.minutes(at(0), at(660)), at(660))
    assert extremes(seen, at(0), at(660))[1] == 50.0
    high, low = extremes(seen, at(300), at(660))
    assert (high, low) == (market.price[300:660].max(), market.price[300:660].min())
    # Of the minute in which that was nobody knows what came first: nothing is missed.
    market.price[305] = 60.0
    seen = look("BTC", unlooked(at(0)), market.minutes(at(0), at(660)), at(660))
    assert extremes(seen, at(310), at(660))[1] == 60.0


def test_what_lies_before_the_first_look_is_said_and_looked_at_by_the_next_one() -> None:
    market = Market(6, 60)
    seen = look("BTC", unlooked(at(1800)), market.minutes(at(1800), at(1860)), at(1860))
    (unseen,) = since("BTC", seen, at(600), at(1860)).unseen
    assert (unseen.start_micros, unseen.end_micros, unseen.reason) == (at(600), at(1800), NOT_ASKED)
    asked = wanted(seen, at(600))
    none = MinuteColumns("", "TIMEOUT", np.empty(0, np.int64), *np.empty((2, 0)))
    failed = look("BTC", asked, none, at(1920))
    assert extremes(failed, at(1800), at(1920))[1] == market.price[1800:1860].min()
    assert first_micros(failed, at(1980)) == at(600)
    found = look("BTC", failed, market.minutes(at(600), at(1980)), at(1980))
    # Who said that it was not looked at has judged until 1860 since.
    later = since("BTC", found, at(1860), at(1980))
    assert later.low_usd[0] == market.price[600:1980].min() and not later.unseen
    assert first_micros(wanted(found, at(600)), at(2000)) == at(1980)


def test_a_long_is_judged_by_the_low_and_a_short_by_the_high() -> None:
    market = Market(3, 10)
    seen = look("BTC", unlooked(at(0)), market.minutes(at(0), at(600)), at(600))
    found = {2: since("BTC", seen, at(0), at(600))}
    sides, places = np.array([1, -1, 0, 1], np.int8), np.array([2, 2, 2, 0])
    price, moment = adverse(sides, places, np.zeros(4, np.int64), found)
    assert price[:2].tolist() == [market.price.min(), market.price.max()]
    assert np.isnan(price[2:]).all() and not moment[2:].any()
    assert moment[0] == at(int(np.argmin(market.price)) // 60 * 60)


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 660), min_size=1, max_size=20))
def test_a_row_is_judged_by_the_minutes_after_it_changed_and_that_in_whose_first_half_it_did(
    seed: int, changes: list[int]
) -> None:
    market = Market(seed, 11)
    seen = look("BTC", unlooked(at(0)), market.minutes(at(0), at(600)), at(600))
    found = {0: since("BTC", seen, at(0), at(600))}
    sides = np.where(np.arange(len(changes)) % 2, -1, 1).astype(np.int8)
    changed = np.array([at(second) for second in changes])
    price, moment = adverse(sides, np.zeros(len(changes), np.int64), changed, found)
    for row, second in enumerate(changes):
        first = (second + 29) // 60 * 60 if second % 60 > 30 else second // 60 * 60
        inside = market.price[first:600]
        if not len(inside):
            assert np.isnan(price[row]) and not moment[row]
            continue
        assert price[row] == (inside.max() if sides[row] < 0 else inside.min())
        assert moment[row] >= at(first)
