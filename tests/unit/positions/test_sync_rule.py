"""The complete-answer rule, as a table: nothing but a complete answer ages a position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.positions.domain.venue_answer import (
    NUMBERS,
    Answer,
    Flag,
    Holding,
    Refusal,
    Side,
    Status,
)
from services.positions.enrichment.domain.enrichment import micros
from services.positions.enrichment.domain.metrics import bits_of
from services.positions.sync.domain.answer_columns import answered, joined, overlap
from services.positions.sync.domain.sync_rows import (
    Absences,
    Decision,
    Reason,
    Stored,
    decide,
    matched,
)


@dataclass(frozen=True)
class Absence:
    cycle_id: str
    missing_time: datetime


@dataclass(frozen=True)
class Known:
    """A stored position; `place` is that of its feed's answer."""

    holding: Holding
    status: Status
    seen: bool
    absence: Absence | None
    place: int = 0


NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HELD = Holding(
    "p",
    "BTC",
    Side.LONG,
    entry_price_usd=100,
    liquidation_price_usd=50,
    mark_price_usd=75,
    size_usd=1000,
    collateral_usd=100,
)
ABSENT = Absence("c1", NOW - timedelta(seconds=30))
REFUSED = Refusal("NOT_FINITE", "size", "{}", "p")


def known(
    status: Status = Status.ACTIVE,
    *,
    seen: bool = True,
    absence: Absence | None = None,
    place: int = 0,
    **changes,
) -> Known:
    return Known(replace(HELD, **changes), status, seen, absence, place)


def ruled(
    stored: Mapping[str, Known], found: Answer | Sequence[Answer], cycle_id: str, now: datetime
) -> Decision:
    """The decision about stored positions (keys 1, 2 ... in their order) of one feed, or of one a
    answer.
    """
    answers = [found] if isinstance(found, Answer) else found
    rows = joined([answered(one) for one in answers])
    held = [one.holding for one in stored.values()]
    assets = {"BTC": 1, "ETH": 2}
    columns = {
        "position_key": np.arange(1, len(held) + 1),
        "place": np.array([one.place for one in stored.values()], np.int32),
        "asset": np.array([assets[one.asset] for one in held], np.int32),
        "side": np.array([one.side for one in held], np.int16),
        "status": np.array([one.status for one in stored.values()], np.int16),
        "in_last_answer": np.array([one.seen for one in stored.values()], np.bool_),
        "flag_bits": np.array([bits_of(one.flags) for one in held], np.int64),
        **{name: np.array([getattr(one, name) for one in held], np.float64) for name in NUMBERS},
    }
    gone = [(key, one.absence) for key, one in enumerate(stored.values(), 1) if one.absence]
    absences = Absences(
        np.array([key for key, _ in gone], np.int64),
        np.array([absence.cycle_id == cycle_id for _, absence in gone], np.bool_),
        np.array([micros(absence.missing_time) for _, absence in gone], np.int64),
    )
    keys = np.array([assets[name] for name in rows.asset_names], np.int32)[rows.columns["asset"]]
    at = matched(rows.ids, list(stored), columns["position_key"])
    return decide(Stored(list(stored), columns, absences), rows, keys, at, now)


def reasons(decision: Decision) -> list[Reason]:
    return [Reason(code) for code in (*decision.held, *decision.stored) if code]


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
        (
            known(Status.STALE, absence=replace(ABSENT, cycle_id="c2")),
            answer(),
            Reason.MISSING_IN_SAME_CYCLE,
        ),
        (
            known(
                Status.STALE, absence=replace(ABSENT, missing_time=NOW - timedelta(seconds=29.9))
            ),
            answer(),
            Reason.MISSING_TOO_SOON,
        ),
        (known(Status.STALE, absence=ABSENT), answer(), Reason.MISSING_TWICE),
        (known(Status.INACTIVE), answer(), Reason.SET_ASIDE),
    ],
)
def test_each_case_has_its_reason(stored, given_answer, reason) -> None:
    decision = ruled({} if stored is None else {"p": stored}, given_answer, "c2", NOW)
    assert reasons(decision) == [reason]
    assert decision.counts(reason) == [1]
    assert bool(len(decision.written)) is (
        reason in (Reason.OPENED, Reason.REOPENED, Reason.RETURNED, Reason.CHANGED)
    )
    assert bool(len(decision.stale_keys)) is (reason is Reason.MISSING_ONCE)
    assert bool(len(decision.closed_keys)) is (reason is Reason.MISSING_TWICE)
    assert bool(len(decision.refused_keys)) is (reason is Reason.REFUSED)
    assert bool(decision.regrouped[0]) is (
        reason in (Reason.OPENED, Reason.REOPENED, Reason.MISSING_TWICE)
    )


def test_a_duplicate_counts_once_and_the_first_wins() -> None:
    rows = answered(answer(HELD, replace(HELD, size_usd=5)))
    assert rows.ids == ["p"] and rows.columns["size_usd"].tolist() == [1000]


