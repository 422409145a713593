"""Slots: the one that is due, those that were missed, and a clock that is set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cyclone.domain import schedule
from services.cyclone.domain.schedule import Due, Setting
from shared.errors import InvalidArgument

SLOT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(seconds=60)


def _setting(interval: timedelta = MINUTE) -> Setting:
    return Setting(interval, True, SLOT, 0, 1)


@pytest.mark.parametrize(
    ("late_seconds", "expected"),
    [
        (-1, Due(None, 0, SLOT)),
        (0, Due(SLOT, 0, SLOT + MINUTE)),
        (30, Due(SLOT, 0, SLOT + MINUTE)),
        (31, Due(None, 1, SLOT + MINUTE)),
        (60, Due(SLOT + MINUTE, 1, SLOT + 2 * MINUTE)),
        (89, Due(SLOT + MINUTE, 1, SLOT + 2 * MINUTE)),
        (91, Due(None, 2, SLOT + 2 * MINUTE)),
        (3_600, Due(SLOT + 60 * MINUTE, 60, SLOT + 61 * MINUTE)),
    ],
)
def test_slots_in_the_past_are_counted_and_never_run(late_seconds: float, expected: Due) -> None:
    assert schedule.due(_setting(), SLOT + timedelta(seconds=late_seconds)) == expected


@pytest.mark.parametrize(
    ("late_seconds", "expected"),
    [
        (-1, Due(None, 0, SLOT)),
        (20, Due(SLOT, 0, SLOT + MINUTE)),
        (45, Due(SLOT + timedelta(seconds=45), 1, SLOT + timedelta(seconds=105))),
        (600, Due(SLOT + timedelta(seconds=600), 11, SLOT + timedelta(seconds=660))),
    ],
)
def test_a_new_owner_does_not_wait_for_the_grid_after_a_standstill(
    late_seconds: float, expected: Due
) -> None:
    assert schedule.due(_setting(), SLOT + timedelta(seconds=late_seconds), anew=True) == expected


@pytest.mark.parametrize(
    ("late_seconds", "expected"),
    [
        (-1, Due(None, 0, SLOT)),
        (31, Due(SLOT, 0, SLOT + MINUTE)),
        (59, Due(SLOT, 0, SLOT + MINUTE)),
        (119, Due(SLOT + MINUTE, 1, SLOT + 2 * MINUTE)),
    ],
)
def test_a_slot_that_another_cycle_held_up_is_run_however_late(
    late_seconds: float, expected: Due
) -> None:
    now = SLOT + timedelta(seconds=late_seconds)
    assert schedule.due(_setting(), now, held_up=True) == expected


@pytest.mark.parametrize("anew", [True, False])
@pytest.mark.parametrize(
    ("ahead_seconds", "is_due"),
    [(60, False), (60.9, False), (61, False), (61.1, True), (3_600, True), (5 * 86_400, True)],
)
def test_a_slot_that_a_clock_set_back_left_far_ahead_is_not_waited_for(
    ahead_seconds: float, is_due: bool, anew: bool
) -> None:
    now = SLOT - timedelta(seconds=ahead_seconds)
    expected = Due(now, 0, now + MINUTE) if is_due else Due(None, 0, SLOT)
    assert schedule.due(_setting(), now, anew=anew) == expected


@given(
    late=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3)),
    interval=st.timedeltas(min_value=schedule.SHORTEST, max_value=schedule.LONGEST),
)
def test_each_slot_is_either_run_or_counted(late: timedelta, interval: timedelta) -> None:
    now = SLOT + late
    found = schedule.due(_setting(interval), now)
    assert found.next_time > now
    assert found.next_time - now <= interval
    slots = (found.next_time - SLOT) // interval
    assert slots == found.missed_count + (found.slot_time is not None)


@pytest.mark.parametrize("seconds", [4.9, 86_401, 0, -5])
def test_an_interval_out_of_range_is_refused(seconds: float) -> None:
    with pytest.raises(InvalidArgument) as caught:
        schedule.checked_interval(timedelta(seconds=seconds))
    assert caught.value.reason == "INVALID_FIELD"
    assert "schedule.interval" in caught.value.fields


@pytest.mark.parametrize(
    ("wall_seconds", "steady_seconds", "step_seconds"),
    [(60, 60, 0), (60.9, 60, 0), (61, 60, 1), (3_660, 60, 3_600), (-3_540, 60, -3_600)],
)
def test_a_clock_that_drifts_is_not_a_clock_that_was_set(
    wall_seconds: float, steady_seconds: float, step_seconds: float
) -> None:
    wall, steady = timedelta(seconds=wall_seconds), timedelta(seconds=steady_seconds)
    assert schedule.clock_step(wall, steady) == timedelta(seconds=step_seconds)
