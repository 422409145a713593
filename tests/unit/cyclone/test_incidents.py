"""Deaths: when one begins, that it is told once, when it is over."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cyclone.domain import incidents
from services.cyclone.domain.cycle import CycleState
from services.cyclone.domain.incidents import Finding, Incident, NotifiedBy


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
    found = incidents.findings(CycleState.SUCCEEDED, "", True, {"price", "alerts"}, {})
    assert incidents.changed({}, found, "new") == []


@pytest.mark.parametrize(
    ("state", "judged"), [(CycleState.CANCELLED, True), (CycleState.PARTIAL, False)]
)
def test_a_cycle_that_did_not_judge_says_nothing_of_itself(state: CycleState, judged: bool) -> None:
    assert incidents.findings(state, "", judged, set(), {}) == []


def test_a_cycle_that_judged_without_the_positions_is_a_death_and_says_so() -> None:
    found = incidents.findings(
        CycleState.PARTIAL, "ENRICH_POSITIONS FAILED: gone", True, set(), {}, without_positions=True
    )
    assert [(finding.bad, finding.limit) for finding in found] == [(True, 1)]
    assert found[0].summary == "Positions were not judged. ENRICH_POSITIONS FAILED: gone"


def test_a_service_that_answered_once_in_the_cycle_is_up() -> None:
    found = incidents.findings(
        CycleState.PARTIAL, "", False, {"alerts"}, {"alerts": "slow", "hedges": "gone"}
    )
    assert [(finding.name, finding.bad) for finding in found] == [
        ("service:alerts", False),
        ("service:hedges", True),
    ]
    assert "gone" in found[1].summary
