"""A backtest of series whose touches are known, and of random ones against every single look."""

from __future__ import annotations

import math
import time
from datetime import UTC
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alerts.backtest.domain.candles import (
    Candles,
    Paths,
    Side,
    check_work,
    checked,
    held_path,
    started_paths,
)
from services.alerts.backtest.domain.outcomes import Outcomes, by_set, knee, outcomes, top_up
from services.alerts.backtest.domain.strip import MOST_ROWS, strip
from services.alerts.backtest.domain.walk import Changes, looks_of, walk
from services.alerts.domain.kinds import AlertType, Level
from shared.errors import InvalidArgument
from tests.fakes.examples import share_of

DISTANCE, TRAVEL = AlertType.LIQUIDATION_DISTANCE, AlertType.TRAVEL_PERCENT
HOUR = 3600
# Midnight, UTC.
START = 1_700_006_400
LIMITS = np.array([[10.0, 7.0, 5.0]])


def candles(
    close: list[float], low: dict[int, float] | None = None, high: dict[int, float] | None = None,
    step: int = HOUR, start: int = START - HOUR,
) -> Candles:  # fmt: skip
    """Candles, the first ends at START; lows and highs by number."""
    closes = np.array(close)
    lows, highs = closes.copy(), closes.copy()
    for place, price in (low or {}).items():
        lows[place] = price
    for place, price in (high or {}).items():
        highs[place] = price
    return checked(Candles(start + step * np.arange(len(closes)), highs, lows, closes))


def judged(
    series: Candles, paths: Paths, kind: AlertType = DISTANCE, limits: np.ndarray = LIMITS
) -> tuple[Changes, Outcomes]:
    looks = looks_of(series, paths, kind)
    changes = walk(series, looks, kind, limits)
    return changes, outcomes(series, paths, looks, by_set(changes, 1)[0], HOUR, UTC)


def told(changes: Changes) -> list[tuple[int, str, str]]:
    return [
        (candle, Level(before).name, Level(after).name)
        for candle, before, after in zip(
            changes.candle.tolist(), changes.before.tolist(), changes.after.tolist(), strict=True
        )
    ]


def test_each_level_is_told_at_the_candle_that_reaches_it_and_falls_after_two_closes() -> None:
    # Liquidation at 80: distances 20, 11.1, 8.0, 4.8, then back.
    series = candles([100, 90, 87, 84, 100, 100, 100])
    changes, found = judged(series, held_path(series, Side.LONG, 100, 80))
    assert told(changes) == [
        (2, "NORMAL", "LOW"),
        (3, "LOW", "HIGH"),
        (5, "HIGH", "NORMAL"),
    ]
    assert changes.price_usd.tolist() == [87, 84, 100]
    assert changes.value[1] == pytest.approx(100 * 4 / 84)
    assert (found.alarm_count, found.liquidated_count, found.false_alarm_count) == (1, 0, 1)


def test_a_wick_raises_and_does_not_hold() -> None:
    series = candles([100] * 6, low={2: 84.0})
    changes, _ = judged(series, held_path(series, Side.LONG, 100, 80))
    assert told(changes) == [(2, "NORMAL", "HIGH"), (4, "HIGH", "NORMAL")]
    assert changes.price_usd.tolist() == [84, 100]


def test_the_wick_of_the_candle_a_position_was_opened_in_says_nothing() -> None:
    series = candles([100] * 4, low={0: 79.0})
    changes, found = judged(series, held_path(series, Side.LONG, 100, 80))
    assert told(changes) == [] and found.liquidated_count == 0


def test_lead_runs_from_the_first_notice_to_the_candle_that_liquidates() -> None:
    series = candles([100, 87, 84, 84, 84, 79])
    _, found = judged(series, held_path(series, Side.LONG, 100, 80))
    assert found.liquidated_count == 1 and found.alarmed_liquidated_count == 1
    leads = {lead.level: lead.median_seconds for lead in found.leads}
    assert leads == {Level.LOW: 4 * HOUR, Level.MEDIUM: 3 * HOUR, Level.HIGH: 3 * HOUR}
    assert found.told_ahead_count == 1


