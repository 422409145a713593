"""A decision as it is kept: with what it rests on, in plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from services.withdrawals.assets.domain.settings import AssetSettings
from services.withdrawals.decisions.domain.allowance import HoldingAllowance
from services.withdrawals.decisions.domain.decision import Decision
from services.withdrawals.decisions.domain.decision_text import decision_line
from services.withdrawals.decisions.domain.findings import fault_text
from services.withdrawals.decisions.domain.reasons import Weight
from services.withdrawals.gains.domain.evaluation import HoldingGain
from services.withdrawals.gains.domain.references import NO_REFERENCE, Reference
from services.withdrawals.gate.domain.gate import GateResult
from services.withdrawals.prices.domain import PriceComparison

_REMARKS = 20


NOT_COMPARED = PriceComparison((), None, None, is_mismatch=False, mismatch_count=0, holds=False)


@dataclass(frozen=True, slots=True)
class FindingRecord:
    """A reason with what stands behind it; `heavy`: it holds or fails the decision."""

    reason: str
    heavy: bool
    wallet: str
    detail: str


@dataclass(frozen=True, slots=True)
class WalletRecord:
    """What one wallet may take in one market; tokens, None is not known."""

    wallet: str
    market: str
    allowance_units: Decimal | None = None
    allowance_usd: float | None = None
    binding: tuple[str, ...] = ()
    gain_units: Decimal | None = None
    gain_by_flows_units: Decimal | None = None
    base_time: datetime | None = None
    base_units: Decimal | None = None
    last_time: datetime | None = None
    last_units: Decimal | None = None
    taken_units: Decimal | None = None
    pending_deposit_units: Decimal | None = None
    pending_withdrawal_units: Decimal | None = None
    reasons: tuple[str, ...] = ()
    error: str = ""
    venue_yield_units: Decimal | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One advice about an asset. `value`: 1 WITHDRAW_OK, 0 HOLD, -1 ERROR. `key` 0: not kept."""

    asset: str
    value: int
    summary: str
    evaluated_time: datetime
    settings: AssetSettings
    alternate_name: str = ""
    reasons: tuple[str, ...] = ()
    reference_time: datetime | None = None
    ref_mode: str = "none"
    allowance_units: Decimal | None = None
    allowance_usd: float | None = None
    gain_units: Decimal | None = None
    gain_usd: float | None = None
    price_profit_usd: float | None = None
    price_usd: float | None = None
    base_value_usd: float | None = None
    last_value_usd: float | None = None
    last_time: datetime | None = None
    wallets: tuple[WalletRecord, ...] = ()
    # None: the gate is off, or the asset is not gated.
    gate: GateResult | None = None
    prices: PriceComparison = NOT_COMPARED
    findings: tuple[FindingRecord, ...] = ()
    demo: bool = False
    cycle_id: str = ""
    key: int = 0
    # Rises with every decision written, also with one written again; 0: not kept.
    revision: int = 0
    # When the same was concluded first; None: now.
    since_time: datetime | None = None
    # As last judged: without a price it is not known to be found again.
    is_off_peg: bool = False
    # When the price was true by which the peg was last judged; None: it never was.
    peg_time: datetime | None = None
    # Why nothing is advised any more, and nothing known of the peg; empty: it is judged.
    over_reason: str = ""

    @property
    def id(self) -> str:
        return f"decision-{self.key}" if self.key else ""

    @property
    def fresh_until_time(self) -> datetime:
        """Afterwards it is not to be followed: judged now, its samples would be too old."""
        return self.evaluated_time + self.settings.sample_age_limit

    @property
    def peg_lost_time(self) -> datetime | None:
        """When the price was true by which the peg is lost: none before it finds it again. None: it
        is not lost.
        """
        return (self.peg_time or self.evaluated_time) if self.is_off_peg else None

    def is_stale(self, now: datetime) -> bool:
        """Whether it was not judged again for so long."""
        return now > self.fresh_until_time

    def continues(self, before: DecisionRecord | None) -> bool:
        """Whether it says what the one before said: the same advice, reasons, cents and peg."""
        return before is not None and _said(before) == _said(self)

    def after(self, before: DecisionRecord | None) -> DecisionRecord:
        """With how the peg stands."""
        if before is not None and self.price_usd is None:
            return replace(self, is_off_peg=before.is_off_peg, peg_time=before.peg_time)
        return replace(self, is_off_peg="DEPEG" in self.reasons)


