"""What is found about gains, limits, prices and the gate, as reasons with their weight."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from services.withdrawals.decisions.domain.allowance import Allowance, HoldingAllowance, Limit
from services.withdrawals.decisions.domain.inputs import (
    Circumstances,
    DecisionRules,
    GateMode,
    MarketTerms,
)
from services.withdrawals.decisions.domain.reasons import Finding, Reason, Weight
from services.withdrawals.gains.domain.agreement import Agreement, Fault, GainCheck, RowFault
from services.withdrawals.gains.domain.evaluation import AssetGains, HoldingGain, HoldingState
from services.withdrawals.gains.domain.flow_gain import Lack
from services.withdrawals.gains.domain.flows import Holding
from services.withdrawals.gate.domain.gate import GateSide, GateState

# Faults that mean a transaction is missing or stands in the wrong place, not a wrong number.
_MISSING_FLOW = {Fault.FLOW_UNMATCHED, Fault.RECEIPTS_MOVED}


def gain_findings(gains: AssetGains, nothing_open: bool) -> list[Finding]:
    """What each holding's gain says. `nothing_open`: no holding can withdraw, so that what closes
    one holds all.
    """
    found: list[Finding] = []
    for gain in gains.holdings:
        found += _state_findings(gain, nothing_open)
        if gain.check is not None and gain.is_known:
            found += check_findings(gain.holding, gain.check)
    return found


def _state_findings(gain: HoldingGain, nothing_open: bool) -> list[Finding]:
    found = []
    holding, sums = gain.holding, gain.sums
    if gain.state is HoldingState.NO_REFERENCE:
        found.append(Finding(Reason.NO_REFERENCE, Weight.HOLDS, holding))
    if gain.state is HoldingState.NO_DATA:
        detail = f"absent from snapshots for {gain.carried}"
        if gain.end_time is None:
            lacks = lack_texts(gain.check.lacks if gain.check else ())
            detail = f"no sample since the reference; for the gain by flows: {lacks}"
        found.append(Finding(Reason.NO_DATA, Weight.FAILS, holding, detail))
    if gain.gain_units is not None and gain.gain_units <= 0:
        weight = Weight.HOLDS if nothing_open else Weight.SHOWN
        detail = f"{gain.gain_units} tokens"
        found.append(Finding(Reason.NON_POSITIVE_GAIN, weight, holding, detail))
    if sums.pending_deposit_units or sums.pending_withdrawal_units:
        detail = (
            f"{sums.pending_deposit_units} tokens in, {sums.pending_withdrawal_units} tokens out"
        )
        found.append(Finding(Reason.PENDING_FLOW, Weight.SHOWN, holding, detail))
    return found


def check_findings(holding: Holding, check: GainCheck) -> list[Finding]:
    """GAINS_DISAGREE for numbers that contradict each other, FLOWS_INCOMPLETE for rows that are
    missing; never the first where the gain by flows cannot be had.
    """
    weight = Weight.HOLDS if check.holds else Weight.SHOWN
    named = ", ".join(map(fault_text, check.faults))
    if check.agreement is Agreement.INCOMPLETE:
        detail = "; ".join(filter(None, (lack_texts(check.lacks), named)))
        return [Finding(Reason.FLOWS_INCOMPLETE, weight, holding, detail)]
    if check.agreement is Agreement.DISAGREE and check.by_flows is not None:
        numbers = f"{check.gain_by_samples_units} by samples, {check.by_flows.gain_units} by flows"
        detail = "; ".join(filter(None, (numbers, named)))
        return [Finding(Reason.GAINS_DISAGREE, weight, holding, detail)]
    if not check.faults:
        return []
    is_missing = all(fault.fault in _MISSING_FLOW for fault in check.faults)
    reason = Reason.FLOWS_INCOMPLETE if is_missing else Reason.GAINS_DISAGREE
    return [Finding(reason, weight, holding, named)]


def lack_texts(lacks: tuple[Lack, ...]) -> str:
    """What the gain by flows lacks, for people."""
    return ", ".join(lack.lower().replace("_", " ") for lack in lacks)


def fault_text(fault: RowFault) -> str:
    """One row at fault for people, by transaction id or by time."""
    row = f"sample of {fault.time:%Y-%m-%dT%H:%M:%SZ}"
    if fault.flow is not None:
        row = f"{fault.flow.kind.lower()} {fault.flow.tx_id}"
    return f"{row}: {fault.fault.lower().replace('_', ' ')} ({fault.off_units:f})"


def limit_findings(
    gains: AssetGains,
    allowances: Sequence[HoldingAllowance],
    rules: DecisionRules,
    circumstances: Circumstances,
    nothing_open: bool,
) -> list[Finding]:
    """What limits each holding's allowance or closes its market."""
    weight = Weight.HOLDS if nothing_open else Weight.SHOWN
    gain_of = {gain.holding: gain.gain_units for gain in gains.holdings}
    found = []
    for one in allowances:
        terms = circumstances.markets.get(one.holding.market, MarketTerms())
        reasons: list[tuple[Reason, str]] = []
        if terms.closed:
            reasons.append((Reason.MARKET_FROZEN, terms.closed))
        if one.allowance is not None:
            reasons += _limits(one.allowance, gain_of.get(one.holding) or Decimal(0))
            reasons += _too_little(one.allowance.units, terms, rules)
        found += [Finding(reason, weight, one.holding, detail) for reason, detail in reasons]
    return found


