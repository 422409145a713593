"""What the steps make of a cycle: every combination of outcomes, the needs,
the stream of changes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cyclone.domain import cycle as cycles
from services.cyclone.domain import steps
from services.cyclone.domain.cycle import (
    DONE,
    USABLE,
    Cause,
    Cycle,
    CycleEvent,
    CycleState,
    Step,
    StepState,
    begun,
)
from services.cyclone.domain.outcomes import NO_LIQUIDATION_PRICE, works
from shared.errors import FailedPrecondition

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OUTCOMES = (StepState.SUCCEEDED, StepState.PARTIAL, StepState.FAILED)
ENDINGS = st.sampled_from(OUTCOMES)
SUBSETS = st.sets(st.sampled_from(steps.NAMES), min_size=1)


def _play(
    names: tuple[str, ...], endings: dict[str, StepState]
) -> tuple[list[Step], list[set[str]]]:
    """Runs the table to its end; each wave is what may run together."""
    present = {name: Step(name) for name in names}
    waves: list[set[str]] = []
    while True:
        for step in steps.skipped(list(present.values())):
            present[step.name] = step
        wave = steps.ready(list(present.values()))
        if not wave:
            return list(present.values()), waves
        waves.append(set(wave))
        for name in wave:
            present[name] = replace(present[name], state=endings[name])


@pytest.mark.parametrize("combination", list(itertools.product(sorted(DONE), repeat=3)))
def test_every_combination_of_outcomes_has_its_state(combination: tuple[StepState, ...]) -> None:
    names = (steps.UPDATE_PRICES, steps.EVALUATE_ALERTS, steps.NOTIFY)
    states = dict(zip(names, combination, strict=True))
    listed = [Step(name, state) for name, state in states.items()]
    if set(combination) == {StepState.SUCCEEDED}:
        expected = CycleState.SUCCEEDED
    elif states[steps.EVALUATE_ALERTS] in (StepState.FAILED, StepState.SKIPPED):
        expected = CycleState.FAILED
    else:
        expected = CycleState.PARTIAL
    assert cycles.outcome(listed, steps.EVALUATE_ALERTS) is expected


@pytest.mark.parametrize("state", [StepState.PARTIAL, StepState.FAILED, StepState.SKIPPED])
def test_a_cycle_that_was_not_to_judge_is_partial_at_worst(state: StepState) -> None:
    assert (
        cycles.outcome([Step("UPDATE_PRICES", state)], steps.EVALUATE_ALERTS) is CycleState.PARTIAL
    )


NEEDS = {
    "LINK_HEDGES": {"ENRICH_POSITIONS"},
    "RECORD_SNAPSHOT": {"ENRICH_POSITIONS"},
    "CLEAR_STALE_ALERTS": {"EVALUATE_ALERTS", "CREATE_ALERTS", "SYNC_POSITIONS"},
}


@given(names=SUBSETS, endings=st.fixed_dictionaries(dict.fromkeys(steps.NAMES, ENDINGS)))
def test_a_step_is_skipped_exactly_when_one_it_needs_gave_nothing(
    names: set[str], endings: dict[str, StepState]
) -> None:
    asked = steps.ordered(names)
    ended, _ = _play(asked, endings)
    states = {step.name: step.state for step in ended}
    assert set(states) == names
    assert set(states.values()) <= DONE
    for name, state in states.items():
        lost = [
            need for need in NEEDS.get(name, ()) if need in states and states[need] not in USABLE
        ]
        assert state is (StepState.SKIPPED if lost else endings[name])


@given(names=SUBSETS, endings=st.fixed_dictionaries(dict.fromkeys(steps.NAMES, ENDINGS)))
def test_nothing_runs_before_what_it_waits_for(
    names: set[str], endings: dict[str, StepState]
) -> None:
    _, waves = _play(steps.ordered(names), endings)
    seen: set[str] = set()
    for wave in waves:
        for name in wave:
            assert not steps.EARLIER[name] & wave
            assert not any(name in steps.EARLIER[other] for other in seen)
        seen |= wave


def test_independent_steps_run_together() -> None:
    _, waves = _play(steps.NAMES, dict.fromkeys(steps.NAMES, StepState.SUCCEEDED))
    assert waves == [
        {"UPDATE_PRICES"},
        {"SYNC_POSITIONS"},
        {"ENRICH_POSITIONS"},
        {"LINK_HEDGES", "CREATE_ALERTS"},
        {"EVALUATE_ALERTS"},
        {"CLEAR_STALE_ALERTS", "RECORD_SNAPSHOT", "ADVISE_WITHDRAWALS"},
        {"RUN_MONITORS", "NOTIFY"},
    ]


def test_judging_monitors_and_notify_run_whatever_failed() -> None:
    ended, _ = _play(steps.NAMES, dict.fromkeys(steps.NAMES, StepState.FAILED))
    states = {step.name: step.state for step in ended}
    run = ("CREATE_ALERTS", "EVALUATE_ALERTS", "RUN_MONITORS", "NOTIFY")
    assert {states[name] for name in run} == {StepState.FAILED}
    assert states["CLEAR_STALE_ALERTS"] is StepState.SKIPPED


def test_a_step_that_nobody_asked_for_leaves_the_cycle_whole() -> None:
    listed = [
        Step("EVALUATE_ALERTS", StepState.SUCCEEDED),
        Step("ADVISE_WITHDRAWALS", StepState.SKIPPED, reason=cycles.NOT_CONFIGURED),
    ]
    assert cycles.outcome(listed, steps.EVALUATE_ALERTS) is CycleState.SUCCEEDED
    assert cycles.sentence(listed) == ""
    failed = replace(listed[1], reason="NEED_FAILED")
    assert cycles.outcome([listed[0], failed], steps.EVALUATE_ALERTS) is CycleState.PARTIAL


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        (StepState.SUCCEEDED, "", True),
        (StepState.SKIPPED, cycles.NOT_CONFIGURED, True),
        (StepState.PARTIAL, NO_LIQUIDATION_PRICE, True),
        (StepState.PARTIAL, "MARK_MISSING", False),
        (StepState.SKIPPED, "NEED_FAILED", False),
        (StepState.FAILED, "PEER_UNAVAILABLE", False),
    ],
)
def test_a_cycle_works_without_what_nobody_asked_for(
    state: StepState, reason: str, expected: bool
) -> None:
    cycle = begun("cycle", None, (), 1, datetime(2026, 3, 1, tzinfo=UTC))
    ended = replace(
        cycle,
        state=CycleState.SUCCEEDED,
        steps=(Step("EVALUATE_ALERTS", StepState.SUCCEEDED), Step("OTHER", state, reason=reason)),
    )
    assert works(ended) is expected


def test_a_skipped_step_says_which_need_failed() -> None:
    listed = [
        Step("ENRICH_POSITIONS", StepState.FAILED),
        Step("LINK_HEDGES"),
        Step("RECORD_SNAPSHOT"),
    ]
    found = steps.skipped(listed)
    assert [(step.name, step.reason) for step in found] == [
        ("LINK_HEDGES", "NEED_FAILED"),
        ("RECORD_SNAPSHOT", "NEED_FAILED"),
    ]
    assert "ENRICH_POSITIONS" in found[0].message


def test_a_new_owner_repeats_only_the_step_in_flight() -> None:
    listed = [
        Step("UPDATE_PRICES", StepState.PARTIAL, 1),
        Step("SYNC_POSITIONS", StepState.RUNNING, 1),
        Step("ENRICH_POSITIONS"),
    ]
    after = steps.resumed(listed)
    assert [step.state for step in after] == [
        StepState.PARTIAL,
        StepState.PENDING,
        StepState.PENDING,
    ]
    assert after[1].attempt == 1
    assert steps.ready(after) == ["SYNC_POSITIONS"]


def test_a_cancel_leaves_done_steps_as_they_are() -> None:
    listed = [
        Step("UPDATE_PRICES", StepState.SUCCEEDED),
        Step("SYNC_POSITIONS", StepState.RUNNING),
        Step("NOTIFY"),
    ]
    assert [(step.name, step.state) for step in steps.cancelled(listed)] == [
        ("SYNC_POSITIONS", StepState.SKIPPED),
        ("NOTIFY", StepState.SKIPPED),
    ]


@pytest.mark.parametrize("state", CycleState)
def test_an_ended_cycle_takes_no_event_any_more(state: CycleState) -> None:
    if state in cycles.ENDED:
        for event in CycleEvent:
            with pytest.raises(FailedPrecondition) as caught:
                cycles.transition(state, event)
            assert caught.value.reason == "CYCLE_ENDED"
    else:
        assert cycles.transition(state, CycleEvent.TAKE) is CycleState.RUNNING


def test_cancelling_what_waits_ends_it_and_what_runs_is_stopped_by_its_owner() -> None:
    assert cycles.transition(CycleState.QUEUED, CycleEvent.ASK_CANCEL) is CycleState.CANCELLED
    assert cycles.transition(CycleState.RUNNING, CycleEvent.ASK_CANCEL) is CycleState.RUNNING


def _cycle(state: CycleState, *listed: Step) -> Cycle:
    return Cycle("c", state, Cause.REQUEST, NOW, steps=listed)


def test_the_first_reading_is_one_message() -> None:
    present = _cycle(CycleState.RUNNING, Step("NOTIFY", StepState.RUNNING, 1))
    assert cycles.progress(None, present) == [(present, "")]


def test_a_step_that_came_and_went_between_two_readings_is_seen_starting_and_ending() -> None:
    before = _cycle(CycleState.QUEUED, Step("UPDATE_PRICES"), Step("NOTIFY"))
    after = _cycle(
        CycleState.SUCCEEDED,
        Step("UPDATE_PRICES", StepState.SUCCEEDED, 1, NOW),
        Step("NOTIFY", StepState.SKIPPED),
    )
    told = [
        (c.state, [s.state.name for s in c.steps], name)
        for c, name in cycles.progress(before, after)
    ]
    assert told == [
        (CycleState.QUEUED, ["RUNNING", "PENDING"], "UPDATE_PRICES"),
        (CycleState.QUEUED, ["SUCCEEDED", "PENDING"], "UPDATE_PRICES"),
        (CycleState.QUEUED, ["SUCCEEDED", "SKIPPED"], "NOTIFY"),
        (CycleState.SUCCEEDED, ["SUCCEEDED", "SKIPPED"], ""),
    ]


def test_a_cycle_that_starts_is_told_before_its_steps() -> None:
    before = _cycle(CycleState.QUEUED, Step("NOTIFY"))
    after = _cycle(CycleState.RUNNING, Step("NOTIFY", StepState.RUNNING, 1))
    assert [(c.state, c.steps[0].state, name) for c, name in cycles.progress(before, after)] == [
        (CycleState.RUNNING, StepState.PENDING, ""),
        (CycleState.RUNNING, StepState.RUNNING, "NOTIFY"),
    ]


def test_nothing_new_is_no_message() -> None:
    present = _cycle(CycleState.RUNNING, Step("NOTIFY", StepState.RUNNING, 1))
    assert cycles.progress(present, present) == []


def test_the_sentence_names_every_step_that_did_not_succeed() -> None:
    listed = [
        Step("UPDATE_PRICES", StepState.PARTIAL, message="1 without a fresh price"),
        Step("NOTIFY", StepState.SUCCEEDED),
        Step("LINK_HEDGES", StepState.FAILED, reason="PEER_UNAVAILABLE"),
    ]
    assert (
        cycles.sentence(listed)
        == "UPDATE_PRICES PARTIAL: 1 without a fresh price; LINK_HEDGES FAILED: PEER_UNAVAILABLE"
    )