def recorded(
    decision: Decision,
    settings: AssetSettings,
    gate: GateResult | None,
    prices: PriceComparison,
    *,
    demo: bool,
    cycle_id: str,
) -> DecisionRecord:
    """The decision as it is kept."""
    reference = _newest_reference(decision.gains.holdings)
    as_of = decision.circumstances.as_of
    peg_time = decision.gains.snapshot_time if prices.chosen is None else as_of
    return DecisionRecord(
        asset=decision.asset,
        value=int(decision.verdict),
        summary=decision_line(decision),
        evaluated_time=as_of,
        settings=settings,
        alternate_name=settings.shown_alternate,
        reasons=tuple(map(str, (*decision.holding_reasons, *_shown_only(decision)))),
        reference_time=reference.time,
        ref_mode=str(reference.mode),
        allowance_units=decision.total_units,
        allowance_usd=_float(decision.total_usd),
        gain_units=decision.aggregate_gain_units,
        gain_usd=_float(decision.gain_usd),
        price_profit_usd=_float(decision.price_profit_usd),
        price_usd=_float(decision.price_usd),
        base_value_usd=_float(decision.value_at_reference_usd),
        last_value_usd=_float(decision.value_usd),
        last_time=decision.gains.snapshot_time,
        wallets=_wallets(decision),
        gate=gate,
        prices=prices,
        findings=tuple(
            FindingRecord(
                str(one.reason),
                one.weight > Weight.SHOWN,
                one.holding.wallet if one.holding else "",
                one.detail,
            )
            for one in decision.findings
        ),
        demo=demo,
        cycle_id=cycle_id,
        peg_time=None if decision.price_usd is None else peg_time,
    )


def failed_record(
    settings: AssetSettings, now: datetime, *, demo: bool, cycle_id: str
) -> DecisionRecord:
    """What is kept where a fault of ours stopped the evaluation of an asset."""
    return DecisionRecord(
        asset=settings.name,
        value=-1,
        summary=f"{settings.name}: decision=-1, wmax_usd=unknown [reason: internal error]",
        evaluated_time=now,
        settings=settings,
        alternate_name=settings.shown_alternate,
        reasons=("INTERNAL",),
        findings=(FindingRecord("INTERNAL", True, "", "the log has the incident"),),
        demo=demo,
        cycle_id=cycle_id,
    )


def over_record(before: DecisionRecord, reason: str, now: datetime) -> DecisionRecord:
    """What ends the advice about an asset; `reason`: why, as people read it."""
    return DecisionRecord(
        asset=before.asset,
        value=0,
        summary=f"{before.asset}: decision=0, wmax_usd=unknown [reason: {reason}]",
        evaluated_time=now,
        settings=before.settings,
        alternate_name=before.alternate_name,
        over_reason=reason,
    )


def is_news(before: DecisionRecord | None, after: DecisionRecord) -> bool:
    """Whether people are to hear of it: other advice, a peg lost or found; of the first one only
    what matters.
    """
    if before is None:
        return after.value == 1 or after.is_off_peg
    return before.value != after.value or before.is_off_peg != after.is_off_peg


def _said(record: DecisionRecord) -> tuple[object, ...]:
    amounts = [one.allowance_units is None for one in record.wallets]
    return (
        *(record.value, record.reasons, record.summary, record.demo, record.is_off_peg),
        *(record.reference_time, record.ref_mode, [one.wallet for one in record.wallets], amounts),
    )


def _shown_only(decision: Decision) -> tuple[str, ...]:
    heavy = set(decision.holding_reasons)
    return tuple(reason for reason in decision.reasons if reason not in heavy)


def _newest_reference(holdings: Sequence[HoldingGain]) -> Reference:
    """Of several wallets the latest one: from then on all of them count."""
    found = [(one.reference.time, one.reference) for one in holdings if one.reference.time]
    return max(found, key=lambda one: one[0], default=(None, NO_REFERENCE))[1]


def _wallets(decision: Decision) -> tuple[WalletRecord, ...]:
    gains = {gain.holding: gain for gain in decision.gains.holdings}
    return tuple(_wallet(one, gains.get(one.holding), decision) for one in decision.allowances)


def _wallet(one: HoldingAllowance, gain: HoldingGain | None, decision: Decision) -> WalletRecord:
    mine = [finding for finding in decision.findings if finding.holding == one.holding]
    errors = [finding for finding in mine if finding.weight is Weight.FAILS]
    allowance = one.allowance
    common = WalletRecord(
        wallet=one.holding.wallet,
        market=one.holding.market,
        allowance_units=None if allowance is None else allowance.units,
        allowance_usd=_float(one.units_usd),
        binding=() if allowance is None else tuple(map(str, allowance.binding)),
        reasons=tuple(dict.fromkeys(str(finding.reason) for finding in mine)),
        error="; ".join(finding.detail or str(finding.reason) for finding in errors),
    )
    return common if gain is None else _with_gain(common, gain)


def _with_gain(record: WalletRecord, gain: HoldingGain) -> WalletRecord:
    check = gain.check
    by_flows = None if check is None or check.by_flows is None else check.by_flows.gain_units
    faults = () if check is None else check.faults[:_REMARKS]
    return replace(
        record,
        gain_units=gain.gain_units,
        gain_by_flows_units=by_flows,
        base_time=gain.base_time,
        base_units=gain.base_units,
        last_time=gain.end_time,
        last_units=gain.position_units,
        taken_units=gain.sums.taken_units,
        pending_deposit_units=gain.sums.pending_deposit_units,
        pending_withdrawal_units=gain.sums.pending_withdrawal_units,
        venue_yield_units=gain.venue_yield_units,
        remarks=tuple(map(fault_text, faults)),
    )


def _float(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