def _limits(allowance: Allowance, gain_units: Decimal) -> list[tuple[Reason, str]]:
    binding = set(allowance.binding)
    left = allowance.gain_share_units - allowance.taken_units
    found = []
    if gain_units > 0 and left <= 0:
        detail = f"{allowance.taken_units} of {allowance.gain_share_units} tokens"
        found.append((Reason.ALREADY_TAKEN, detail))
    if Limit.GAIN not in binding:
        units = f"{allowance.units} tokens"
        if binding & {Limit.LIQUIDITY, Limit.VENUE_CAP}:
            found.append((Reason.LIQUIDITY_LIMIT, units))
        if Limit.COLLATERAL in binding:
            found.append((Reason.COLLATERAL_LIMIT, units))
    own = binding & {Limit.POSITION, Limit.CAP}
    if gain_units < 0 or (allowance.units == 0 and own and left > 0):
        detail = ", ".join(limit.lower().replace("_", " ") for limit in allowance.binding)
        found.append((Reason.CLAMPED, detail))
    return found


def _too_little(
    units: Decimal, terms: MarketTerms, rules: DecisionRules
) -> list[tuple[Reason, str]]:
    if units == 0:
        return []
    found = []
    if terms.minimum_units is not None and units < terms.minimum_units:
        found.append((Reason.BELOW_MINIMUM, f"{units} of {terms.minimum_units} tokens"))
    if rules.fee_units is not None and units <= rules.fee_units:
        found.append((Reason.FEES_EXCEED, f"fees {rules.fee_units} of {units} tokens"))
    return found


def asset_findings(
    gains: AssetGains,
    rules: DecisionRules,
    circumstances: Circumstances,
    price_usd: Decimal | None,
    allowances: Sequence[HoldingAllowance],
    total: Decimal | None,
) -> list[Finding]:
    """What is said of the asset as a whole: data, sums, prices and the gate."""
    found = [
        Finding(failure.reason, Weight.FAILS, failure.holding, failure.detail)
        for failure in circumstances.failures
    ]
    found += [
        Finding(Reason.NEVER_SEEN, Weight.SHOWN, holding, "neither a supply nor a transaction")
        for holding in circumstances.never_seen
    ]
    if not circumstances.is_resolved:
        found.append(Finding(Reason.UNRESOLVED_ASSET, Weight.FAILS))
    elif not allowances:
        found.append(Finding(Reason.NO_DATA, Weight.FAILS, detail="no wallet has a sample"))
    found += _stale(gains, rules, circumstances)
    found += _sums(gains, rules, allowances, total)
    found += _peg(rules, price_usd)
    if any(gain.is_known for gain in gains.holdings):
        found += price_findings(circumstances, price_usd)
        found += gate_findings(rules, circumstances)
    return found


