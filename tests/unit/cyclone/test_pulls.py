"""A stream pulls a cycle forward: five seconds apart, and never just before a slot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain, cycle, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cyclone.domain import schedule
from services.cyclone.domain.cycle import Step, StepState, begun
from services.cyclone.domain.pulls import (
    REST_SECONDS,
    is_in_vain,
    rest_seconds,
    wait_seconds,
)
from services.cyclone.domain.schedule import Setting

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("begun_seconds_ago", "slot_seconds", "wait"),
    [
        (30.0, 30.0, 0.0),
        (5.0, 55.0, 0.0),
        (2.0, 58.0, 3.0),
        (0.0, 10.0, 5.0),
        (0.0, 9.9, None),
        (50.0, 5.0, 0.0),
        (56.0, 4.0, None),
        (0.0, 5.0, None),
    ],
)
def test_when_a_stream_may_pull(
    begun_seconds_ago: float, slot_seconds: float, wait: float | None
) -> None:
    assert wait_seconds(begun_seconds_ago, slot_seconds) == wait


@pytest.mark.parametrize(
    ("last_cycle_seconds", "begun_seconds_ago", "slot_seconds", "wait"),
    [
        (1.0, 54.0, 6.0, 0.0),
        (20.0, 40.0, 20.0, 0.0),
        (20.0, 41.0, 19.0, None),
        (20.0, 2.0, 22.0, None),
        (45.0, 45.0, 15.0, None),
        (56.0, 56.0, 4.0, None),
        (59.0, 59.0, 1.0, None),
        (59.0, 59.0, 61.0, 0.0),
    ],
)
def test_a_pulled_cycle_is_to_end_before_the_slot(
    last_cycle_seconds: float, begun_seconds_ago: float, slot_seconds: float, wait: float | None
) -> None:
    assert wait_seconds(begun_seconds_ago, slot_seconds, last_cycle_seconds) == wait


@pytest.mark.parametrize(
    ("interval_seconds", "expected"),
    [
        (600, [5, 10, 20, 40, 60, 60, 60]),
        (60, [5, 10, 15, 15, 15, 15, 15]),
        (10, [5, 5, 5, 5, 5, 5, 5]),
    ],
)
def test_after_pulled_cycles_in_vain_the_rest_is_longer_up_to_a_quarter_of_the_interval(
    interval_seconds: float, expected: list[float]
) -> None:
    counts = (0, 1, 2, 3, 4, 5, 5000)
    assert [rest_seconds(count, interval_seconds) for count in counts] == expected


def test_however_often_it_was_in_vain_a_stream_still_pulls() -> None:
    assert wait_seconds(6.0, 54.0, 1.0, rest_seconds(5000, 60.0)) == 9.0


@pytest.mark.parametrize(
    ("name", "state", "expected"),
    [
        ("SYNC_POSITIONS", StepState.FAILED, True),
        ("UPDATE_PRICES", StepState.FAILED, True),
        ("SYNC_POSITIONS", StepState.PARTIAL, False),
        ("RUN_MONITORS", StepState.FAILED, False),
        ("NOTIFY", StepState.PARTIAL, False),
    ],
)
def test_only_those_outside_who_give_nothing_are_asked_less(
    name: str, state: StepState, expected: bool
) -> None:
    cycle = begun("cycle", None, (), 1, START)
    assert is_in_vain(replace(cycle, steps=(Step(name, state),))) is expected


def missed_and_pulled(lengths: Sequence[float]) -> tuple[int, int]:
    """Of cycles of these lengths under a flood, one a minute by schedule: the slots missed, and
    the cycles pulled.
    """
    missed_count, pulled_count, _ = flooded(lengths)
    return missed_count, pulled_count


def flooded(lengths: Sequence[float]) -> tuple[int, int, float]:
    """The same, and the seconds in which no cycle ran."""
    now, setting = START, Setting(timedelta(minutes=1), True, START, 0, 1)
    begun, length, held_up, pulled_count, left = START, 0.0, False, 0, iter(lengths)
    idle_seconds, is_pulled = 0.0, False
    while True:
        due = schedule.due(setting, now, held_up=held_up)
        setting = replace(
            setting, next_time=due.next_time, missed_count=setting.missed_count + due.missed_count
        )
        if due.slot_time is None:
            slot_seconds = (setting.next_time - now).total_seconds()
            ago = (now - begun).total_seconds()
            wait = wait_seconds(ago, slot_seconds, length)
            if wait != 0.0:
                pause = slot_seconds if wait is None else wait
                now, idle_seconds = now + timedelta(seconds=pause), idle_seconds + pause
                held_up = False
                continue
            pulled_count += 1
            is_pulled = True
        if (next_length := next(left, None)) is None:
            return setting.missed_count, pulled_count, idle_seconds
        begun, length = now, next_length
        now += timedelta(seconds=length)
        held_up = schedule.is_held_up(setting.interval, length, by_pull=is_pulled, before=held_up)
        is_pulled = False


def test_cycles_longer_than_the_interval_have_pauses_also_after_one_that_was_pulled() -> None:
    _, pulled_count, idle_seconds = flooded([1.0, 95.0] + [95.0] * 40)
    assert pulled_count == 1 and idle_seconds >= 20 * 20


@pytest.mark.parametrize("first_seconds", [1.0, 20.0])
@pytest.mark.parametrize("length_seconds", [1.0, 20.0, 45.0, 56.0, 59.0])
def test_no_slot_is_lost_under_a_flood(first_seconds: float, length_seconds: float) -> None:
    """Also where a service begins to hang in a cycle that was pulled."""
    lengths = [first_seconds] * 3 + [length_seconds] * 27
    missed_count, pulled_count = missed_and_pulled(lengths)
    assert missed_count == 0 and pulled_count >= 2


@given(st.lists(st.floats(0.1, 59.9), min_size=1, max_size=8))
def test_no_slot_is_lost_however_the_length_of_cycles_changes(lengths: list[float]) -> None:
    assert missed_and_pulled(list(islice(chain(lengths, cycle(lengths)), 30)))[0] == 0


@given(
    interval=st.floats(5.0, 300.0),
    told=st.lists(st.floats(0.0, 2000.0), min_size=1, max_size=200).map(sorted),
)
def test_whatever_is_told_whenever_cycles_begin_five_seconds_apart(
    interval: float, told: list[float]
) -> None:
    """Slots are where they were; each word is followed by a cycle within five seconds or by the
    slot.
    """
    begun, slot = [0.0], interval
    for moment in told:
        while slot <= moment:
            begun.append(slot)
            slot += interval
        if begun[-1] > moment:
            continue
        wait = wait_seconds(moment - begun[-1], slot - moment)
        begins = slot if wait is None else moment + wait
        assert begins - moment <= 2 * REST_SECONDS + 1e-6
        if wait is None:
            slot += interval
        begun.append(begins)
    gaps = [later - earlier for earlier, later in pairwise(begun)]
    assert all(gap >= REST_SECONDS - 1e-6 for gap in gaps)
