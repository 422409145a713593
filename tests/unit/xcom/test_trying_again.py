"""When a failed try is made again, and when it is given up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.xcom.domain.messages import (
    LONGEST_WAIT,
    MAX_TRIES,
    Answer,
    AttemptOutcome,
    DeliveryState,
    judge,
    retry_wait,
)

FAILED = Answer(accepted=False, error="HTTP 503")


def test_the_waits_grow_and_then_stay() -> None:
    seconds = [retry_wait(number, 0.0).total_seconds() for number in range(1, MAX_TRIES)]
    assert seconds == [5, 15, 60, 300, 900, 900, 900]


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_jitter_adds_a_fifth_at_most_and_takes_nothing(number: int, chance: float) -> None:
    least = retry_wait(number, 0.0)
    assert least <= retry_wait(number, chance) <= least * 1.2


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        (timedelta(seconds=1), timedelta(seconds=5)),
        (timedelta(seconds=40), timedelta(seconds=40)),
        (timedelta(days=3), LONGEST_WAIT),
    ],
)
def test_a_provider_that_asks_for_patience_gets_it_within_bounds(
    asked: timedelta, waited: timedelta
) -> None:
    assert retry_wait(1, 0.0, asked) == waited


@pytest.mark.parametrize(
    ("answer", "try_number", "state", "outcome"),
    [
        (Answer(accepted=True), 1, DeliveryState.SENT, AttemptOutcome.SENT),
        (Answer(accepted=True), MAX_TRIES, DeliveryState.SENT, AttemptOutcome.SENT),
        (FAILED, 1, DeliveryState.QUEUED, AttemptOutcome.FAILED),
        (FAILED, MAX_TRIES - 1, DeliveryState.QUEUED, AttemptOutcome.FAILED),
        (FAILED, MAX_TRIES, DeliveryState.DEAD, AttemptOutcome.FAILED),
        (Answer(accepted=False, permanent=True), 1, DeliveryState.DEAD, AttemptOutcome.REFUSED),
    ],
)
def test_a_delivery_ends_sent_or_dead_or_waits(
    answer: Answer, try_number: int, state: DeliveryState, outcome: AttemptOutcome
) -> None:
    verdict = judge(answer, try_number, 0.5, was_refused=True)
    assert (verdict.state, verdict.outcome) == (state, outcome)
    assert (verdict.wait is not None) == (state is DeliveryState.QUEUED)