def test_a_side_that_turns_or_another_asset_regroups() -> None:
    for changes in ({"side": Side.SHORT}, {"asset": "ETH"}):
        assert ruled({"p": known()}, answer(replace(HELD, **changes)), "c", NOW).regrouped.all()
    assert not ruled({"p": known()}, answer(replace(HELD, size_usd=5)), "c", NOW).regrouped.any()


def test_a_figure_that_comes_or_goes_is_a_change_and_an_absent_one_is_none() -> None:
    fee = replace(HELD, open_fee_usd=1.0)
    assert reasons(ruled({"p": known()}, answer(fee), "c", NOW)) == [Reason.CHANGED]
    assert reasons(ruled({"p": known(open_fee_usd=1.0)}, answer(HELD), "c", NOW)) == [
        Reason.CHANGED
    ]
    assert reasons(ruled({"p": known(open_fee_usd=1.0)}, answer(fee), "c", NOW)) == [
        Reason.UNCHANGED
    ]


def test_an_absence_is_forgotten_when_the_position_is_held_again() -> None:
    stored = {
        "p": known(Status.STALE, seen=False, absence=ABSENT),
        "q": known(Status.STALE, absence=ABSENT),
    }
    assert ruled(stored, answer(HELD), "c2", NOW).found_keys.tolist() == [1]


@pytest.mark.parametrize("complete", [True, False])
def test_an_absence_is_forgotten_when_the_row_is_there_and_refused(complete: bool) -> None:
    stored = {
        "p": known(Status.STALE, seen=False, absence=ABSENT),
        "q": known(Status.STALE, seen=False, absence=ABSENT),
    }
    refused = answer(refusals=(REFUSED,), complete=complete)
    decision = ruled(stored, refused, "c2", NOW)
    assert decision.found_keys.tolist() == [1], "what an answer does not speak of stays missing"


def test_each_answer_ages_only_the_positions_of_its_own_wallet() -> None:
    stored = {"q": known(), "p": known(place=1), "r": known(place=1)}
    decision = ruled(stored, [answer(complete=False), answer(HELD)], "c2", NOW)
    assert reasons(decision) == [Reason.UNCHANGED, Reason.ANSWER_INCOMPLETE, Reason.MISSING_ONCE]
    assert decision.counts(Reason.MISSING_ONCE) == [0, 1] and decision.stale_keys.tolist() == [3]


def test_an_answer_in_another_order_than_what_is_stored_finds_its_rows() -> None:
    stored = {name: known(size_usd=size) for name, size in (("p", 1.0), ("q", 2.0), ("r", 3.0))}
    rows = [
        replace(HELD, position_id=name, size_usd=size)
        for name, size in (("r", 3.0), ("q", 4.0), ("s", 1.0))
    ]
    decision = ruled(stored, answer(*rows), "c2", NOW)
    assert decision.known_keys.tolist() == [3, 2, -1]
    assert reasons(decision) == [
        Reason.UNCHANGED,
        Reason.CHANGED,
        Reason.OPENED,
        Reason.MISSING_ONCE,
    ]


def test_rows_are_found_in_the_order_of_the_keys_wherever_they_lie() -> None:
    assert matched(["p", "q"], ["q", "r", "p"], np.array([2, 3, 1])).tolist() == [2, 0]
    assert matched(["q", "p", "s"], ["q", "r", "p"], np.array([2, 3, 1])).tolist() == [0, 2, -1]
    assert matched(["p"], [], np.array([], np.int64)).tolist() == [-1]


def test_joined_answers_keep_their_own_assets_and_places() -> None:
    parts = [
        answered(answer(replace(HELD, position_id=name, asset=name)))
        for name in ("BTC", "ETH", "SOL")
    ]
    rows = joined(
        [*parts[:2], answered(answer(replace(HELD, position_id="x", asset="ETH"))), parts[2]]
    )
    assert [rows.asset_names[one] for one in rows.columns["asset"]] == ["BTC", "ETH", "ETH", "SOL"]
    assert rows.columns["place"].tolist() == [0, 1, 2, 3]


def test_two_wallets_of_one_account_overlap() -> None:
    held = answered(answer(HELD))
    assert overlap([held, held])
    assert not overlap([held, answered(answer(replace(HELD, position_id="q")))])


@given(
    status=st.sampled_from(Status),
    absent=st.booleans(),
    refusals=st.sampled_from([(), (REFUSED,), (replace(REFUSED, position_id=None),)]),
    seconds=st.floats(0, 1e6),
)
def test_an_answer_that_is_not_complete_ages_nothing(status, absent, refusals, seconds) -> None:
    stored = {"p": known(status, absence=ABSENT if absent else None)}
    found = answer(complete=bool(refusals), refusals=refusals)
    decision = ruled(stored, found, "later", NOW + timedelta(seconds=seconds))
    assert (
        not len(decision.stale_keys) and not len(decision.closed_keys) and not len(decision.written)
    )
