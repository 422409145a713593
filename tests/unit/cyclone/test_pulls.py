"""A stream pulls a cycle forward: five seconds apart, and never just before a slot."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cyclone.domain.pulls import REST_SECONDS, wait_seconds


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
