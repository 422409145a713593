"""When a number may be called again, and whether somebody heard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.xcom.calls.domain import (
    CONTACT_WINDOW,
    NUMBER_WINDOW,
    Call,
    CallState,
    CallStatus,
    Follow,
    LookUp,
    Place,
    PlacedCall,
    Spent,
    Wait,
    known_by,
    next_call,
    unheard,
)

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


def call(
    seconds_ago: float = 0,
    state: CallState = CallState.ENDED,
    receipt_id: str = "",
    *,
    id: str = "",
    delivery: str = "dlv",
    incident: str = "a",
    contact: str = "jane",
    number: str = "n",
) -> Call:
    planned_time = NOW - timedelta(seconds=seconds_ago)
    id = id or f"call-{seconds_ago}"
    return Call(id, delivery, incident, contact, number, planned_time, state, receipt_id)


WANTED = call(state=CallState.PLANNED)


@pytest.mark.parametrize(
    ("calls", "decision"),
    [
        ([], Place()),
        ([call(60)], Place()),
        ([call(60, CallState.PLACED, "C1")], Follow("C1")),
        ([call(5, CallState.PLANNED)], LookUp()),
        ([call(3, CallState.PLACED, "C1", delivery="other")], Wait(NOW + timedelta(seconds=5))),
        ([call(150, CallState.PLACED, "C1", delivery="other")], Place()),
        ([call(one) for one in (400, 300, 200, 100)], Spent()),
        ([call(one) for one in (4000, 300, 200, 100)], Place()),
        ([call(one, CallState.NOT_PLACED) for one in (400, 300, 200, 100)], Place()),
        ([call(one, incident="b") for one in (400, 300, 200, 100)], Place()),
        # Of the future: the clock was an hour ahead.
        ([call(-one) for one in (3600, 3700, 3800, 3900)], Place()),
        ([call(-3600, CallState.PLACED, "C1", delivery="other")], Place()),
        ([call(-3600, CallState.PLANNED)], Place()),
        ([call(-3600, CallState.PLACED, "C1")], Follow("C1")),
    ],
)
def test_what_becomes_of_a_call_that_is_wanted(calls: list[Call], decision: object) -> None:
    assert next_call(calls, WANTED, NOW, looked_up=False) == decision


def test_a_number_that_was_called_six_times_rests_until_the_first_is_half_an_hour_ago() -> None:
    calls = [call(100 * one, incident=f"i{one}", contact=f"c{one}") for one in range(6, 0, -1)]
    decision = next_call(calls, WANTED, NOW, looked_up=False)
    assert isinstance(decision, Wait)
    assert decision.is_limit
    assert decision.until >= calls[0].planned_time + NUMBER_WINDOW


def test_what_is_not_known_counts_and_is_asked_about_before_anything_is_given_up() -> None:
    calls = [call(one) for one in (400, 300, 200)] + [call(100, CallState.PLANNED, delivery="x")]
    assert next_call(calls, WANTED, NOW, looked_up=False) == LookUp() or any(
        NOW - one.planned_time < timedelta(seconds=140) for one in calls
    )
    older = [call(one) for one in (500, 400, 300)] + [call(200, CallState.PLANNED, delivery="x")]
    assert next_call(older, WANTED, NOW, looked_up=False) == LookUp()
    assert next_call(older, WANTED, NOW, looked_up=True) == Spent()


def test_a_call_the_provider_knows_is_named_and_one_it_does_not_know_never_was() -> None:
    unknown = [call(90, CallState.PLANNED, id="old"), call(10, CallState.PLANNED, id="new")]
    fresh = PlacedCall("C2", NOW - timedelta(seconds=9))
    stray = PlacedCall("C0", NOW - timedelta(hours=2))
    assert dict(known_by(unknown, [stray, fresh], NOW)) == {"new": "C2", "old": ""}
    # It may still be on its way.
    assert dict(known_by(unknown, [stray], NOW)) == {"old": ""}
    taken = [*unknown, call(9, CallState.PLACED, "C2")]
    assert dict(known_by(taken, [fresh], NOW)) == {"old": ""}


@pytest.mark.parametrize(
    ("status", "answered_by", "seconds", "why"),
    [
        ("queued", "", None, None),
        ("ringing", "", None, None),
        ("in-progress", "", None, None),
        ("in-progress", "human", None, None),
        ("in-progress", "machine_start", None, "voicemail"),
        ("in-progress", "fax", None, "voicemail"),
        ("busy", "", 0, "busy"),
        ("no-answer", "", 0, "no-answer"),
        ("failed", "", None, "failed"),
        ("canceled", "", None, "canceled"),
        ("completed", "machine_end_beep", 60, "voicemail"),
        ("completed", "unknown", 60, "not known to be a person"),
        ("completed", "", 60, "not known to be a person"),
        ("completed", "human", 2, "hung up after 2 s"),
        ("completed", "human", None, "hung up after 0 s"),
        ("completed", "human", 3, ""),
        ("something new", "", None, None),
    ],
)
def test_only_a_person_who_listened_has_heard(
    status: str, answered_by: str, seconds: float | None, why: str | None
) -> None:
    assert unheard(CallStatus(status, answered_by, seconds)) == why


@given(
    st.lists(st.integers(min_value=1, max_value=600), min_size=1, max_size=60),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=60, max_size=60),
    st.lists(st.sampled_from(list(CallState)), min_size=60, max_size=60),
)
def test_no_history_leads_beyond_the_limits(
    waits: list[int], incidents: list[str], ends: list[CallState]
) -> None:
    calls: list[Call] = []
    now = NOW
    for place, wait in enumerate(waits):
        now += timedelta(seconds=wait)
        wanted = Call(str(place), f"d{incidents[place]}", incidents[place], "c", "n", now)
        if isinstance(next_call(calls, wanted, now, looked_up=True), Place):
            placed = [one for one in calls if one.state is not CallState.NOT_PLACED]
            lately = [one for one in placed if now - one.planned_time < NUMBER_WINDOW]
            same = [
                one
                for one in placed
                if one.incident == wanted.incident and now - one.planned_time < CONTACT_WINDOW
            ]
            assert len(lately) < 6
            assert len(same) < 4
            state = ends[place]
            receipt = f"C{place}" if state is CallState.PLACED else ""
            calls.append(
                Call(wanted.id, wanted.delivery_id, wanted.incident, "c", "n", now, state, receipt)
            )
