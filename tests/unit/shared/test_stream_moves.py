"""A move is news once, measured from the last look."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.streams import Moves, Reference


def test_a_move_is_told_once_and_measured_from_where_it_was_told() -> None:
    moves = Moves()
    moves.renew({"BTC": Reference(100.0, 0.5, 1)})
    told = [moves.moved("BTC", value) for value in (100.4, 100.5, 100.6, 100.9, 101.01, 100.49)]
    assert told == [False, True, False, False, True, True]


def test_the_same_look_keeps_where_it_was_told_and_another_begins_anew() -> None:
    moves = Moves()
    moves.renew({"BTC": Reference(100.0, 0.5, 1)})
    assert moves.moved("BTC", 101.0)
    moves.renew({"BTC": Reference(100.0, 0.5, 1)})
    assert not moves.moved("BTC", 101.0)
    moves.renew({"BTC": Reference(100.0, 0.5, 2)})
    assert moves.moved("BTC", 101.0)


def test_an_observation_that_is_looked_at_again_changes_its_limit_alone() -> None:
    moves = Moves()
    moves.renew({"BTC": Reference(100.0, 0.5, 1), "ETH": Reference(10.0, 0.5, 1)})
    assert moves.moved("BTC", 101.0)
    moves.renew({"BTC": Reference(100.0, 0.1, 1), "ETH": Reference(11.0, 0.5, 2)})
    assert [moves.moved("BTC", value) for value in (101.0, 101.2)] == [False, True]
    assert not moves.moved("ETH", 11.0)


def test_what_nobody_looked_at_has_not_moved() -> None:
    moves = Moves()
    moves.renew({})
    assert not moves.moved("ETH", 1e9)


@given(st.lists(st.floats(1.0, 1e6), max_size=200))
def test_whatever_comes_nothing_is_held_but_the_names_looked_at(values: list[float]) -> None:
    moves = Moves()
    moves.renew({"BTC": Reference(100.0, 0.5, 1)})
    for place, value in enumerate(values):
        moves.moved("BTC", value)
        moves.moved(f"coin {place}", value)
    assert set(moves._references) == {"BTC"}
