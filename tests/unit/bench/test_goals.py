"""Choosing goals, and telling which are missed."""

from __future__ import annotations

import pytest

from tests.bench import __main__ as bench
from tests.bench.figures import Figure, Limit
from tests.bench.goals import GOALS, chosen, in_order, missed


def test_all_goals_are_wanted_without_a_choice() -> None:
    assert chosen("") == [f"G{number}" for number in range(1, 22)] == list(GOALS)


def test_goals_are_chosen_by_any_spelling_and_come_in_order() -> None:
    assert chosen("g10, 6,G7") == ["G6", "G7", "G10"]


def test_an_unknown_goal_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="G22"):
        chosen("G1,G22")


def test_every_wanted_goal_is_printed_in_its_order_measured_or_not() -> None:
    figures = [Figure("G10", "ten", [1.0]), Figure("G2", "two", [1.0]), Figure("G2", "more", [1.0])]
    lines = in_order(figures, ["G2", "G3", "G10"])
    assert [line.goal for line in lines] == ["G2", "G2", "G3", "G10"]
    assert "nothing measured" in lines[2].note


def test_what_nobody_asked_for_is_left_out() -> None:
    assert not in_order([Figure("G5", "five", [1.0])], [])


def test_a_goal_is_missed_by_one_of_its_figures() -> None:
    figures = [
        Figure("G3", "a", [1.0], "b", [1.0], Limit(1)),
        Figure("G3", "a", [2.0], "b", [1.0], Limit(1)),
        Figure("G1", "a", [9.0]),
    ]
    assert missed(figures) == ["G3"]


async def test_a_wrong_goal_ends_the_command_before_it_measures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        await bench.main(["--only", "G22"])
    assert "no such goal: G22" in capsys.readouterr().err
