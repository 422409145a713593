"""How long the calls of a cycle may take: whichever service is dead, the cycle ends within its
interval.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cyclone.domain import bounds, steps
from services.cyclone.domain.bounds import Caps

CAPS = Caps()
SERVICES = ("price", "positions", "hedges", "alerts", "monitor", "xcom")
# Whom a service asks while it answers a step: it gives up at half of the step's bound, once.
_ASKS = {
    "positions": {"price"},
    "hedges": {"positions"},
    "alerts": {"positions", "xcom"},
    "monitor": {"price", "positions", "alerts", "xcom"},
}


def _seconds(interval: timedelta, dead: str) -> float:
    """The time of a cycle in which `dead` never answers and the others do at once, as the rules run
    it.
    """
    aside = bounds.aside_seconds(interval)
    ended: dict[str, float] = {}
    failed: set[str] = set()
    start = aside if dead == "positions" else 0.0
    for rule in steps.RULES:
        begin = max((ended[name] for name in rule.after), default=start)
        if failed & set(rule.needs):
            failed.add(rule.name)
            ended[rule.name] = begin
            continue
        is_dead_before = any(
            steps.BY_NAME[name].service == dead and ended[name] <= begin and ended[name] > start
            for name in ended
        )
        spent = 0.0
        if rule.service == dead:
            spent = bounds.step_seconds(rule.name, interval, CAPS, again=is_dead_before)
            failed.add(rule.name)
        elif dead in _ASKS.get(rule.service, ()):
            spent = bounds.step_seconds(rule.name, interval, CAPS) / 2
        if rule.name == steps.EVALUATE_ALERTS and dead == "price":
            spent += aside
        ended[rule.name] = begin + spent
    return max(ended.values()) + 2 * bounds.notify_seconds(interval)


@given(st.floats(5, 3600), st.sampled_from(SERVICES))
def test_a_cycle_with_a_dead_service_ends_within_its_interval(
    interval_seconds: float, dead: str
) -> None:
    assert _seconds(timedelta(seconds=interval_seconds), dead) <= interval_seconds


@pytest.mark.parametrize(
    ("step", "interval_seconds", "again", "expected"),
    [
        (steps.SYNC_POSITIONS, 60, False, 24.0),
        (steps.SYNC_POSITIONS, 60, True, 3.0),
        (steps.SYNC_POSITIONS, 5, False, 2.0),
        (steps.SYNC_POSITIONS, 3600, False, 60.0),
        (steps.ENRICH_POSITIONS, 60, False, 6.0),
        (steps.ENRICH_POSITIONS, 5, False, 0.5),
        (steps.ENRICH_POSITIONS, 3600, False, 20.0),
        (steps.ENRICH_POSITIONS, 3600, True, 3.0),
        (steps.UPDATE_PRICES, 60, False, 12.0),
    ],
)
def test_a_bound_is_a_share_of_the_interval_with_a_floor_and_a_cap(
    step: str, interval_seconds: float, again: bool, expected: float
) -> None:
    interval = timedelta(seconds=interval_seconds)
    assert bounds.step_seconds(step, interval, CAPS, again=again) == pytest.approx(expected)


def test_every_step_has_a_share() -> None:
    assert set(bounds.SHARES) == set(steps.NAMES)


@given(st.floats(5, 86_400), st.sampled_from(steps.NAMES), st.floats(0.05, 600))
def test_no_bound_passes_its_cap(interval_seconds: float, step: str, cap_seconds: float) -> None:
    caps = Caps(cap_seconds, cap_seconds)
    assert 0 < bounds.step_seconds(step, timedelta(seconds=interval_seconds), caps) <= cap_seconds


@pytest.mark.parametrize(
    ("count", "expected"), [(0, 6.0), (20_000, 6.0), (100_000, 8.4), (1_000_000, 35.4)]
)
def test_many_positions_are_given_longer(count: int, expected: float) -> None:
    seconds = bounds.step_seconds(
        steps.CREATE_ALERTS, timedelta(minutes=1), CAPS, position_count=count
    )
    assert seconds == pytest.approx(expected)


def test_a_dead_service_is_asked_again_as_briefly_whatever_it_holds() -> None:
    seconds = bounds.step_seconds(
        steps.CREATE_ALERTS, timedelta(minutes=1), CAPS, position_count=1_000_000, again=True
    )
    assert seconds == 3.0
