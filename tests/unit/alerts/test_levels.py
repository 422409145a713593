"""Levels: inclusive edges, hysteresis, and what a missing or old value must never do."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.alerts.domain.kinds import Condition, Level
from services.alerts.domain.levels import (
    ReadingColumns,
    flips,
    judge_levels,
    progress_percent,
    raw_level,
    signs,
)

ORACLE = json.loads(
    (Path(__file__).parents[2] / "oracle" / "portfolio_hedges_alerts.json").read_text()
)
ABOVE, BELOW = Condition.ABOVE, Condition.BELOW
HEAT = (30.0, 40.0, 50.0)
TRAVEL = (-20.0, -35.0, -50.0)


def _limits(limits: tuple[float, float, float]) -> np.ndarray:
    return np.array([limits], float)


def _raw(value: float, condition: Condition, limits: tuple[float, float, float]) -> Level:
    return Level(raw_level(np.array([value]), _limits(limits), signs(np.array([condition])))[0])


class Alert:
    """One alert judged again and again."""

    def __init__(self, condition: Condition, limits: tuple[float, float, float]) -> None:
        self.sign, self.limits = signs(np.array([condition])), _limits(limits)
        self.level, self.falling, self.held = np.array([1], np.int8), np.array([0], np.int8), False

    def see(self, value: float, *, fresh: bool = True, new: bool = True) -> Level:
        reading = ReadingColumns(np.array([value]), np.array([fresh]), np.array([new]))
        judged = judge_levels(self.level, self.falling, reading, self.limits, self.sign)
        self.level, self.falling, self.held = judged.level, judged.falling, bool(judged.held[0])
        return Level(self.level[0])


@pytest.mark.parametrize("table", ORACLE["levels"])
def test_levels_are_those_of_the_oracle(table: dict) -> None:
    limits = (table["low"], table["medium"], table["high"])
    for value, expected in table["cases"]:
        assert _raw(value, Condition[table["condition"]], limits).name == expected


@pytest.mark.parametrize("case", ORACLE["threshold_progress"])
def test_progress_is_that_of_the_oracle(case: dict) -> None:
    assert progress_percent(case["start"], case["trigger"], case["current"]) == pytest.approx(
        case["expect"]
    )


@pytest.mark.parametrize(
    ("condition", "limits", "values", "expected"),
    [
        # Up at once, and over two levels in one step.
        (ABOVE, HEAT, [10, 55], "NORMAL HIGH"),
        # A value that flaps around the edge changes nothing: 47.5 is 5 % away.
        (ABOVE, HEAT, [50, 49, 50, 48, 50, 47.6], "HIGH HIGH HIGH HIGH HIGH HIGH"),
        # Away twice in a row falls, away once and back does not.
        (ABOVE, HEAT, [50, 47.5, 47.5], "HIGH HIGH MEDIUM"),
        (ABOVE, HEAT, [50, 10, 50, 10, 49, 10], "HIGH HIGH HIGH HIGH HIGH HIGH"),
        # Each edge needs its own two.
        (ABOVE, HEAT, [50, 45, 10, 10], "HIGH HIGH MEDIUM NORMAL"),
        (ABOVE, HEAT, [50, 10, 45, 45], "HIGH HIGH MEDIUM MEDIUM"),
        (BELOW, TRAVEL, [-50, -47.6, -47.6], "HIGH HIGH HIGH"),
        (BELOW, TRAVEL, [-50, -47.5, -47.5], "HIGH HIGH MEDIUM"),
        (BELOW, TRAVEL, [-60, 0, 0], "HIGH HIGH NORMAL"),
        # An edge of 0 has no margin, and is an edge all the same.
        (ABOVE, (0.0, 0.0, 0.0), [0, -0.1, 0, -0.1, -0.1], "HIGH HIGH HIGH HIGH NORMAL"),
        # Levels without a limit are never reached.
        (ABOVE, (math.nan, math.nan, 50.0), [49, 50, 40, 40], "NORMAL HIGH HIGH NORMAL"),
    ],
)
def test_levels_follow_readings(
    condition: Condition, limits: tuple[float, float, float], values: list[float], expected: str
) -> None:
    alert = Alert(condition, limits)
    assert " ".join(alert.see(value).name for value in values) == expected


def test_a_stale_reading_breaks_the_row() -> None:
    alert = Alert(ABOVE, HEAT)
    alert.see(60)
    alert.see(10)
    alert.see(10, fresh=False)
    assert alert.see(10) is Level.HIGH
    assert alert.see(10) is Level.NORMAL


def test_an_old_value_may_raise() -> None:
    assert Alert(BELOW, TRAVEL).see(-80, fresh=False) is Level.HIGH
    assert Alert(BELOW, TRAVEL).see(-80, new=False) is Level.HIGH


def test_one_observation_judged_again_and_again_lowers_nothing() -> None:
    alert = Alert(ABOVE, HEAT)
    alert.see(60)
    alert.see(10)
    for _ in range(5):
        assert alert.see(10, new=False) is Level.HIGH
        assert alert.held
    # And it is still the first of two.
    assert alert.see(10) is Level.NORMAL


def test_an_observation_judged_before_counts_for_nothing_at_a_level_it_did_not_see() -> None:
    alert = Alert(ABOVE, HEAT)
    alert.see(10)
    alert.see(60, new=False)
    assert [alert.see(10, new=False), alert.see(10), alert.see(10)] == [
        Level.HIGH,
        Level.HIGH,
        Level.NORMAL,
    ]


def test_the_flip_is_the_edge_moved_by_five_percent_of_itself() -> None:
    flip = flips(
        np.array([4, 3, 1, 4]),
        np.array([TRAVEL, TRAVEL, TRAVEL, HEAT]),
        signs(np.array([BELOW, BELOW, BELOW, ABOVE])),
    )
    assert flip[[0, 1, 3]].tolist() == [-47.5, -33.25, 47.5]
    assert math.isnan(flip[2])


numbers = st.floats(-1e6, 1e6)
limits_above = st.lists(numbers, min_size=3, max_size=3).map(lambda limits: tuple(sorted(limits)))


@given(limits=limits_above, first=numbers, second=numbers)
def test_a_worse_value_never_has_a_better_level(
    limits: tuple[float, float, float], first: float, second: float
) -> None:
    low, high = sorted((first, second))
    assert _raw(low, ABOVE, limits) <= _raw(high, ABOVE, limits)


@given(limits=limits_above, value=numbers)
def test_below_is_above_in_the_mirror(limits: tuple[float, float, float], value: float) -> None:
    mirrored = tuple(-limit for limit in limits)
    assert _raw(value, ABOVE, limits) == _raw(-value, BELOW, mirrored)


@given(
    limits=limits_above,
    values=st.lists(numbers, max_size=10),
    last=st.one_of(numbers, st.just(math.nan)),
)
def test_a_stale_or_missing_value_never_lowers(
    limits: tuple[float, float, float], values: list[float], last: float
) -> None:
    alert = Alert(ABOVE, limits)
    before = max([alert.see(value) for value in values][-1:], default=Level.NORMAL)
    assert alert.see(last, fresh=False) >= before
    assert alert.see(math.nan) >= before


class Sequences(RuleBasedStateMachine):
    """Any sequence of readings: what the level may do, told by the last two different fresh
    observations.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alert = Alert(ABOVE, HEAT)
        self.before = self.after = Level.NORMAL
        self.row: list[float] = []
        self.value = math.nan

    def _see(self, value: float, fresh: bool, new: bool = True) -> None:
        self.before = self.after
        self.after = self.alert.see(value, fresh=fresh, new=new)
        self.value = value
        if not fresh or math.isnan(value):
            self.row = []
        elif new:
            self.row.append(value)

    @rule(value=st.floats(0, 100))
    def fresh(self, value: float) -> None:
        self._see(value, True)

    @rule()
    def same_again(self) -> None:
        if self.row:
            self._see(self.row[-1], True, new=False)

    @rule(value=st.floats(0, 100))
    def changed_without_a_new_observation(self, value: float) -> None:
        self._see(value, True, new=False)

    @rule(value=st.floats(0, 100))
    def stale(self, value: float) -> None:
        self._see(value, False)

    @rule()
    def missing(self) -> None:
        self._see(math.nan, True)

    @invariant()
    def never_below_what_the_value_says(self) -> None:
        if not math.isnan(self.value):
            assert self.after >= _raw(self.value, ABOVE, HEAT)

    @invariant()
    def falls_only_after_two_different_observations_away_from_the_edge(self) -> None:
        if self.after < self.before:
            edge = HEAT[self.before - 2]
            assert len(self.row) >= 2
            assert max(self.row[-2:]) <= edge * 0.95


TestSequences = Sequences.TestCase
