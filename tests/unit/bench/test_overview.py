"""What the measurement of the overview calls slow, and what it calls grown."""

from __future__ import annotations

from tests.browser.large import GOAL_MS, grown, slow

LOOK = {"JSHeapUsedSize": 100.0, "Nodes": 100.0, "JSEventListeners": 100.0}


def test_the_median_of_the_visits_is_what_may_not_be_above_the_goal() -> None:
    assert not slow({"nearest positions": [1.0, GOAL_MS, 9 * GOAL_MS]})
    assert slow({"nearest positions": [1.0, GOAL_MS + 1, GOAL_MS + 2]})


def test_what_is_more_at_the_end_than_after_the_first_quarter_is_named() -> None:
    assert grown([LOOK, LOOK | {"Nodes": 500.0}, LOOK | {"Nodes": 110.0}]) == []
    assert grown([LOOK, LOOK, LOOK | {"Nodes": 120.0}]) == ["Nodes"]
