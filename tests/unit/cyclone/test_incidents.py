"""Deaths: when one begins, that it is told once, when it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cyclone.domain import incidents
from services.cyclone.domain.cycle import Cause, Cycle, CycleState, Step, StepState
from services.cyclone.domain.incidents import Finding, Incident, NotifiedBy
from services.cyclone.domain.steps import NAMES


def _play(*bad: bool, limit: int = 1) -> list[Incident]:
    """The incidents told, each as it was when told, while everybody can be told at once."""
    known: dict[str, Incident] = {}
    told = []
    for number, is_bad in enumerate(bad):
        for changed in incidents.changed(
            known, [Finding("x", is_bad, "why", limit)], f"id{number}"
        ):
            known[changed.name] = changed
        for incident in incidents.unnotified(known.values()):
            told.append(incident)
            after = (
                Incident("x")
                if incident.resolving
                else replace(incident, notified_by=NotifiedBy.ALERTS)
            )
            known["x"] = after
    return told


def test_a_failed_cycle_is_an_incident_at_once_and_is_told_once() -> None:
    told = _play(True, True, True, False, False, True)
    assert [(incident.id, incident.resolving) for incident in told] == [
        ("id0-x", False),
        ("id0-x", True),
        ("id5-x", False),
    ]


def test_a_service_has_to_be_down_twice_in_a_row() -> None:
    assert _play(True, False, True, False, limit=2) == []
    assert [incident.id for incident in _play(True, True, True, limit=2)] == ["id1-x"]


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 2))
def test_beginnings_and_ends_alternate(bad: list[bool], limit: int) -> None:
    ends = [incident.resolving for incident in _play(*bad, limit=limit)]
    assert ends == [bool(number % 2) for number in range(len(ends))]


def test_an_incident_nobody_was_told_of_ends_in_silence() -> None:
    known = {"x": Incident("x", 1, True, "id", "why", NotifiedBy.NOBODY)}
    (after,) = incidents.changed(known, [Finding("x", bad=False)], "new")
    assert incidents.unnotified([after]) == []


def test_an_end_that_could_not_be_told_is_kept_until_it_is() -> None:
    known = {"x": Incident("x", 1, True, "id", "why", NotifiedBy.XCOM)}
    (after,) = incidents.changed(known, [Finding("x", bad=False)], "new")
    assert incidents.unnotified([after]) == [after]
    assert after.notified_by is NotifiedBy.XCOM
    assert incidents.changed({"x": after}, [Finding("x", bad=False)], "new") == []


def test_a_quiet_cycle_changes_nothing() -> None:
    found = incidents.findings(_cycle(CycleState.SUCCEEDED), {"price", "alerts"}, {})
    assert incidents.changed({}, found, "new") == []


def _cycle(
    state: CycleState, *steps: Step, message: str = "", cause: Cause = Cause.SCHEDULE
) -> Cycle:
    """With these steps of it as they ended, all others well."""
    by_name = {name: Step(name, StepState.SUCCEEDED) for name in NAMES}
    by_name |= {step.name: step for step in steps}
    time = datetime(2026, 3, 1, tzinfo=UTC)
    return Cycle("x", state, cause, time, steps=tuple(by_name.values()), message=message)


def test_a_cycle_that_did_not_judge_says_nothing_of_itself() -> None:
    assert incidents.findings(_cycle(CycleState.CANCELLED), set(), {}) == []
    notified = replace(_cycle(CycleState.PARTIAL), steps=(Step("NOTIFY", StepState.FAILED),))
    assert incidents.findings(notified, set(), {}) == []


_UNREAD = (StepState.PARTIAL, 1, None, None, {}, "POSITIONS_NOT_READ")


@pytest.mark.parametrize(
    ("state", "steps", "words", "limit"),
    [
        (CycleState.FAILED, [Step("EVALUATE_ALERTS", StepState.FAILED)], "The cycle failed.", 1),
        (
            CycleState.PARTIAL,
            [Step("ENRICH_POSITIONS", StepState.FAILED), Step("EVALUATE_ALERTS", *_UNREAD)],
            "Positions were not judged.",
            1,
        ),
        (CycleState.PARTIAL, [Step("EVALUATE_ALERTS", *_UNREAD)], "Positions were not judged.", 2),
        (
            CycleState.PARTIAL,
            [Step("EVALUATE_ALERTS", *_UNREAD), Step("CREATE_ALERTS", *_UNREAD)],
            "Positions were not judged.",
            2,
        ),
        (CycleState.PARTIAL, [Step("CREATE_ALERTS", *_UNREAD)], "New positions get no alerts.", 2),
        (
            CycleState.PARTIAL,
            [Step("CREATE_ALERTS", StepState.FAILED)],
            "New positions get no alerts.",
            2,
        ),
        (CycleState.PARTIAL, [Step("CREATE_ALERTS", StepState.PARTIAL)], "", 1),
        (CycleState.PARTIAL, [Step("LINK_HEDGES", StepState.FAILED)], "", 1),
        (CycleState.SUCCEEDED, [], "", 1),
    ],
)
def test_a_cycle_that_did_not_judge_all_that_is_held_is_a_death_and_says_so(
    state: CycleState, steps: list[Step], words: str, limit: int
) -> None:
    (found,) = incidents.findings(_cycle(state, *steps, message="why"), set(), {})
    assert (found.bad, found.limit) == (bool(words), limit)
    assert found.summary == f"{words} why".strip()


def test_a_cycle_that_a_stream_pulled_says_only_what_is_well() -> None:
    unread = Step("EVALUATE_ALERTS", *_UNREAD)
    pulled = _cycle(CycleState.PARTIAL, unread, cause=Cause.STREAM)
    assert incidents.findings(pulled, set(), {"alerts": "gone"}) == []
    well = incidents.findings(_cycle(CycleState.SUCCEEDED, cause=Cause.STREAM), {"price"}, {})
    assert [finding.bad for finding in well] == [False, False]


def test_a_service_that_answered_once_in_the_cycle_is_up() -> None:
    down = {"alerts": "slow", "hedges": "gone"}
    _, *found = incidents.findings(_cycle(CycleState.PARTIAL), {"alerts"}, down)
    assert [(finding.name, finding.bad) for finding in found] == [
        ("service:alerts", False),
        ("service:hedges", True),
    ]
    assert "gone" in found[1].summary
