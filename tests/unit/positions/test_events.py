"""What an answer says has happened, by columns."""

from __future__ import annotations

import math

import pytest

from services.positions.sync.domain.events import (
    EventKind,
    Happening,
    known,
    summed,
)


def _opened(place: int, size: float | None) -> Happening:
    return Happening(place, EventKind.OPENED, "p", "SOL", 1, None, size)


def test_only_first_answers_are_summed_each_by_itself() -> None:
    opened = [_opened(0, 10.0), _opened(1, 20.0), _opened(2, 5.0), _opened(0, 1.0)]
    first, second, rest = summed(opened, frozenset({0, 2, 3}))
    assert (first.place, first.kind, first.position_count) == (0, EventKind.FIRST_LOOK, 2)
    assert (first.size_after_usd, second.size_after_usd) == (11.0, 5.0)
    assert rest is opened[1]


def test_a_size_that_is_absent_adds_nothing_to_a_first_look() -> None:
    (event,) = summed([_opened(0, None), _opened(0, 3.0)], frozenset({0}))
    assert (event.size_after_usd, event.position_count) == (3.0, 2)


@pytest.mark.parametrize(("number", "wanted"), [(math.nan, None), (0.0, 0.0), (2.5, 2.5)])
def test_what_is_absent_is_none(number: float, wanted: float | None) -> None:
    assert known(number) == wanted
