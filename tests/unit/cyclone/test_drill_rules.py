"""A drill goes on for no longer than its limit, and over no danger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cyclone.drills.domain import Drill, DrillState, at_a_ping, ended, hash_of

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
PLANNED = Drill("drill", DrillState.PLANNED, NOW, 600.0, hash_of("ab12cd34"))


@pytest.mark.parametrize(
    ("seconds", "is_high", "state"),
    [
        (-1, False, DrillState.PLANNED),
        (-1, True, DrillState.PLANNED),
        (0, False, DrillState.RUNNING),
        (0, True, DrillState.HIGH_STANDS),
        (599, False, DrillState.RUNNING),
        (600, False, DrillState.TIMED_OUT),
        (600, True, DrillState.TIMED_OUT),
    ],
)
def test_what_becomes_of_a_drill_at_a_ping(
    seconds: float, is_high: bool, state: DrillState
) -> None:
    assert at_a_ping(PLANNED, NOW + timedelta(seconds=seconds), is_high=is_high).state is state


@given(st.lists(st.tuples(st.integers(1, 900), st.booleans()), max_size=30))
def test_whenever_somebody_looks_nothing_is_kept_back_beyond_the_limit_or_over_danger(
    looks: list[tuple[int, bool]],
) -> None:
    drill, now = PLANNED, NOW
    for seconds, is_high in looks:
        now += timedelta(seconds=seconds)
        was_over = drill.is_over
        drill = at_a_ping(drill, now, is_high=is_high)
        if drill.state is DrillState.RUNNING:
            assert drill.begun_time is not None
            assert not is_high
            assert now - drill.begun_time < timedelta(seconds=600)
        assert not was_over or drill.is_over


def test_only_an_answer_tells_how_long_it_took() -> None:
    running = at_a_ping(PLANNED, NOW, is_high=False)
    later = NOW + timedelta(minutes=7)
    assert ended(running, DrillState.ANSWERED, later).told_after == timedelta(minutes=7)
    assert ended(running, DrillState.CANCELLED, later).told_after is None
    assert hash_of(" AB12CD34 ") == PLANNED.code_hash


def test_a_clock_that_is_set_back_ends_a_running_drill() -> None:
    running = at_a_ping(PLANNED, NOW + timedelta(seconds=60), is_high=False)
    for seconds in (59, -3600):
        after = at_a_ping(running, NOW + timedelta(seconds=seconds), is_high=False)
        assert after.state is DrillState.TIMED_OUT