def test_alarm_and_liquidation_in_one_candle_are_a_lead_of_nothing() -> None:
    series = candles([100, 100, 100, 100], low={2: 79.5})
    changes, found = judged(series, held_path(series, Side.LONG, 100, 80))
    assert told(changes) == []
    assert (found.liquidated_count, found.alarmed_count, found.told_ahead_count) == (1, 0, 0)
    assert [lead.median_seconds for lead in found.leads] == [0, 0, 0]
    assert [lead.told_count for lead in found.leads] == [0, 0, 0]


def test_a_short_is_a_long_in_the_mirror_of_its_extremes() -> None:
    series = candles([100, 100, 100, 100, 100], high={1: 114.0, 4: 120.0})
    changes, found = judged(series, held_path(series, Side.SHORT, 100, 120))
    # (120 - 114) / 114 is 5.3 %.
    assert told(changes) == [(1, "NORMAL", "MEDIUM"), (3, "MEDIUM", "NORMAL")]
    assert found.liquidated_count == 1


def test_travel_is_judged_by_its_own_formula() -> None:
    series = candles([100, 95, 89, 100])
    limits = np.array([[-20.0, -35.0, -50.0]])
    changes, _ = judged(series, held_path(series, Side.LONG, 100, 80), TRAVEL, limits)
    assert told(changes) == [(1, "NORMAL", "LOW"), (2, "LOW", "HIGH")]
    assert changes.value.tolist() == pytest.approx([-25, -55])


def test_a_level_again_within_its_cooldown_is_told_when_that_is_over() -> None:
    # Minutes: HIGH, MEDIUM after two closes, HIGH again within five minutes.
    series = candles([100, 84, 86, 86, 84, 84, 84, 84, 84], step=60)
    changes, found = judged(series, held_path(series, Side.LONG, 100, 80))
    assert [
        (*one, bool(notified))
        for one, notified in zip(told(changes), changes.notified, strict=True)
    ] == [
        (1, "NORMAL", "HIGH", True),
        (3, "HIGH", "MEDIUM", False),
        (4, "MEDIUM", "HIGH", False),
        (6, "HIGH", "HIGH", True),
    ]
    assert found.alarm_count == 2


def test_an_alarm_that_came_as_near_as_half_its_distance_was_none_for_nothing() -> None:
    near = candles([100, 84, 81.5, 100, 100, 100])
    far = candles([100, 84, 83.5, 100, 100, 100])
    assert judged(near, held_path(near, Side.LONG, 100, 80))[1].false_alarm_count == 0
    assert judged(far, held_path(far, Side.LONG, 100, 80))[1].false_alarm_count == 1


def test_the_best_moment_to_top_up_begins_the_last_incident() -> None:
    series = candles([100, 87, 100, 100, 86, 84, 79, 60, 90])
    paths = held_path(series, Side.LONG, 100, 80)
    looks = looks_of(series, paths, DISTANCE)
    found = top_up(paths, looks, walk(series, looks, DISTANCE, LIMITS), 0, series)
    assert found is not None
    assert (found.candle, found.price_usd, found.worst_usd) == (4, 86, 60)
    assert found.distance_percent == pytest.approx(100 * 6 / 86)


def test_a_position_that_lived_has_no_best_moment() -> None:
    series = candles([100, 84, 100, 100])
    paths = held_path(series, Side.LONG, 100, 80)
    looks = looks_of(series, paths, DISTANCE)
    assert top_up(paths, looks, walk(series, looks, DISTANCE, LIMITS), 0, series) is None


@pytest.mark.parametrize(
    ("zone", "nights"), [("UTC", 1), ("Europe/Berlin", 0), ("America/New_York", 1)]
)
def test_nights_are_those_of_the_zone(zone: str, nights: int) -> None:
    # An alarm at 06:30 UTC: 07:30 in Berlin, 01:30 in New York.
    series = candles([100, 84, 84], step=1800, start=START + 11 * 1800)
    paths = held_path(series, Side.LONG, 100, 80)
    looks = looks_of(series, paths, DISTANCE)
    found = outcomes(
        series, paths, looks, walk(series, looks, DISTANCE, LIMITS), HOUR, ZoneInfo(zone)
    )
    assert found.night_count == nights


