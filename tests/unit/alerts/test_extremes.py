"""Extremes between two evaluations raise levels as the mark does, and never lower or hold one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alerts.alerts.domain.alert_columns import AlertColumns, fresh_columns
from services.alerts.alerts.domain.compiled_limits import CompiledLimits, ThresholdTables
from services.alerts.alerts.domain.evaluation import Outcome, evaluate
from services.alerts.alerts.domain.extremes import NO_EXTREMES, Extremes
from services.alerts.alerts.domain.readings import FIGURES, Inputs, Positions
from services.alerts.domain.kinds import KIND_COUNT, AlertType, Condition, Level, kind_of

SECOND = 1_000_000
MINUTE = 60 * SECOND
START = 1_770_000_000 * SECOND
DISTANCE = kind_of(AlertType.LIQUIDATION_DISTANCE, Condition.BELOW)
TRAVEL = kind_of(AlertType.TRAVEL_PERCENT, Condition.BELOW)
HEAT = kind_of(AlertType.HEAT_INDEX, Condition.ABOVE)
ENTRY, LIQUIDATION = {1: 100.0, -1: 100.0}, {1: 80.0, -1: 120.0}
NORMAL, LOW, MEDIUM, HIGH = (int(level) for level in Level)


class Watched:
    """One position with three alerts, judged by marks and extremes."""

    def __init__(self, side: int = 1) -> None:
        columns = fresh_columns(3)
        columns["alert_key"][:], columns["subject_key"][:] = [1, 2, 3], 7
        columns["kind"][:] = [DISTANCE, TRAVEL, HEAT]
        self.columns = AlertColumns.of([""], columns)
        limits = np.full((KIND_COUNT, 1, 3), np.nan)
        limits[DISTANCE], limits[TRAVEL] = (10.0, 7.0, 5.0), (-50.0, -65.0, -75.0)
        limits[HEAT] = (30.0, 40.0, 50.0)
        self.compiled = CompiledLimits(
            ThresholdTables(limits, np.ones((KIND_COUNT, 1), bool)), self.columns
        )
        self.side = side
        self.now = START

    def judge(self, mark: float, extreme: float | None = None, seconds: int = 60) -> Outcome:
        self.now += seconds * SECOND
        entry, liquidation = ENTRY[self.side], LIQUIDATION[self.side]
        away = self.side * (mark - liquidation)
        figures = {name: np.full(1, math.nan) for name in FIGURES}
        figures |= {
            "entry_price_usd": np.array([entry]),
            "mark_price_usd": np.array([mark]),
            "risk_liquidation_price_usd": np.array([liquidation]),
            "travel_percent": np.array([100 * (mark - entry) / (entry - liquidation)]),
            "liquidation_distance_usd": np.array([away]),
            "liquidation_distance_percent": np.array(
                [100 * self.side * (mark - liquidation) / mark]
            ),
            "heat_index": np.array([10.0]),
        }
        extremes = (
            NO_EXTREMES
            if extreme is None
            else Extremes(
                np.array([extreme]), np.array([self.now - MINUTE]), {"": "demo"}, self.now
            )
        )
        one = np.ones(1, np.int64)
        positions = Positions(1, one * 7, one, one * 0, np.array([self.now]), figures, {}, extremes)
        inputs = Inputs(positions, {}, {}, self.now, self.now)
        places = self.compiled.reading_index.places(positions)
        compiled = CompiledLimits(self.compiled.tables, self.columns)
        outcome = evaluate(self.columns, compiled, places, inputs)
        self.columns = outcome.columns
        return outcome

    @property
    def levels(self) -> list[int]:
        return self.columns.level.tolist()


def test_a_touch_between_two_marks_raises_and_says_what_it_was_at_and_what_it_is_now() -> None:
    watched = Watched()
    watched.judge(95.0, 95.0)
    assert watched.levels == [NORMAL, NORMAL, NORMAL]
    # 82.5 is 3.03 % from 80 and -87.5 % of the way; heat is judged by the mark alone.
    outcome = watched.judge(95.0, 82.5)
    assert watched.levels == [HIGH, HIGH, NORMAL]
    assert outcome.touched_value.tolist() == [100 * 2.5 / 82.5, -87.5]
    assert watched.columns.readings.value[0] == 100 * 15 / 95
    # Two marks away from the edge, and it is over: an extreme of no danger holds nothing.
    watched.judge(95.0, 94.0)
    assert watched.levels[0] == HIGH
    watched.judge(95.5, 94.0)
    assert watched.levels == [NORMAL, NORMAL, NORMAL]


def test_a_mark_that_is_worse_speaks_for_itself() -> None:
    watched = Watched()
    watched.judge(95.0)
    outcome = watched.judge(82.0, 88.0)
    assert watched.levels[:2] == [HIGH, HIGH]
    assert np.isnan(outcome.touched_value).all()


def test_what_the_price_did_before_a_position_was_seen_says_nothing_of_it() -> None:
    watched = Watched()
    watched.judge(95.0, 81.0)
    assert watched.levels == [NORMAL, NORMAL, NORMAL]


def test_an_extreme_beyond_liquidation_and_a_short_in_the_mirror() -> None:
    long, short = Watched(), Watched(-1)
    for watched, mark, extreme in ((long, 95.0, 79.0), (short, 105.0, 121.0)):
        watched.judge(mark)
        watched.judge(mark, extreme)
        assert watched.levels[:2] == [HIGH, HIGH]


def test_an_unknown_extreme_is_no_touch_and_no_all_clear() -> None:
    watched = Watched()
    watched.judge(82.0)
    assert watched.levels[0] == HIGH
    watched.judge(82.0, math.nan)
    assert watched.levels[0] == HIGH


marks = st.floats(81.0, 130.0)


@settings(deadline=None)
@given(
    st.sampled_from([1, -1]),
    st.lists(st.tuples(marks, st.one_of(st.none(), st.floats(60.0, 140.0))), max_size=12),
)
def test_no_level_is_ever_lower_for_an_extreme_and_none_stays_longer_than_two_marks(
    side: int, steps: list[tuple[float, float | None]]
) -> None:
    by_both, by_marks = Watched(side), Watched(side)
    for mark, extreme in steps:
        before = by_both.levels
        # As positions tell it: the low for a long, the high for a short.
        worst = None if extreme is None else (min if side > 0 else max)(mark, extreme)
        alone = Watched(side)
        alone.columns, alone.now = by_both.columns, by_both.now
        alone.judge(mark)
        by_both.judge(mark, worst)
        by_marks.judge(mark)
        for row in range(3):
            assert by_both.levels[row] >= alone.levels[row]
            assert by_both.levels[row] >= by_marks.levels[row]
            # Where the extreme did not raise it, the mark alone decided.
            if by_both.levels[row] <= before[row]:
                assert by_both.levels[row] == alone.levels[row]
    calm = 125.0 if side > 0 else 75.0
    for _ in range(3):
        by_both.judge(calm, calm)
    assert by_both.levels == [NORMAL, NORMAL, NORMAL]


def test_columns_of_before_are_not_changed() -> None:
    watched = Watched()
    watched.judge(95.0)
    before = replace(watched.columns)
    level = before.level.copy()
    watched.judge(95.0, 82.5)
    assert (before.level == level).all()
