"""The reference: by keyword, event, range or none, for each wallet."""

from __future__ import annotations

from datetime import datetime

import pytest

from services.withdrawals.gains.domain.evaluation import GainRules, HoldingState
from services.withdrawals.gains.domain.references import (
    NO_REFERENCE,
    Reference,
    ReferenceEvent,
    ReferenceMode,
    ReferenceRules,
    choose_reference,
)
from shared.errors import InvalidArgument
from tests.unit.withdrawals.made_supply import HOME, OTHER, at, flow, gains_of, sample

KEYWORD = ReferenceRules(keyword="Reference")


def chosen(
    flows: list = [],  # noqa: B006 - never changed
    events: list = [],  # noqa: B006 - never changed
    rules: ReferenceRules = KEYWORD,
    as_of: float = 100,
) -> Reference:
    return choose_reference(HOME, flows, events, rules, at(as_of), at(0))


def test_the_last_withdrawal_with_the_keyword_in_any_case_is_the_reference() -> None:
    flows = [
        flow(1, -5, note="my REFERENCE"),
        flow(3, -5, note="new reference here", tx_id="this"),
        flow(4, -5, note="rent"),
        flow(5, 5, note="reference of a deposit"),
    ]
    assert chosen(flows) == Reference(ReferenceMode.KEYWORD, at(3), "this", "new reference here")


def test_no_keyword_is_in_no_note() -> None:
    for blank in ("", "  "):
        assert chosen([flow(1, -5, note="anything")], rules=ReferenceRules(keyword=blank)) == (
            NO_REFERENCE
        )


@pytest.mark.parametrize(
    ("event", "wanted"), [(2, ReferenceMode.KEYWORD), (4, ReferenceMode.EVENT)]
)
def test_the_later_of_keyword_and_event_counts(event: float, wanted: ReferenceMode) -> None:
    found = chosen([flow(3, -5, note="reference")], [ReferenceEvent(at(event))])
    assert found.mode is wanted
    assert found.time == at(max(event, 3))


def test_of_one_instant_the_event_counts_and_the_wallets_own_before_that_of_all() -> None:
    events = [ReferenceEvent(at(3), HOME.wallet, "a"), ReferenceEvent(at(3), None, "b")]
    assert chosen([flow(3, -5, note="reference")], events).tx_id == "a"
    assert chosen([flow(3, -5, note="reference")], events[1:]).mode is ReferenceMode.EVENT


def test_another_wallets_reference_is_not_mine() -> None:
    flows = [flow(3, -5, holding=OTHER, note="reference")]
    assert chosen(flows, [ReferenceEvent(at(3), OTHER.wallet)]) == NO_REFERENCE


def test_what_is_after_the_evaluation_is_no_reference_yet() -> None:
    flows = [flow(5, -5, note="reference")]
    assert chosen(flows, [ReferenceEvent(at(6))], as_of=4) == NO_REFERENCE


def test_mode_event_does_not_read_notes() -> None:
    rules = ReferenceRules(ReferenceMode.EVENT, "reference")
    found = chosen([flow(3, -5, note="reference")], [ReferenceEvent(at(2))], rules)
    assert (found.mode, found.time) == (ReferenceMode.EVENT, at(2))


@pytest.mark.parametrize(("start", "wanted"), [(7, 7), (None, 0)])
def test_mode_data_range_falls_back_to_the_start_of_the_range(
    start: float | None, wanted: float
) -> None:
    moment = None if start is None else at(start)
    rules = ReferenceRules(ReferenceMode.DATA_RANGE, "reference", moment)
    assert chosen(rules=rules) == Reference(ReferenceMode.DATA_RANGE, at(wanted))
    assert chosen([flow(1, -5, note="reference")], rules=rules).mode is ReferenceMode.KEYWORD


def test_mode_none_knows_no_reference() -> None:
    rules = ReferenceRules(ReferenceMode.NONE, "reference", at(0))
    assert chosen([flow(1, -5, note="reference")], [ReferenceEvent(at(2))], rules) == NO_REFERENCE


def test_a_range_that_begins_in_the_future_is_no_reference() -> None:
    rules = ReferenceRules(ReferenceMode.DATA_RANGE, "", at(200))
    assert chosen(rules=rules) == NO_REFERENCE


def test_naive_references_are_refused() -> None:
    naive = datetime(2026, 11, 1)
    with pytest.raises(InvalidArgument):
        ReferenceEvent(naive)
    with pytest.raises(InvalidArgument):
        ReferenceRules(range_start=naive)


def test_each_wallet_has_its_own_reference_and_base() -> None:
    samples = [sample(hour, 1000 + hour) for hour in range(6)]
    samples += [sample(hour, 500 + 2 * hour, holding=OTHER) for hour in range(6)]
    gains = gains_of(
        samples,
        [flow(3, -0.5, holding=OTHER, note="reference")],
        reference_hour=1,
        rules=GainRules(references=KEYWORD),
    )
    assert [gain.base_time for gain in gains.holdings] == [at(1), at(3)]
    assert [gain.gain_units for gain in gains.holdings] == [4, 4]


def test_without_a_reference_the_gain_is_not_known_and_the_position_is() -> None:
    (gain,) = gains_of([sample(0, 1000), sample(1, 1001)], reference_hour=None).holdings
    assert gain.state is HoldingState.NO_REFERENCE
    assert gain.gain_units is None and gain.base_time is None
    assert gain.position_units == 1001