def test_two_alarms_of_one_night_wake_once_and_of_two_positions_twice() -> None:
    close = [100.0] * 30
    series = candles(close, low={3: 84.0, 7: 84.0})
    one = held_path(series, Side.LONG, 100, 80)
    both = Paths(
        Side.LONG, np.array([0, 1]), np.array([29, 29]), np.full(2, 100.0), np.full(2, 80.0)
    )
    assert judged(series, one)[1].alarm_count == 2
    assert judged(series, one)[1].night_count == 1
    assert judged(series, both)[1].night_count == 2


def test_starts_have_their_whole_horizon() -> None:
    series = candles([100.0] * 49)
    paths = started_paths(series, Side.LONG, 10, 24 * HOUR, 24 * HOUR)
    assert paths.first.tolist() == [0, 24] and paths.last.tolist() == [24, 48]
    assert paths.liquidation_usd.tolist() == pytest.approx([90, 90])
    with pytest.raises(InvalidArgument) as refused:
        started_paths(series, Side.LONG, 10, HOUR, 49 * HOUR)
    assert refused.value.reason == "BAD_HORIZON"


def test_too_much_work_is_refused_and_says_how_to_ask_for_less() -> None:
    series = candles([100.0] * 2000)
    paths = started_paths(series, Side.LONG, 10, HOUR, 1000 * HOUR)
    with pytest.raises(InvalidArgument) as refused:
        check_work(paths, 40)
    assert refused.value.reason == "TOO_MUCH_WORK" and "fewer sets" in refused.value.message
    many = Paths(Side.LONG, np.zeros(1600, int), np.full(1600, 999), np.ones(1600), np.ones(1600))
    with pytest.raises(InvalidArgument) as refused:
        check_work(many, 1)
    assert refused.value.reason == "TOO_MUCH_WORK" and "start less" in refused.value.message


def test_sets_walked_one_after_the_other_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    series = candles((100 * np.exp(np.cumsum(rng.normal(0, 0.02, 300)))).tolist())
    looks = looks_of(series, started_paths(series, Side.LONG, 15, 5 * HOUR, 48 * HOUR), DISTANCE)
    limits = np.array([[9.0, 7.0, 5.0], [6.0, 4.0, 2.0], [3.0, 3.0, 3.0]])
    whole = walk(series, looks, DISTANCE, limits)
    monkeypatch.setattr("services.alerts.backtest.domain.walk._MOST_ROWS", 1)
    parts = walk(series, looks, DISTANCE, limits)
    assert len(whole.path) > 50
    for name in Changes.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name), name)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (([0, 60], [1, 1], [1], [1, 1]), "same number"),
        (([0], [1], [1], [1]), "two candles"),
        (([0, 60], [1, 1], [1, 2], [1, 1]), "candle 2 contradicts itself"),
        (([0, 60], [math.nan, 1], [1, 1], [1, 1]), "candle 1 contradicts itself"),
        (([0, 60], [1, 1], [0, 1], [1, 1]), "candle 1 contradicts itself"),
        (([60, 60], [1, 1], [1, 1], [1, 1]), "candle 2 does not start after"),
        (([-60, 60], [1, 1], [1, 1], [1, 1]), "seconds since 1970"),
    ],
)
def test_bad_candles_are_refused_by_number(columns: tuple[list[float], ...], words: str) -> None:
    seconds, *prices = columns
    with pytest.raises(InvalidArgument) as refused:
        checked(Candles(np.array(seconds, np.int64), *map(np.array, prices)))
    assert refused.value.reason == "BAD_CANDLES" and words in refused.value.message


def test_a_position_past_its_liquidation_price_is_refused() -> None:
    series = candles([79.0, 100.0])
    with pytest.raises(InvalidArgument) as refused:
        held_path(series, Side.LONG, 100, 80)
    assert refused.value.reason == "LIQUIDATED_AT_START"


