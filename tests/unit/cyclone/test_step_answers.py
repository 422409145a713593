"""What each answer means for its step."""

from __future__ import annotations

import pytest

from services.cyclone.domain import outcomes
from services.cyclone.domain.cycle import StepState
from services.cyclone.domain.outcomes import (
    EnrichAnswer,
    FlushAnswer,
    MonitorsAnswer,
    PricesAnswer,
    SyncAnswer,
)

SUCCEEDED, PARTIAL, FAILED = StepState.SUCCEEDED, StepState.PARTIAL, StepState.FAILED


@pytest.mark.parametrize(
    ("fresh", "missing", "state", "reason"),
    [
        (7, 0, SUCCEEDED, ""),
        (6, 1, PARTIAL, "PRICE_MISSING"),
        (0, 7, FAILED, "NO_FRESH_PRICE"),
        (0, 0, SUCCEEDED, ""),
    ],
)
def test_prices_are_partial_without_one_and_failed_without_any(
    fresh: int, missing: int, state: StepState, reason: str
) -> None:
    answer = PricesAnswer(fresh, missing, 0, ("BTC",) * missing, ("kraken",))
    read = outcomes.read_prices(answer)
    assert (read.state, read.reason) == (state, reason)
    assert dict(read.counts) == {"fresh": fresh, "missing": missing, "failed_sources": 1}
    assert ("BTC" in read.message) is (missing > 0)


def test_a_closed_market_is_not_blamed_and_is_counted() -> None:
    read = outcomes.read_prices(PricesAnswer(2, 1, 1, ("DOGE",)))
    assert read.message == "1 without a fresh price: DOGE"
    assert dict(read.counts) == {"fresh": 2, "missing": 1, "failed_sources": 0, "closed": 1}


@pytest.mark.parametrize(
    ("wallets", "complete", "failed", "refused", "state", "reason"),
    [
        (0, 0, 0, 0, SUCCEEDED, ""),
        (2, 2, 0, 0, SUCCEEDED, ""),
        (2, 2, 0, 3, PARTIAL, "ROW_REFUSED"),
        (2, 1, 1, 0, PARTIAL, "WALLET_FAILED"),
        (2, 1, 0, 1, PARTIAL, "WALLET_FAILED"),
        (2, 0, 2, 0, FAILED, "ALL_WALLETS_FAILED"),
        (1, 0, 1, 0, FAILED, "ALL_WALLETS_FAILED"),
    ],
)
def test_a_sync_fails_only_when_every_wallet_did(
    wallets: int, complete: int, failed: int, refused: int, state: StepState, reason: str
) -> None:
    read = outcomes.read_sync(SyncAnswer(wallets, complete, failed, refused, 4, 1))
    assert (read.state, read.reason) == (state, reason)
    assert read.counts["wallets"] == wallets
    assert read.counts["refused"] == refused


def test_positions_that_cannot_be_judged_leave_the_step_partial_with_counts_reasons_and_names() -> (
    None
):
    names = (
        "main BTC LONG: MARK_MISSING",
        "main ETH SHORT: MARK_MISSING",
        "hot SOL LONG: MARK_MISSING",
    )
    read = outcomes.read_enrich(EnrichAnswer(12, 3, {"MARK_MISSING": 3}, names))
    assert (read.state, read.reason) == (PARTIAL, "POSITIONS_NOT_JUDGED")
    assert dict(read.counts) == {"enriched": 12, "absent": 3, "absent_mark_missing": 3}
    assert read.message.startswith(
        "3 of 15 positions cannot be judged (MARK_MISSING 3): main BTC LONG"
    )


@pytest.mark.parametrize(
    ("reasons", "reason"),
    [
        ({}, ""),
        ({"LIQUIDATION_PRICE_MISSING": 2}, "NO_LIQUIDATION_PRICE"),
        ({"LIQUIDATION_PRICE_MISSING": 1, "SIDE_UNKNOWN": 1}, "POSITIONS_NOT_JUDGED"),
    ],
)
def test_a_price_that_no_venue_states_has_a_reason_of_its_own(
    reasons: dict[str, int], reason: str
) -> None:
    read = outcomes.read_enrich(EnrichAnswer(2, sum(reasons.values()), reasons))
    assert (read.state, read.reason) == (PARTIAL if reason else SUCCEEDED, reason)


@pytest.mark.parametrize(
    ("breaches", "errors", "state"), [(0, 0, SUCCEEDED), (3, 0, SUCCEEDED), (0, 1, PARTIAL)]
)
def test_a_breach_is_no_failure_of_the_monitors(
    breaches: int, errors: int, state: StepState
) -> None:
    assert outcomes.read_monitors(MonitorsAnswer(5, breaches, errors)).state is state


@pytest.mark.parametrize(("waiting", "state"), [(0, SUCCEEDED), (2, PARTIAL)])
def test_rows_that_still_wait_leave_notify_partial(waiting: int, state: StepState) -> None:
    assert outcomes.read_flush(FlushAnswer(1, waiting)).state is state


def test_a_call_without_an_answer_is_failed_with_its_reason() -> None:
    read = outcomes.read_failure("PEER_UNAVAILABLE", "nobody there")
    assert (read.state, read.reason, read.message) == (FAILED, "PEER_UNAVAILABLE", "nobody there")


@pytest.mark.parametrize(
    ("unread", "unfinished", "state", "reason"),
    [
        (False, False, SUCCEEDED, ""),
        (False, True, PARTIAL, "UNFINISHED"),
        (True, False, PARTIAL, "POSITIONS_NOT_READ"),
        (True, True, PARTIAL, "POSITIONS_NOT_READ"),
    ],
)
def test_alerts_made_without_the_positions_are_not_all_there_are(
    unread: bool, unfinished: bool, state: StepState, reason: str
) -> None:
    read = outcomes.read_creation({"created": 1}, unread=unread, unfinished=unfinished)
    assert (read.state, read.reason) == (state, reason)


@pytest.mark.parametrize(
    ("before", "state", "reason"),
    [
        (outcomes.Outcome(SUCCEEDED), PARTIAL, "POSITIONS_NOT_READ"),
        (outcomes.Outcome(PARTIAL, {}, "UNFINISHED", "more"), PARTIAL, "POSITIONS_NOT_READ"),
        (outcomes.Outcome(FAILED, {}, "INTERNAL", "broken"), FAILED, "INTERNAL"),
    ],
)
def test_whatever_else_is_amiss_judging_without_positions_is_said(
    before: outcomes.Outcome, state: StepState, reason: str
) -> None:
    after = outcomes.without_positions(before)
    assert (after.state, after.reason) == (state, reason)
    assert before.message in after.message


def test_positions_that_were_not_read_are_said_before_what_is_unfinished() -> None:
    counts = {"unjudged": 2, "unknown": 1}
    read = outcomes.read_evaluation(counts, unfinished=True)
    assert read.reason == "POSITIONS_NOT_READ"
