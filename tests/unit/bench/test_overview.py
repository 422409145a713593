"""What the measurement of the overview calls slow, and what it calls grown."""

from __future__ import annotations

from tests.browser.large import GOALS_MS, grown, slow

LOOK = {"JSHeapUsedSize": 100.0, "Nodes": 100.0, "JSEventListeners": 100.0}


def test_the_median_of_the_visits_is_what_may_not_be_above_the_goal() -> None:
    assert slow({name: [1.0, goal, 9 * goal] for name, goal in GOALS_MS.items()}) == []
    late = {name: [1.0, goal + 1, goal + 2] for name, goal in GOALS_MS.items()}
    assert slow(late) == ["first paint within 1000 ms", "nearest positions within 1500 ms"]


def test_what_is_more_at_the_end_than_after_the_first_quarter_is_named() -> None:
    assert grown([LOOK, LOOK | {"Nodes": 500.0}, LOOK | {"Nodes": 110.0}]) == []
    assert grown([LOOK, LOOK, LOOK | {"Nodes": 120.0}]) == ["Nodes"]