def test_a_thinned_strip_keeps_every_extreme() -> None:
    rng = np.random.default_rng(5)
    series = candles(rng.uniform(90, 110, 1501).tolist(), low={700: 10.0}, high={1500: 900.0})
    found = strip(series, 0, 1500)
    assert len(found.end_seconds) <= MOST_ROWS
    assert found.low_usd.min() == 10 and found.high_usd.max() == 900
    assert found.end_seconds[-1] == series.end_seconds[-1]
    assert found.close_usd[-1] == series.close_usd[-1]


def point(alarms_per_week: float, lead_hours: float) -> Outcomes:
    series = candles([100, 84, 79])
    (_, found) = judged(series, held_path(series, Side.LONG, 100, 80))
    lead = type(found.high_lead)(Level.HIGH, 1, 0, lead_hours * HOUR, 0)
    names = Outcomes.__dataclass_fields__
    values = {name: getattr(found, name) for name in names}
    return Outcomes(**{**values, "alarms_per_week": alarms_per_week, "leads": [lead]})


def test_the_knee_is_where_more_alarms_buy_least() -> None:
    assert knee([point(0, 0), point(1, 8), point(5, 9), point(10, 10)]) == 1
    assert knee([point(0, 0), point(1, 8)]) is None
    assert knee([point(1, 5), point(1, 5), point(1, 5)]) is None


@st.composite
def walks(draw: st.DrawFn) -> tuple[Candles, Paths, AlertType, np.ndarray]:
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    count = draw(st.integers(2, 400))
    step = draw(st.sampled_from([60, 120, 300]))
    close = 100 * np.exp(np.cumsum(rng.normal(0, draw(st.sampled_from([0.002, 0.01])), count)))
    wick = np.abs(rng.normal(0, 0.004, (2, count)))
    seconds = START + step * np.cumsum(rng.integers(1, 3, count))
    series = Candles(seconds, close * (1 + wick[0]), close * (1 - wick[1]), close)
    side = draw(st.sampled_from(list(Side)))
    kind = draw(st.sampled_from([DISTANCE, TRAVEL]))
    if kind is DISTANCE:
        limits = [[10, 7, 5], [math.nan, math.nan, 8], [9, math.nan, 9], [3, 3, 3]]
    else:
        limits = [[-20, -35, -50], [math.nan, -10, math.nan], [5, -5, -60]]
    first = np.unique(rng.integers(0, count, 3))
    entry = close[first]
    away = draw(st.sampled_from([0.03, 0.08, 0.2]))
    paths = Paths(
        side, first, np.full(len(first), count - 1), entry, entry * (1 - side.sign * away)
    )
    return series, paths, kind, np.array(limits, float)


@pytest.mark.slow
@settings(max_examples=share_of(60), deadline=None)
@given(walks())
def test_looks_that_are_skipped_would_have_changed_nothing(
    made: tuple[Candles, Paths, AlertType, np.ndarray],
) -> None:
    series, paths, kind, limits = made
    looks = looks_of(series, paths, kind)
    quick = walk(series, looks, kind, limits)
    every = walk(series, looks, kind, limits, skipping=False)
    for name in Changes.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(quick, name), getattr(every, name), name)


@pytest.mark.slow
def test_a_year_by_twenty_sets_costs_less_than_eight_days_look_by_look() -> None:
    rng = np.random.default_rng(3)
    count = 365 * 288
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.0012, count)))
    wick = np.abs(rng.normal(0, 0.0006, (2, count)))
    year = Candles(
        START + 300 * np.arange(count), close * (1 + wick[0]), close * (1 - wick[1]), close
    )
    limits = np.array([[2 * one, 1.5 * one, one] for one in np.linspace(2, 25, 20)])

    def cost(series: Candles, skipping: bool) -> float:
        looks = looks_of(
            series, held_path(series, Side.LONG, 100, year.low_usd.min() * 0.98), DISTANCE
        )
        began = time.thread_time()
        walk(series, looks, DISTANCE, limits, skipping=skipping)
        return time.thread_time() - began

    day = Candles(*(getattr(year, name)[:288] for name in Candles.__dataclass_fields__))
    quick = min(cost(year, skipping=True) for _ in range(3))
    assert quick < 8 * min(cost(day, skipping=False) for _ in range(3))
