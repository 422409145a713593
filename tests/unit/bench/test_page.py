"""The table and the page that are made of a run."""

from __future__ import annotations

import io

from rich.console import Console

from tests.bench import page
from tests.bench.figures import Figure, Limit, absent

FIGURES = [
    Figure("G1", "a cycle", [30.0], "floor", [10.0], Limit(1.25), note="[of 3] a|b"),
    Figure("G6", "a small cycle", [10.0], "calls", [10.0], Limit(1.5)),
    absent("G10", "a notification", "Alertmanager is not installed here", Limit(1)),
]


def test_the_page_names_its_command_and_one_for_each_goal() -> None:
    text = page.markdown(FIGURES, "--seed 2", "x86_64, 2 cores", "1 May 2026")
    assert "Made by `make bench ARGS='--write --seed 2'` from one run on 1 May 2026." in text
    assert "`make bench ARGS='--only G6 --seed 2'`" in text
    assert "| a small cycle | 10.0 ms | calls 10.0 ms | 1.00 | ≤ 1.5 | met |" in text


def test_a_missed_goal_is_marked_and_told_first() -> None:
    text = page.markdown(FIGURES, "", "x86_64, 2 cores", "1 May 2026")
    assert "2 of 3 goals have a figure; missed: G1." in text
    assert "| ≤ 1.25 | MISSED |" in text


def test_a_bar_in_a_cell_does_not_break_the_table() -> None:
    assert "[of 3] a\\|b" in page.markdown(FIGURES, "", "here", "today")


def test_the_terminal_shows_notes_in_brackets_as_they_are() -> None:
    out = io.StringIO()
    Console(file=out, width=200).print(page.table(FIGURES, "bench"))
    shown = out.getvalue()
    assert "[of 3]" in shown and "Alertmanager is not installed here" in shown
    assert "no figure" in shown and "MISSED" in shown
