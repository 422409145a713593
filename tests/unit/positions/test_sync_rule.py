"""The complete-answer rule, as a table: nothing but a complete answer ages a position."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.positions.domain.holding import Answer, Flag, Holding, Refusal, Side, Status
from services.positions.domain.sync import Absence, Known, Reason, decide

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HELD = Holding("p", "BTC", Side.LONG, 100, 50, None, 75, 1000, 100, None, None, None, None, None)
ABSENT = Absence("c1", NOW - timedelta(seconds=30))
REFUSED = Refusal("NOT_FINITE", "size", "{}", "p")


def known(
    status: Status = Status.ACTIVE, *, seen: bool = True, absence: Absence | None = None, **changes
) -> Known:
    return Known(1, replace(HELD, **changes), status, seen, absence)


def answer(*holdings: Holding, complete: bool = True, refusals: tuple[Refusal, ...] = ()) -> Answer:
    return Answer(holdings, refusals, complete, "" if complete else "SHORT", len(holdings), NOW)


@pytest.mark.parametrize(
    ("stored", "given_answer", "reason"),
    [
        (None, answer(HELD), Reason.OPENED),
        (known(), answer(HELD), Reason.UNCHANGED),
        (known(), answer(replace(HELD, opened_time=NOW)), Reason.UNCHANGED),
        (known(mark_price_usd=76), answer(HELD), Reason.CHANGED),
        (known(), answer(HELD, complete=False), Reason.UNCHANGED),
        (known(Status.STALE, seen=False, absence=ABSENT), answer(HELD), Reason.RETURNED),
        (known(seen=False), answer(HELD), Reason.RETURNED),
        (known(flags=frozenset({Flag.ROW_REFUSED})), answer(HELD), Reason.RETURNED),
        (known(Status.CLOSED, seen=False), answer(HELD), Reason.REOPENED),
        (known(Status.LIQUIDATED, seen=False), answer(HELD), Reason.REOPENED),
        (known(Status.INACTIVE), answer(replace(HELD, size_usd=5)), Reason.CHANGED),
        (known(), answer(refusals=(REFUSED,), complete=False), Reason.REFUSED),
        (known(), answer(refusals=(REFUSED,)), Reason.REFUSED),
        (known(), answer(complete=False), Reason.ANSWER_INCOMPLETE),
        (known(Status.STALE, absence=ABSENT), answer(complete=False), Reason.ANSWER_INCOMPLETE),
        (known(), answer(), Reason.MISSING_ONCE),
        (known(Status.STALE, absence=replace(ABSENT, cycle_id="c2")), answer(), Reason.MISSING_IN_SAME_CYCLE),
        (
            known(Status.STALE, absence=replace(ABSENT, missing_time=NOW - timedelta(seconds=29.9))),
            answer(),
            Reason.MISSING_TOO_SOON,
        ),
        (known(Status.STALE, absence=ABSENT), answer(), Reason.MISSING_TWICE),
        (known(Status.INACTIVE), answer(), Reason.SET_ASIDE),
    ],
)
def test_each_case_has_its_reason(stored, given_answer, reason) -> None:
    decision = decide({} if stored is None else {"p": stored}, given_answer, "c2", NOW)
    assert decision.reasons == {"p": reason}
    assert bool(decision.written) is (
        reason in (Reason.OPENED, Reason.REOPENED, Reason.RETURNED, Reason.CHANGED)
    )
    assert bool(decision.stale_keys) is (reason is Reason.MISSING_ONCE)
    assert bool(decision.closed_keys) is (reason is Reason.MISSING_TWICE)
    assert bool(decision.refused_keys) is (reason is Reason.REFUSED)
    assert decision.regrouped is (reason in (Reason.OPENED, Reason.REOPENED, Reason.MISSING_TWICE))


def test_a_duplicate_counts_once_and_the_first_wins() -> None:
    decision = decide({}, answer(HELD, replace(HELD, size_usd=5)), "c", NOW)
    assert decision.written == (HELD,)


def test_a_side_that_turns_regroups() -> None:
    assert decide({"p": known()}, answer(replace(HELD, side=Side.SHORT)), "c", NOW).regrouped
    assert not decide({"p": known()}, answer(replace(HELD, size_usd=5)), "c", NOW).regrouped


@given(
    status=st.sampled_from(Status),
    absent=st.booleans(),
    refusals=st.sampled_from([(), (REFUSED,), (replace(REFUSED, position_id=None),)]),
    seconds=st.floats(0, 1e6),
)
def test_an_answer_that_is_not_complete_ages_nothing(status, absent, refusals, seconds) -> None:
    stored = {"p": known(status, absence=ABSENT if absent else None)}
    found = answer(complete=bool(refusals), refusals=refusals)
    decision = decide(stored, found, "later", NOW + timedelta(seconds=seconds))
    assert not decision.stale_keys and not decision.closed_keys and not decision.written
