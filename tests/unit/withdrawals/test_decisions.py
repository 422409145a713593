"""Decisions: what holds, fails or is only shown; exactly its reasons, always in one order."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from services.withdrawals.decisions.domain.allowance import TakenRule
from services.withdrawals.decisions.domain.decision import Decision
from services.withdrawals.decisions.domain.decision_text import REASON_TEXTS, decision_line
from services.withdrawals.decisions.domain.inputs import (
    DecisionRules,
    GateMode,
    HoldingFailure,
    MarketTerms,
)
from services.withdrawals.decisions.domain.reasons import Reason, Verdict, Weight
from services.withdrawals.gains.domain.total_series import total_series
from services.withdrawals.gate.domain.gate import (
    GateResult,
    GateSettings,
    GateSide,
    GateState,
    judge,
)
from services.withdrawals.prices.domain import PriceComparison
from shared.errors import InvalidArgument
from tests.unit.withdrawals.made_decisions import (
    decided,
    gate_of,
    prices_of,
    samples_of,
    ten_gained,
)
from tests.unit.withdrawals.made_supply import (
    HOME,
    OTHER,
    WHOLE,
    flow,
    gains_of,
    random_history,
    sample,
)


def market(**terms: object) -> dict:
    given = {name: Decimal(to) if name != "closed" else to for name, to in terms.items()}
    return {"markets": {"DJED": MarketTerms(**given)}}


def said(decision: Decision) -> tuple[Verdict, list[str], list[str]]:
    """Verdict, reasons that hold or fail, reasons that are only shown; the second gain of these
    histories is incomplete always, and left out.
    """
    heavy = [reason.value for reason in decision.holding_reasons]
    shown = [one.value for one in decision.reasons if one.value not in heavy]
    return decision.verdict, heavy, [one for one in shown if one != Reason.FLOWS_INCOMPLETE]


def held(*reasons: str, shown: tuple = ()) -> tuple:
    return Verdict.HOLD, list(reasons), list(shown)


OK = (Verdict.WITHDRAW_OK, [], [])


def test_where_nothing_is_wrong_half_the_gain_may_be_withdrawn() -> None:
    decision = decided()
    assert said(decision) == OK
    assert decision.total_units == 5 and decision.total_usd == 5
    assert decision_line(decision) == "djed: decision=1, wmax_usd=5.00 (1 wallet)"


def test_the_amount_is_cut_to_cents_and_wallets_are_counted() -> None:
    third = HOME._replace(wallet="addr1third")
    samples = samples_of([0, 2.22]) + samples_of([0, 2.22], OTHER) + samples_of([0, 4.479], third)
    decision = decided(gains_of(samples, as_of_hour=2), price_usd=Decimal("0.9987"))
    assert decision.total_units == Decimal("4.4595")
    assert decision_line(decision) == "djed: decision=1, wmax_usd=4.45 (3 wallets)"


@pytest.mark.parametrize("gains", [[-5, -8], [-5, 0]])
def test_no_gain_holds(gains: list) -> None:
    decision = decided(gains_of(samples_of(gains), as_of_hour=2))
    clamped = ["CLAMPED"] if gains[-1] < 0 else []
    assert said(decision) == held("NON_POSITIVE_GAIN", *clamped)
    assert decision.total_units == 0
    reason = "non-positive gains since t0" + (" (clamped)" if clamped else "")
    assert decision_line(decision) == (
        f"djed: decision=0, wmax_usd=0.00 (1 wallet) [reason: {reason}]"
    )


def test_a_wallet_without_gain_beside_one_with_gain_is_shown() -> None:
    samples = samples_of([5, 10]) + samples_of([-1, -2], OTHER)
    verdict, heavy, shown = said(decided(gains_of(samples, as_of_hour=2)))
    assert (verdict, heavy) == (Verdict.WITHDRAW_OK, [])
    assert shown == ["NON_POSITIVE_GAIN", "CLAMPED"]


@pytest.mark.parametrize("holds", [True, False])
def test_a_loss_of_all_together_with_a_winning_wallet_holds_by_default(holds: bool) -> None:
    samples = samples_of([5, 10]) + samples_of([-10, -20], OTHER)
    rules = DecisionRules() if holds else DecisionRules(hold_on_aggregate_loss=False)
    decision = decided(gains_of(samples, as_of_hour=2), rules)
    assert decision.aggregate_gain_units == -10
    assert decision.total_units == 5
    verdict, heavy, shown = said(decision)
    assert verdict is (Verdict.HOLD if holds else Verdict.WITHDRAW_OK)
    assert (heavy == ["AGGREGATE_LOSS"]) is holds
    assert ("AGGREGATE_LOSS" in shown) is not holds


def test_without_a_reference_it_holds_and_no_amount_is_said() -> None:
    decision = decided(gains_of(samples_of([5, 10]), reference_hour=None, as_of_hour=2))
    assert said(decision) == held("NO_REFERENCE")
    assert decision.total_units is None and decision.gain_usd is None
    assert decision_line(decision) == (
        "djed: decision=0, wmax_usd=unknown (1 wallet) [reason: no reference]"
    )


@pytest.mark.parametrize(
    ("gains", "reason"),
    [
        (gains_of([], holdings=[HOME]), "NO_DATA"),
        (gains_of([]), "NO_DATA"),
        (gains_of(samples_of([5]), reference_hour=9), "NO_DATA"),
    ],
)
def test_without_data_it_fails(gains: object, reason: str) -> None:
    decision = decided(gains)
    assert decision.verdict is Verdict.ERROR
    assert [one.value for one in decision.holding_reasons] == [reason]
    assert decision.total_units is None


def test_a_wallet_that_failed_is_an_error_and_no_silent_zero() -> None:
    failure = HoldingFailure(OTHER, Reason.INTERNAL, "incident 7")
    decision = decided(failures=(failure, failure))
    assert [one.reason for one in decision.findings].count(Reason.INTERNAL) == 1
    assert said(decision) == (Verdict.ERROR, ["INTERNAL"], [])
    assert decision.total_usd is None
    assert [one.allowance is None for one in decision.allowances] == [False, True]
    assert decision_line(decision).endswith(
        "decision=-1, wmax_usd=unknown (2 wallets) [reason: internal error]"
    )


def test_a_wallet_absent_for_too_long_fails_the_decision() -> None:
    samples = [*samples_of([5, 6, 7, 8, 9]), sample(0, 500, holding=OTHER)]
    decision = decided(gains_of(samples, as_of_hour=5), as_of_hour=5)
    assert said(decision) == (Verdict.ERROR, ["NO_DATA"], [])
    assert decision.total_units is None


def test_an_asset_that_is_not_found_fails() -> None:
    decision = decided(gains_of([]), is_resolved=False)
    assert said(decision) == (Verdict.ERROR, ["UNRESOLVED_ASSET"], [])


def test_old_samples_hold() -> None:
    assert said(decided(as_of_hour=5)) == OK
    assert said(decided(as_of_hour=5.01)) == held("STALE_DATA")


@pytest.mark.parametrize(
    ("price", "holds"),
    [("1.02", False), ("1.0201", True), ("0.98", False), ("0.9799", True), ("1", False)],
)
@pytest.mark.parametrize("mode", list(GateMode))
def test_a_price_off_its_peg_holds_whatever_the_mode(
    price: str, holds: bool, mode: GateMode
) -> None:
    gate = gate_of(GateSide.ABOVE if mode is GateMode.OPPORTUNITY else GateSide.INSIDE)
    decision = decided(rules=DecisionRules(gate_mode=mode), price_usd=Decimal(price), gate=gate)
    assert said(decision) == (held("DEPEG") if holds else OK)


def test_the_price_of_the_newest_sample_is_the_price_where_no_other_is_given() -> None:
    samples = samples_of([5, 10])
    samples[-1] = replace(samples[-1], price_usd=0.97)
    decision = decided(gains_of(samples, as_of_hour=2))
    assert said(decision) == held("DEPEG")
    assert decision.price_usd == Decimal("0.97")


@pytest.mark.parametrize(
    ("prices", "wanted"),
    [
        (prices_of(), OK),
        (prices_of(is_unavailable=True), (Verdict.WITHDRAW_OK, [], ["PRICE_UNAVAILABLE"])),
        (prices_of(is_mismatch=True), (Verdict.WITHDRAW_OK, [], ["PRICE_MISMATCH"])),
        (prices_of(is_mismatch=True, holds=True), held("PRICE_MISMATCH")),
    ],
)
def test_prices_apart_hold_once_they_have_been_for_long(
    prices: PriceComparison, wanted: tuple
) -> None:
    assert said(decided(prices=prices)) == wanted


MODES = GateMode.ANOMALY_GUARD, GateMode.OPPORTUNITY, GateMode.OFF


@pytest.mark.parametrize(
    ("gate", "wanted"),
    [
        (gate_of(GateSide.INSIDE), ("", "NO_OPPORTUNITY", "")),
        (gate_of(GateSide.ABOVE), ("ANOMALY", "", "")),
        (gate_of(GateSide.BELOW), ("ANOMALY", "NO_OPPORTUNITY", "")),
        (gate_of(None, GateState.INSUFFICIENT_POINTS), ("INSUFFICIENT_POINTS",) * 2 + ("",)),
        (gate_of(None, GateState.DEGENERATE_SCALE), ("DEGENERATE_SCALE",) * 2 + ("",)),
        (None, ("INSUFFICIENT_POINTS",) * 2 + ("",)),
    ],
)
def test_what_the_gate_does_in_each_mode(gate: GateResult | None, wanted: tuple) -> None:
    for mode, reason in zip(MODES, wanted, strict=True):
        decision = decided(rules=DecisionRules(gate_mode=mode), gate=gate)
        assert said(decision) == (held(reason) if reason else OK)


@pytest.mark.parametrize(("jump", "wanted"), [(0, OK), (500, held("ANOMALY"))])
def test_a_deposit_that_nobody_told_of_is_an_anomaly_and_no_gain(jump: int, wanted: tuple) -> None:
    """Without receipts nothing else stands between principal and the advice to take it."""
    steps = [0.3, 0.5, 0.2, 0.4, 0.6] * 8
    grown = [sum(steps[: hour + 1]) for hour in range(40)]
    gains = gains_of(samples_of([*grown[:-1], grown[-1] + jump]), as_of_hour=40)
    total = total_series(gains.series)
    gate = judge(total.time_micros, total.corrected_units / 1e6, GateSettings())
    assert said(decided(gains, as_of_hour=40, gate=gate)) == wanted


def test_an_asset_that_is_not_gated_is_not_held_by_the_gate() -> None:
    assert said(decided(rules=DecisionRules(is_gated=False), gate=None)) == OK


def test_an_opportunity_with_nothing_to_withdraw_is_none() -> None:
    decision = decided(
        gains_of(samples_of([-1, -2]), as_of_hour=2),
        DecisionRules(gate_mode=GateMode.OPPORTUNITY),
        gate=gate_of(GateSide.ABOVE),
    )
    assert said(decision) == held("NON_POSITIVE_GAIN", "CLAMPED")


@pytest.mark.parametrize(
    ("terms", "wanted"),
    [
        ({"liquidity_units": "3"}, (Verdict.WITHDRAW_OK, [], ["LIQUIDITY_LIMIT"])),
        ({"liquidity_units": "0"}, held("LIQUIDITY_LIMIT")),
        ({"venue_cap_units": "3"}, (Verdict.WITHDRAW_OK, [], ["LIQUIDITY_LIMIT"])),
        ({"liquidity_units": "5"}, OK),
        ({"closed": "frozen"}, held("MARKET_FROZEN")),
        ({"minimum_units": "5"}, OK),
        ({"minimum_units": "6"}, held("BELOW_MINIMUM")),
    ],
)
def test_what_the_market_lets_out(terms: dict, wanted: tuple) -> None:
    assert said(decided(**market(**terms))) == wanted


@pytest.mark.parametrize(("free", "wanted"), [("2", 2), ("0", 0), ("9", 5)])
def test_only_free_collateral_may_leave(free: str, wanted: int) -> None:
    decision = decided(collateral_units={HOME: Decimal(free)})
    assert decision.total_units == wanted
    assert (Reason.COLLATERAL_LIMIT in decision.reasons) is (wanted < 5)
    assert (decision.verdict is Verdict.HOLD) is (wanted == 0)


@pytest.mark.parametrize(("fees", "holds"), [("4.9", False), ("5", True), ("6", True)])
def test_fees_as_high_as_the_allowance_hold(fees: str, holds: bool) -> None:
    decision = decided(rules=DecisionRules(fee_units=Decimal(fees)))
    assert said(decision) == (held("FEES_EXCEED") if holds else OK)


def test_a_cap_of_nothing_holds_and_says_so() -> None:
    assert said(decided(rules=DecisionRules(cap_units=Decimal(0)))) == held("CLAMPED")


def test_what_was_taken_already_holds_unless_it_is_not_counted() -> None:
    samples = [*samples_of([5, 10]), sample(3, 1003)]
    gains = gains_of(samples, [flow(2.5, -7)], as_of_hour=3)
    assert said(decided(gains, as_of_hour=3)) == held("ALREADY_TAKEN")
    again = decided(gains, DecisionRules(taken=TakenRule.NONE), as_of_hour=3)
    assert said(again) == OK and again.total_units == 5


def test_a_pending_flow_is_marked_and_counted() -> None:
    gains = gains_of(samples_of([5, 10]), [flow(2.5, -2)], as_of_hour=2.6)
    decision = decided(gains, as_of_hour=2.6)
    assert said(decision) == (Verdict.WITHDRAW_OK, [], ["PENDING_FLOW"])
    assert decision.total_units == 3


def test_one_closed_market_does_not_close_another() -> None:
    usdc = HOME._replace(market="WANUSDC")
    gains = gains_of(samples_of([5, 10]) + samples_of([4, 8], usdc), as_of_hour=2)
    decision = decided(gains, **market(closed="frozen"))
    assert said(decision) == (Verdict.WITHDRAW_OK, [], ["MARKET_FROZEN"])
    assert [one.is_open for one in decision.allowances] == [False, True]


def test_wallets_of_one_pool_share_its_liquidity() -> None:
    gains = gains_of(samples_of([5, 10]) + samples_of([5, 10], OTHER), as_of_hour=2)
    decision = decided(gains, **market(liquidity_units="7"))
    assert decision.total_units == 7
    assert said(decision) == (Verdict.WITHDRAW_OK, [], ["LIQUIDITY_LIMIT"])


def of_history(change: str = "") -> Decision:
    """A random history with both gains known, and one row of it changed."""
    history = random_history(11)
    flows, samples = list(history.flows), list(history.samples)
    if change == "flow":
        flows[0] = replace(flows[0], units=flows[0].units * 2)
    if change == "sample":
        samples[-1] = replace(samples[-1], units=samples[-1].units - 50)
    if change == "missing":
        del flows[-1]
    gains = gains_of(samples, flows, history.reference_hour, facts=WHOLE)
    return decided(gains, DecisionRules(gate_mode=GateMode.OFF), as_of_hour=400)


def test_rows_that_contradict_themselves_hold_with_the_row_named() -> None:
    assert Reason.GAINS_DISAGREE not in of_history().reasons
    for change in ("flow", "sample"):
        decision = of_history(change)
        assert Reason.GAINS_DISAGREE in decision.holding_reasons
        (finding,) = (one for one in decision.findings if one.reason is Reason.GAINS_DISAGREE)
        assert "contradicts itself" in finding.detail
    (sampled,) = (
        one for one in of_history("sample").findings if one.reason is Reason.GAINS_DISAGREE
    )
    assert "by samples" in sampled.detail and "by flows" in sampled.detail


def test_a_missing_flow_holds_as_incomplete_and_never_as_disagreeing() -> None:
    decision = of_history("missing")
    assert Reason.FLOWS_INCOMPLETE in decision.holding_reasons
    assert Reason.GAINS_DISAGREE not in decision.reasons


def test_flows_that_tell_no_receipts_are_shown_as_incomplete() -> None:
    (finding,) = (one for one in decided().findings if one.reason is Reason.FLOWS_INCOMPLETE)
    assert finding.weight is Weight.SHOWN
    assert "history not whole" in finding.detail


def test_reasons_come_in_one_order_whatever_the_order_of_the_wallets() -> None:
    samples = samples_of([-5, -8]) + samples_of([1, 2], OTHER)
    flows = [flow(2.5, -2), flow(2.5, 3, OTHER)]
    known = {
        "prices": prices_of(is_unavailable=True),
        "gate": gate_of(None, GateState.DEGENERATE_SCALE),
        "price_usd": Decimal("0.9"),
        **market(liquidity_units="0", closed="delisting"),
    }
    found = [
        decided(gains_of(rows, flows, as_of_hour=9), as_of_hour=9, **known)
        for rows in (samples, samples[::-1])
    ]
    assert found[0].findings == found[1].findings
    order = list(Reason)
    ranks = [order.index(reason) for reason in found[0].reasons]
    assert ranks == sorted(ranks) and len(ranks) == len(set(ranks))
    assert [reason.value for reason in found[0].holding_reasons] == [
        *("STALE_DATA", "NON_POSITIVE_GAIN", "CLAMPED", "AGGREGATE_LOSS", "DEPEG"),
        *("DEGENERATE_SCALE", "LIQUIDITY_LIMIT", "MARKET_FROZEN"),
    ]


def test_a_decision_never_says_withdraw_without_an_amount() -> None:
    for decision in (
        decided(**market(liquidity_units="0")),
        decided(rules=DecisionRules(cap_units=Decimal(0))),
        decided(gains_of(samples_of([0, 0]), as_of_hour=2)),
        decided(collateral_units={HOME: Decimal(0)}),
        decided(gains_of(samples_of([5, 10]), [flow(2, -1000)], as_of_hour=2)),
    ):
        assert decision.verdict is Verdict.HOLD
        assert decision.holding_reasons


def test_usd_is_reckoned_once_and_the_profit_of_the_price_is_apart() -> None:
    samples = samples_of([5, 10])
    samples[0] = replace(samples[0], price_usd=0.99)
    decision = decided(gains_of(samples, as_of_hour=2))
    assert decision.gain_usd == 10
    assert decision.price_profit_usd == Decimal("10.00")
    assert decision.value_at_reference_usd == Decimal("990.00")
    assert decision.value_usd == 1010


def test_what_a_decision_was_made_of_stays_with_it() -> None:
    decision = decided()
    assert decision.gains == ten_gained()
    assert decision.rules == DecisionRules()
    assert decision.circumstances.gate == gate_of()
    assert decision.allowances[0].allowance.gain_share_units == 5


def test_no_text_holds_an_address() -> None:
    samples = samples_of([-5, -8]) + samples_of([1, 2], OTHER)
    decision = decided(gains_of(samples, [flow(1.5, -400)], as_of_hour=2), as_of_hour=9)
    for text in (decision_line(decision), *(one.detail for one in decision.findings)):
        assert "addr1" not in text


def test_every_reason_has_its_words() -> None:
    assert set(REASON_TEXTS) == set(Reason)


@pytest.mark.parametrize(
    "wrong",
    [
        {"safety_factor": Decimal(0)},
        {"safety_factor": Decimal("1.01")},
        {"safety_factor": Decimal("NaN")},
        {"cap_units": Decimal(-1)},
        {"fee_units": Decimal(-1)},
        {"peg_usd": Decimal(0)},
        {"depeg_ratio": Decimal(-1)},
    ],
)
def test_settings_out_of_their_bounds_are_refused(wrong: dict) -> None:
    with pytest.raises(InvalidArgument):
        DecisionRules(**wrong)
