"""When the index trades, over summer time and weekends."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.price.domain.trading_hours import is_open

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 11, 20, 14, 30), True),
        (datetime(2026, 11, 20, 14, 29, 59), False),
        (datetime(2026, 11, 20, 20, 59, 59), True),
        (datetime(2026, 11, 20, 21, 0), False),
        (datetime(2026, 7, 1, 13, 30), True),
        (datetime(2026, 7, 1, 20, 0), False),
        (datetime(2026, 11, 21, 17, 0), False),
        (datetime(2026, 11, 22, 17, 0), False),
    ],
)
def test_it_opens_and_closes_by_the_clock_of_new_york(moment: datetime, expected: bool) -> None:
    assert is_open(moment.replace(tzinfo=UTC)) is expected


@given(st.datetimes(datetime(2008, 1, 1), datetime(2035, 12, 31)))
def test_it_agrees_with_the_zone_files(moment: datetime) -> None:
    local = moment.replace(tzinfo=UTC).astimezone(NEW_YORK)
    since_midnight = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
    expected = local.weekday() < 5 and timedelta(hours=9, minutes=30) <= since_midnight < timedelta(
        hours=16
    )
    assert is_open(moment.replace(tzinfo=UTC)) is expected
