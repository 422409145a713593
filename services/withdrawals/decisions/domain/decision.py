"""The decision on one asset: may something be withdrawn now, how much, and every reason."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from services.withdrawals.decisions.domain.allowance import (
    Allowance,
    HoldingAllowance,
    KnownLimits,
    allowance_of,
    total_units,
)
from services.withdrawals.decisions.domain.findings import (
    asset_findings,
    gain_findings,
    limit_findings,
)
from services.withdrawals.decisions.domain.inputs import (
    Circumstances,
    DecisionRules,
    MarketTerms,
)
from services.withdrawals.decisions.domain.reasons import (
    Finding,
    Reason,
    Verdict,
    Weight,
    in_order,
    verdict_of,
)
from services.withdrawals.gains.domain.evaluation import AssetGains, HoldingGain
from services.withdrawals.gains.domain.exact import EXACT


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision with what it was made of. Tokens and USD; None is not known, never 0.

    `total_units` is None where a holding's allowance is not known. `value_at_reference_usd` is the
    base's units at the base's price; gains and `value_usd` are at `price_usd`.
    """

    asset: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    allowances: tuple[HoldingAllowance, ...]
    total_units: Decimal | None
    total_usd: Decimal | None
    price_usd: Decimal | None
    aggregate_gain_units: Decimal | None
    gain_usd: Decimal | None
    price_profit_usd: Decimal | None
    value_at_reference_usd: Decimal | None
    value_usd: Decimal | None
    gains: AssetGains
    rules: DecisionRules
    circumstances: Circumstances

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Every reason once, in their order, those that are only shown too."""
        return tuple(dict.fromkeys(one.reason for one in self.findings))

    @property
    def holding_reasons(self) -> tuple[Reason, ...]:
        """Those that hold or fail the decision; empty exactly for WITHDRAW_OK."""
        heavy = (one.reason for one in self.findings if one.weight > Weight.SHOWN)
        return tuple(dict.fromkeys(heavy))


def decide(
    asset: str, gains: AssetGains, rules: DecisionRules, circumstances: Circumstances
) -> Decision:
    """WITHDRAW_OK where a holding has something to withdraw and nothing holds or fails."""
    price = _price(gains, circumstances)
    failed = {failure.holding for failure in circumstances.failures}
    # Of one that failed no limit is known, whatever its gain.
    allowances = [
        HoldingAllowance(gain.holding)
        if gain.holding in failed
        else _allowed(gain, rules, circumstances, price)
        for gain in gains.holdings
    ] + [
        HoldingAllowance(holding)
        for holding in sorted(failed - {gain.holding for gain in gains.holdings})
    ]
    nothing_open = not any(one.is_open for one in allowances)
    findings = gain_findings(gains, nothing_open)
    findings += limit_findings(gains, allowances, rules, circumstances, nothing_open)
    liquidity = {
        market: terms.liquidity_units
        for market, terms in circumstances.markets.items()
        if terms.liquidity_units is not None
    }
    total = total_units(allowances, liquidity) if allowances else None
    findings += asset_findings(gains, rules, circumstances, price, allowances, total)
    ordered = in_order(findings)
    return Decision(
        asset,
        verdict_of(ordered),
        ordered,
        tuple(allowances),
        total,
        _usd(total, price),
        price,
        gains.aggregate_gain_units,
        _usd(gains.aggregate_gain_units, price),
        _sum([one.price_profit_usd(price) for one in gains.holdings if one.is_known]),
        _sum([_usd(one.base_units, one.base_price_usd) for one in gains.holdings if one.is_known]),
        _sum([_usd(one.position_units, price) for one in gains.holdings if one.is_known]),
        gains,
        rules,
        circumstances,
    )


def _price(gains: AssetGains, circumstances: Circumstances) -> Decimal | None:
    since, time = circumstances.sample_price_since, gains.snapshot_time
    if circumstances.price_usd is not None:
        return circumstances.price_usd
    return None if since is not None and time is not None and time < since else gains.price_usd


def _allowed(
    gain: HoldingGain,
    rules: DecisionRules,
    circumstances: Circumstances,
    price: Decimal | None,
) -> HoldingAllowance:
    if gain.gain_units is None or gain.position_units is None:
        return HoldingAllowance(gain.holding)
    terms = circumstances.markets.get(gain.holding.market, MarketTerms())
    allowance = allowance_of(
        gain.gain_units,
        gain.sums.taken_units,
        gain.position_units,
        gain.sums.pending_withdrawal_units,
        KnownLimits(
            circumstances.collateral_units.get(gain.holding),
            terms.liquidity_units,
            terms.venue_cap_units,
            rules.cap_units,
        ),
        safety_factor=rules.safety_factor,
        taken_rule=rules.taken,
        scale=rules.scale,
    )
    usd = _usd(allowance.units, price)
    return HoldingAllowance(gain.holding, allowance, usd, _is_open(allowance, terms, rules))


def _is_open(allowance: Allowance, terms: MarketTerms, rules: DecisionRules) -> bool:
    is_enough = allowance.units >= (terms.minimum_units or 0)
    return not terms.closed and is_enough and allowance.units > (rules.fee_units or 0)


def _usd(units: Decimal | None, price: Decimal | None) -> Decimal | None:
    return None if units is None or price is None else EXACT.multiply(units, price)


def _sum(amounts: list[Decimal | None]) -> Decimal | None:
    """The sum of what is known; None where nothing is, or a part is not."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if known and len(known) == len(amounts) else None
