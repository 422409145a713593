"""The question before sleep by itself: once a night of the zone's clock, also when that changes."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.cyclone.sleep.domain.evening import (
    LATEST,
    Evening,
    due_time,
    evening_message,
    night_due,
    until_next,
)
from services.cyclone.sleep.domain.facts import Part
from services.cyclone.sleep.domain.verdicts import Reason, Verdict

BERLIN = ZoneInfo("Europe/Berlin")
# Summer time begins, and ends.
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)


def evening(at: str, zone: ZoneInfo = BERLIN) -> Evening:
    return Evening(time.fromisoformat(at), zone, 8)


@pytest.mark.parametrize(
    ("night", "at", "moment"),
    [
        (date(2026, 3, 28), "22:30", "21:30"),
        (SPRING, "22:30", "20:30"),
        # 02:30 is left out: an hour after 01:30, which is 03:30 of the new clock.
        (SPRING, "02:30", "01:30"),
        # Shown twice: the first.
        (AUTUMN, "02:30", "00:30"),
        (AUTUMN, "22:30", "21:30"),
    ],
)
def test_the_moment_is_of_the_zones_clock(night: date, at: str, moment: str) -> None:
    assert due_time(night, evening(at)).strftime("%H:%M") == moment


@pytest.mark.parametrize("at", ["22:30", "23:50", "00:10", "02:30", "03:00"])
@pytest.mark.parametrize("changed", [SPRING, AUTUMN])
def test_minute_by_minute_each_night_is_due_once_and_in_one_stretch(at: str, changed: date) -> None:
    asked = evening(at)
    now = datetime.combine(changed - timedelta(days=2), time(12), tzinfo=UTC)
    nights = Counter[date]()
    begun = Counter[date]()
    before = None
    for _ in range(4 * 24 * 60):
        night = night_due(now, asked)
        if night is not None:
            nights[night] += 1
            begun[night] += night != before
        before = night
        now += timedelta(minutes=1)
    assert len(nights) == 4
    assert set(begun.values()) == {1}
    assert set(nights.values()) == {LATEST // timedelta(minutes=1)}


@pytest.mark.parametrize("at", ["00:00", "00:10", "01:45", "02:00", "02:30", "03:00", "23:59"])
@pytest.mark.parametrize(
    "zone",
    [
        # Changed at two, at one by half an hour, at midnight; in the south; not at all.
        "Europe/London", "America/New_York", "Australia/Lord_Howe", "America/Havana",
        "America/Santiago", "Africa/Cairo", "Asia/Beirut", "Asia/Kathmandu",
    ],
)  # fmt: skip
def test_of_a_whole_year_each_night_has_one_moment_at_its_clocks_time(zone: str, at: str) -> None:
    asked = evening(at, ZoneInfo(zone))
    nights = [date(2026, 1, 1) + timedelta(days=days) for days in range(365)]
    moments = [due_time(night, asked) for night in nights]
    changes = 0
    for night, moment, before in zip(nights[1:], moments[1:], moments, strict=False):
        apart = moment - before
        assert timedelta(hours=22) < apart < timedelta(hours=26), night
        changes += apart != timedelta(hours=24)
        shown = moment.astimezone(asked.zone)
        assert night_due(moment, asked) == night
        assert night_due(moment - timedelta(seconds=1), asked) is None
        if shown.time() != asked.at:
            # The clock leaves it out: it is when it would have been, later by what is missing.
            assert apart == timedelta(hours=24), night
            late = datetime.combine(night, shown.time()) - datetime.combine(night, asked.at)
            assert late in (timedelta(minutes=30), timedelta(hours=1))
        else:
            assert shown.fold == 0, "the first of two"
            assert shown.date() == night
    assert changes <= 4


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kathmandu"])
def test_the_next_one_is_ahead_and_at_most_25_hours_away(zone: str) -> None:
    asked = evening("02:30", ZoneInfo(zone))
    now = datetime(2026, 3, 1, tzinfo=UTC)
    for _ in range(300):
        wait = until_next(now, asked)
        assert timedelta() < wait <= timedelta(hours=25)
        assert night_due(now + wait, asked) is not None
        now += timedelta(hours=23, minutes=7)


def test_the_message_names_the_gravest_reason_and_all_of_them() -> None:
    reasons = [
        Reason(Part.CYCLE, Verdict.RED, "The schedule is off"),
        Reason(Part.PRICES, Verdict.GREEN, "Prices are good"),
    ]
    message = evening_message(SPRING, Verdict.RED, reasons, 8)
    assert message.subject == "Before sleep: RED, not now. The schedule is off"
    assert message.body.splitlines()[0] == "Not now (RED, for 8 h)."
    assert message.body.splitlines()[2:] == ["RED: The schedule is off", "GREEN: Prices are good"]
    assert (message.request_id, message.is_good) == ("before-sleep-2026-03-29", False)
    calm = evening_message(SPRING, Verdict.GREEN, reasons[1:], 8)
    assert (calm.subject, calm.is_good) == ("Before sleep: GREEN, you can sleep", True)
