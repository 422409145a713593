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
    Look,
    MinuteColumns,
    Seen,
    Since,
    adverse,
    first_micros,
    look,
    since,
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


def watched(market: Market, moments: list[int], failing: set[int] = frozenset()) -> list[Look]:
    """The looks at these seconds, of which some fail."""
    seen, looks = Seen(at(0)), []
    for second in moments:
        now = at(second)
        minutes = market.minutes(first_micros(seen, now), now)
        if second in failing:
            minutes = MinuteColumns("", "TIMEOUT", np.empty(0, np.int64), *np.empty((2, 0)))
        seen, learned = look("BTC", seen, minutes, now)
        looks += [learned] if learned else []
    return looks


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
    for made, second in zip(looks, [one for one in moments if one not in failing], strict=True):
        assert made.until_micros == at(second) and not made.unseen
        inside = market.price[before:second]
        # Nothing between two looks is missed: the extreme is in this look, unless an earlier look
        # of the same minute knew a worse price already.
        known = market.price[before // 60 * 60 : before]
        high, low = inside.max(), inside.min()
        if not len(known) or high > known.max():
            assert made.high.price_usd >= high
        if not len(known) or low < known.min():
            assert made.low.price_usd <= low
        # And none is invented: it lies after the look before.
        for extreme in (made.high, made.low):
            if not math.isnan(extreme.price_usd):
                assert extreme.price_usd in inside
        before = second


@pytest.mark.parametrize("outage", [0, 10 * 60])
def test_no_touch_of_a_level_two_or_three_percent_away_is_missed_by_a_look_a_minute(
    outage: int,
) -> None:
    touched = missed_by_marks = missed = 0
    for seed in range(12):
        market = Market(seed, 360)
        moments = [one for one in range(60, 360 * 60, 60) if not 7200 < one < 7200 + outage]
        looks = {(one.until_micros - START) // SECOND: one for one in watched(market, moments)}
        before = 60
        for second in moments[1:]:
            mark, low = market.price[before - 1], looks[second].low.price_usd
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
    seen = Seen(now - MOST_MICROS - 60 * SECOND)
    whole = market.minutes(at(0), now)
    kept = np.ones(len(whole.minute), bool)
    kept[10:13] = False
    minutes = MinuteColumns(
        "test", "", whole.minute[kept], whole.high_usd[kept], whole.low_usd[kept]
    )
    after, made = look("BTC", seen, minutes, now)
    assert after.until_micros == now and made is not None
    first, second, third = made.unseen
    assert first.reason == TOO_LONG_AGO
    assert first.end_micros - first.start_micros == 60 * SECOND
    # Before the market's first minute nobody has candles, nor of the three in the middle.
    assert (second.end_micros, second.reason) == (at(0), "NO_CANDLES")
    assert (third.start_micros, third.end_micros) == (at(600), at(780))


def test_a_failed_look_is_unseen_until_one_succeeds_and_then_nothing_is() -> None:
    market = Market(2, 30)
    seen, _ = look("BTC", Seen(at(0)), market.minutes(at(0), at(300)), at(300))
    none = MinuteColumns("", "TIMEOUT", np.empty(0, np.int64), *np.empty((2, 0)))
    failed, learned = look("BTC", seen, none, at(900))
    assert learned is None
    found = since("BTC", (), failed, at(300), at(905))
    (unseen,) = found.unseen
    assert (unseen.start_micros, unseen.end_micros) == (at(300), at(900))
    assert unseen.reason == "TIMEOUT" and math.isnan(found.low.price_usd)
    again, learned = look("BTC", failed, market.minutes(at(300), at(960)), at(960))
    assert learned is not None and not again.failure
    # The evaluation in between counted until 900; what happened before is told now all the same.
    later = since("BTC", (learned,), again, at(900), at(965))
    assert later.low.price_usd == market.price[300:960].min() and not later.unseen
    assert since("BTC", (learned,), again, at(960), at(965)).low.micros == 0


def test_what_this_process_never_looked_at_is_not_asked() -> None:
    (unseen,) = since("BTC", (), None, at(0), at(60)).unseen
    assert (unseen.start_micros, unseen.end_micros, unseen.reason) == (at(0), at(60), NOT_ASKED)


def test_a_long_is_judged_by_the_low_and_a_short_by_the_high() -> None:
    market = Market(3, 10)
    _, learned = look("BTC", Seen(at(0)), market.minutes(at(0), at(600)), at(600))
    assert learned is not None
    found: dict[int, Since] = {2: Since(learned.high, learned.low, "test", ())}
    sides, places = np.array([1, -1, 0, 1], np.int8), np.array([2, 2, 2, 0])
    price, moment = adverse(sides, places, found)
    assert price[:2].tolist() == [market.price.min(), market.price.max()]
    assert np.isnan(price[2:]).all() and not moment[2:].any()
    assert moment[0] == at(int(np.argmin(market.price)) // 60 * 60)
