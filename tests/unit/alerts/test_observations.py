"""Whatever is judged again, refused, missing or late in between:
no level is lower than without it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alerts.alerts.domain.alert_columns import AlertColumns, fresh_columns
from services.alerts.alerts.domain.alignment import PositionPlaces
from services.alerts.alerts.domain.compiled_limits import CompiledLimits, ThresholdTables
from services.alerts.alerts.domain.evaluation import enrich, evaluate
from services.alerts.alerts.domain.readings import (
    FIGURES,
    Inputs,
    Positions,
    Reading,
)
from services.alerts.domain.kinds import (
    KIND_COUNT,
    AlertType,
    Condition,
    Level,
    ReadingState,
    kind_of,
)

SECOND = 1_000_000
START = 1_770_000_000 * SECOND
HEAT = kind_of(AlertType.HEAT_INDEX, Condition.ABOVE)
MEAN_HEAT = kind_of(AlertType.TOTAL_HEAT, Condition.ABOVE)
ROW_REFUSED, MARK_STALE = 1 << 8, 1 << 5
EVENTS = ("again", "refused", "missing", "stale", "late", "enriched", "not held", "worse again")


class Watched:
    """One position and its portfolio, judged again and again by what is known of them."""

    def __init__(self) -> None:
        columns = fresh_columns(2)
        columns["alert_key"][:], columns["subject_key"][:] = [1, 2], [7, 0]
        columns["kind"][:] = [HEAT, MEAN_HEAT]
        self.columns = AlertColumns.of([""], columns)
        limits = np.full((KIND_COUNT, 1, 3), np.nan)
        limits[[HEAT, MEAN_HEAT]] = (30.0, 40.0, 50.0)
        self.tables = ThresholdTables(limits, np.ones((KIND_COUNT, 1), bool))
        self.now = START
        self.past: list[tuple[float, int]] = []

    @property
    def levels(self) -> list[int]:
        return self.columns.level.tolist()

    def observe(self, heat: float) -> list[int]:
        """A new observation, a minute later."""
        self.now += 60 * SECOND
        self.past.append((heat, self.now))
        return self._judge(*self.past[-1])

    def disturb(self, event: str, place: int) -> None:
        """Something that is no new observation."""
        self.now += SECOND
        if not self.past:
            return
        heat, seen = self.past[-1]
        match event:
            case "again":
                self._judge(heat, seen)
            case "worse again":
                self._judge(heat + 10, seen)
            case "refused":
                self._judge(heat, seen, flags=ROW_REFUSED)
            case "stale":
                self._judge(heat, seen, flags=MARK_STALE)
            case "missing":
                self._judge(float("nan"), seen)
            case "late":
                self._judge(*self.past[place % len(self.past)])
            case "enriched":
                self.columns = enrich(*self._compiled(self._inputs(heat, seen))).columns
            case _:
                self._judge(heat, seen, status=2)

    def _judge(self, heat: float, seen: int, flags: int = 0, status: int = 1) -> list[int]:
        inputs = self._inputs(heat, seen, flags, status)
        self.columns = evaluate(*self._compiled(inputs)).columns
        return self.levels

    def _compiled(
        self, inputs: Inputs
    ) -> tuple[AlertColumns, CompiledLimits, PositionPlaces, Inputs]:
        compiled = CompiledLimits(self.tables, self.columns)
        places = compiled.reading_index.places(inputs.positions)
        return self.columns, compiled, places, inputs

    def _inputs(self, heat: float, seen: int, flags: int = 0, status: int = 1) -> Inputs:
        figures = {name: np.full(1, np.nan) for name in FIGURES} | {"heat_index": np.array([heat])}
        columns = (np.array([7]), np.array([status]), np.array([flags]), np.array([seen]))
        positions = Positions(1, *columns, figures)
        totals = {AlertType.TOTAL_HEAT: Reading(None if np.isnan(heat) else heat, seen)}
        return Inputs(positions, totals, {}, self.now, self.now)


heats = st.sampled_from([10.0, 29.0, 35.0, 39.0, 45.0, 48.0, 60.0])
disturbances = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 5)), max_size=4)


@pytest.mark.slow
@settings(deadline=None)
@given(story=st.lists(st.tuples(heats, disturbances), max_size=10))
def test_no_level_is_lower_for_what_is_no_new_observation(
    story: Sequence[tuple[float, Sequence[tuple[str, int]]]],
) -> None:
    plain, disturbed = Watched(), Watched()
    for heat, events in story:
        disturbed.now = plain.now = max(plain.now, disturbed.now)
        expected, level = plain.observe(heat), disturbed.observe(heat)
        assert all(one >= other for one, other in zip(level, expected, strict=True))
        for event, place in events:
            disturbed.disturb(event, place)
            assert all(one >= other for one, other in zip(disturbed.levels, expected, strict=True))


def test_one_good_reading_then_refused_rows_lower_nothing() -> None:
    watched = Watched()
    watched.observe(60)
    watched.observe(10)
    for event in ("refused", "again", "refused", "missing", "again"):
        watched.disturb(event, 0)
        assert watched.levels == [Level.HIGH, Level.HIGH]
        if event != "missing":
            assert watched.columns.readings.state.tolist() == [ReadingState.STALE] * 2
    watched.observe(10)
    assert watched.levels == [Level.HIGH, Level.HIGH]
    assert watched.observe(10) == [Level.NORMAL, Level.NORMAL]


def test_two_observations_lower_however_often_each_is_judged() -> None:
    watched = Watched()
    watched.observe(60)
    for expected in (Level.HIGH, Level.NORMAL):
        assert watched.observe(10) == [expected, expected]
        watched.disturb("again", 0)
        watched.disturb("enriched", 0)
        assert watched.levels == [expected, expected]


def test_an_observation_of_a_clock_that_was_ahead_holds_nothing_up() -> None:
    watched = Watched()
    watched.observe(60)
    watched._judge(60, watched.now + 3600 * SECOND)
    assert [watched.observe(10), watched.observe(10)] == [[4, 4], [1, 1]]


def test_a_reading_without_a_time_lowers_nothing() -> None:
    watched = Watched()
    watched.observe(60)
    for _ in range(3):
        assert watched._judge(10, 0) == [Level.HIGH, Level.HIGH]
