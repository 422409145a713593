"""The deepest fall from a peak, and percents of what may be nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.positions.sessions.domain import (
    Session,
    SessionStatus,
    Strategy,
    drawdown,
    percent_of,
)


@pytest.mark.parametrize(
    ("values", "fall", "percent"),
    [
        ([], 0.0, None),
        ([100.0], 0.0, 0.0),
        ([100.0, 110.0, 120.0], 0.0, 0.0),
        ([100.0, 80.0, 90.0], 20.0, 20.0),
        ([100.0, 50.0, 200.0, 120.0], 80.0, 50.0),
        ([0.0, -5.0], 5.0, None),
        ([-5.0, 10.0, -10.0], 20.0, 200.0),
    ],
)
def test_the_deepest_fall_is_found(values, fall, percent) -> None:
    assert drawdown(values) == (fall, percent)


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=30))
def test_it_agrees_with_every_pair(values) -> None:
    pairs = [(high, low) for place, high in enumerate(values) for low in values[place:]]
    fall, percent = drawdown(values)
    assert fall == pytest.approx(max(high - low for high, low in pairs))
    assert percent == pytest.approx(max(100 * (high - low) / high for high, low in pairs))


def test_a_return_needs_something_to_return_on() -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    session = Session("s", "", "", SessionStatus.OPEN, now, None, 200.0, 150.0, 0.0, None)
    assert (session.performance_usd, session.return_percent) == (-50.0, -25.0)
    assert percent_of(1.0, 0.0) is None and percent_of(1.0, -1.0) is None
    assert Strategy(None, "", None, 5.0).return_percent is None
    assert Strategy(4.0, "", None, 5.0).return_percent == 25.0