def _stale(gains: AssetGains, rules: DecisionRules, circumstances: Circumstances) -> list[Finding]:
    ends = [gain.end_time for gain in gains.holdings if gain.end_time is not None]
    newest = gains.snapshot_time or max(ends, default=None)
    if newest is None or circumstances.as_of - newest <= rules.stale_age:
        return []
    detail = f"the newest sample is {circumstances.as_of - newest} old"
    return [Finding(Reason.STALE_DATA, Weight.HOLDS, detail=detail)]


def _sums(
    gains: AssetGains,
    rules: DecisionRules,
    allowances: Sequence[HoldingAllowance],
    total: Decimal | None,
) -> list[Finding]:
    found = []
    aggregate = gains.aggregate_gain_units
    wins = any(gain.gain_units is not None and gain.gain_units > 0 for gain in gains.holdings)
    if aggregate is not None and aggregate < 0 and wins:
        weight = Weight.HOLDS if rules.hold_on_aggregate_loss else Weight.SHOWN
        found.append(Finding(Reason.AGGREGATE_LOSS, weight, detail=f"{aggregate} tokens"))
    added = sum((one.allowance.units for one in allowances if one.allowance), Decimal(0))
    if total is not None and total < added:
        detail = f"{total} tokens for all wallets together"
        found.append(Finding(Reason.LIQUIDITY_LIMIT, Weight.SHOWN, detail=detail))
    return found


def _peg(rules: DecisionRules, price_usd: Decimal | None) -> list[Finding]:
    """DEPEG whatever the mode, and whether or not a gain is known."""
    if price_usd is None or abs(price_usd - rules.peg_usd) <= rules.depeg_ratio * rules.peg_usd:
        return []
    return [Finding(Reason.DEPEG, Weight.HOLDS, detail=f"{price_usd} USD")]


def price_findings(circumstances: Circumstances, price_usd: Decimal | None) -> list[Finding]:
    """A mismatch holds once it has lasted; no price at all holds: the peg cannot be judged."""
    found = []
    prices = circumstances.prices
    if price_usd is None:
        found.append(Finding(Reason.PRICE_UNAVAILABLE, Weight.HOLDS, detail="no price"))
    elif prices is not None and prices.is_unavailable:
        found.append(Finding(Reason.PRICE_UNAVAILABLE, Weight.SHOWN))
    if prices is not None and (prices.is_mismatch or prices.holds):
        weight = Weight.HOLDS if prices.holds else Weight.SHOWN
        found.append(Finding(Reason.PRICE_MISMATCH, weight))
    return found


def gate_findings(rules: DecisionRules, circumstances: Circumstances) -> list[Finding]:
    """What the residual gate says, in the asset's mode; a gate that was not run has no points."""
    if rules.gate_mode is GateMode.OFF or not rules.is_gated:
        return []
    gate = circumstances.gate
    if gate is None or gate.state is GateState.INSUFFICIENT_POINTS:
        return [Finding(Reason.INSUFFICIENT_POINTS, Weight.HOLDS)]
    if gate.state is GateState.DEGENERATE_SCALE:
        return [Finding(Reason.DEGENERATE_SCALE, Weight.HOLDS)]
    if rules.gate_mode is GateMode.OPPORTUNITY:
        is_good = gate.side is GateSide.ABOVE
        return [] if is_good else [Finding(Reason.NO_OPPORTUNITY, Weight.HOLDS)]
    return [] if gate.side is GateSide.INSIDE else [Finding(Reason.ANOMALY, Weight.HOLDS)]
