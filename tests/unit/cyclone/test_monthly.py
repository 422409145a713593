"""The scorecard as a message: once a month of the zone's clock, and what it says."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.cyclone.monthly.domain import (
    LATEST,
    MonthFacts,
    Monthly,
    RuleLine,
    days_before,
    month_due,
    month_message,
    month_time,
    until_next_month,
)

NOVEMBER = (datetime(2026, 11, 1, 8, tzinfo=UTC), datetime(2026, 12, 1, 8, tzinfo=UTC))


def monthly(zone: str, at: str = "09:00") -> Monthly:
    return Monthly(time.fromisoformat(at), ZoneInfo(zone))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])
@pytest.mark.parametrize("at", ["00:00", "09:00", "23:59"])
def test_each_month_of_a_year_is_due_once_and_in_one_stretch(zone: str, at: str) -> None:
    asked, now = monthly(zone, at), datetime(2026, 1, 8, tzinfo=UTC)
    found: list[date] = []
    before = None
    for _ in range(365 * 24):
        month = month_due(now, asked)
        if month is not None and month != before:
            found.append(month)
            assert now - month_time(month, asked) < timedelta(hours=1)
        before = month
        wait = until_next_month(now, asked)
        assert timedelta() < wait <= timedelta(days=31, hours=1)
        assert month_due(now + wait, asked) is not None
        assert month_due(now + wait - timedelta(seconds=1), asked) is None
        now += timedelta(hours=1)
    assert found == [date(2026, month, 1) for month in range(2, 13)] + [date(2027, 1, 1)]


def test_a_system_that_was_away_tells_late_and_then_not_at_all() -> None:
    asked = monthly("Europe/Berlin")
    moment = month_time(date(2026, 12, 1), asked)
    assert moment == datetime(2026, 12, 1, 8, tzinfo=UTC)
    assert month_due(moment + LATEST - timedelta(seconds=1), asked) == date(2026, 12, 1)
    assert month_due(moment + LATEST, asked) is None
    assert month_due(moment - timedelta(seconds=1), asked) is None


def test_the_days_of_the_month_before_are_asked_for() -> None:
    assert [days_before(date(2028, month, 1)) for month in (1, 3, 12)] == [31, 29, 30]


def test_the_message_says_first_of_whom_nobody_was_told_and_what_only_made_noise() -> None:
    rules = [
        RuleLine("heat index", 3, 0, 3, 0.0, 0.0, True),
        RuleLine("total heat", 2, 0, 0, None, None, False),
        RuleLine("liquidation distance", 4, 3, 1, 0.75, 0.5, False),
    ]
    found = month_message(date(2026, 12, 1), MonthFacts(*NOVEMBER, 14, 2, ["SOL p-1"], 0, rules))
    assert found.request_id == "scorecard-2026-11"
    assert found.subject == (
        "Alerts in November 2026: 2 liquidations, 1 nobody was told of; 9 times HIGH, 4 of them"
        " noise"
    )
    assert found.body.split("\n", 2)[2] == (
        "Nobody had been told before the liquidation of SOL p-1.\n"
        "only noise: heat index: 3 times HIGH, 0 of use, 3 noise, precision 0 %,"
        " HIGH before 0 % of liquidations\n"
        "total heat: 2 times HIGH\n"
        "liquidation distance: 4 times HIGH, 3 of use, 1 noise, precision 75 %,"
        " HIGH before 50 % of liquidations\n"
        "14 incidents of all levels. More: sonic scorecard"
    )


@pytest.mark.parametrize(("count", "words"), [(0, ""), (2, ", 2 not known")])
def test_liquidations_of_which_it_is_not_known_who_was_told_are_no_silence_and_no_success(
    count: int, words: str
) -> None:
    found = month_message(date(2026, 12, 1), MonthFacts(*NOVEMBER, 0, 3, ["SOL p-1"], count, []))
    assert f"3 liquidations, 1 nobody was told of{words}; 0 times HIGH" in found.subject
