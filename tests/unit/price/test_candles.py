"""Intervals and gaps: what is covered and what is not always fit together,
and nothing is bridged."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.price.domain.candles import Gap, Interval, Kline, gaps

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("interval", "start", "end"),
    [
        (Interval.MINUTE, "13:37", "13:38"),
        (Interval.FIVE_MINUTES, "13:35", "13:40"),
        (Interval.QUARTER_HOUR, "13:30", "13:45"),
        (Interval.HOUR, "13:00", "14:00"),
        (Interval.FOUR_HOURS, "12:00", "16:00"),
    ],
)
def test_an_interval_starts_and_ends_at_its_multiples(
    interval: Interval, start: str, end: str
) -> None:
    moment = MIDNIGHT.replace(hour=13, minute=37, second=42)
    assert f"{interval.start_of(moment):%H:%M}" == start
    assert f"{interval.end_of(moment):%H:%M}" == end
    assert interval.end_of(interval.start_of(moment)) == interval.start_of(moment)


def test_a_day_starts_at_midnight_utc_before_1970_too() -> None:
    moment = datetime(1969, 12, 31, 23, 59, tzinfo=UTC)
    assert Interval.DAY.start_of(moment) == datetime(1969, 12, 31, tzinfo=UTC)


def test_a_close_belongs_to_its_own_interval() -> None:
    for interval in Interval:
        moment = Kline(MIDNIGHT, 1.0, 1.0, 1.0, 1.0).price_time(interval)
        assert interval.start_of(moment) == MIDNIGHT
        assert moment + timedelta(milliseconds=1) == MIDNIGHT + interval.span


def test_gaps_are_at_the_start_between_and_at_the_end() -> None:
    starts = [MIDNIGHT + hours * HOUR for hours in (2, 3, 6)]
    assert gaps(starts, Interval.HOUR, MIDNIGHT, MIDNIGHT + 9 * HOUR) == [
        Gap(MIDNIGHT, MIDNIGHT + 2 * HOUR, 2),
        Gap(MIDNIGHT + 4 * HOUR, MIDNIGHT + 6 * HOUR, 2),
        Gap(MIDNIGHT + 7 * HOUR, MIDNIGHT + 9 * HOUR, 2),
    ]


def test_nothing_known_is_one_gap_and_nothing_asked_is_none() -> None:
    assert gaps([], Interval.HOUR, MIDNIGHT, MIDNIGHT + 3 * HOUR) == [
        Gap(MIDNIGHT, MIDNIGHT + 3 * HOUR, 3)
    ]
    assert gaps([], Interval.HOUR, MIDNIGHT, MIDNIGHT) == []


@given(st.sampled_from(Interval), st.integers(0, 60), st.sets(st.integers(0, 59)))
def test_candles_and_gaps_cover_the_time_without_a_hole_and_never_overlap(
    interval: Interval, count: int, present: set[int]
) -> None:
    known = sorted(place for place in present if place < count)
    end = MIDNIGHT + count * interval.span
    found = gaps([MIDNIGHT + place * interval.span for place in known], interval, MIDNIGHT, end)
    covered = list(known)
    for gap in found:
        first = (gap.start_time - MIDNIGHT) // interval.span
        assert gap.end_time - gap.start_time == gap.interval_count * interval.span
        covered += range(first, first + gap.interval_count)
    assert sorted(covered) == list(range(count))
    assert all(one.end_time < other.start_time for one, other in pairwise(found))
