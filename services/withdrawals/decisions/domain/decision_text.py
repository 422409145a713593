"""A decision as one line, for the command line and for people."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from services.withdrawals.decisions.domain.decision import Decision
from services.withdrawals.decisions.domain.reasons import Reason
from services.withdrawals.gains.domain.exact import EXACT

REASON_TEXTS = {
    Reason.NO_REFERENCE: "no reference",
    Reason.NO_DATA: "no data",
    Reason.NEVER_SEEN: "a wallet that the venue has never seen",
    Reason.STALE_DATA: "stale data",
    Reason.NON_POSITIVE_GAIN: "non-positive gains since t0",
    Reason.CLAMPED: "clamped",
    Reason.AGGREGATE_LOSS: "a loss over all wallets",
    Reason.ANOMALY: "an anomaly: outside the band",
    Reason.NO_OPPORTUNITY: "not above the band",
    Reason.DEPEG: "off its peg",
    Reason.INSUFFICIENT_POINTS: "too few points to judge anomalies",
    Reason.DEGENERATE_SCALE: "no variation to judge anomalies by",
    Reason.PRICE_MISMATCH: "prices of sources apart",
    Reason.PRICE_UNAVAILABLE: "prices not to be compared",
    Reason.UNRESOLVED_ASSET: "asset not found at the venue",
    Reason.LIQUIDITY_LIMIT: "limited by the pool's liquidity",
    Reason.PENDING_FLOW: "a flow is pending",
    Reason.COLLATERAL_LIMIT: "limited by the collateral of a loan",
    Reason.MARKET_FROZEN: "market closed",
    Reason.BELOW_MINIMUM: "below the market's minimum",
    Reason.FEES_EXCEED: "fees exceed the allowance",
    Reason.GAINS_DISAGREE: "gains by samples and by flows disagree",
    Reason.FLOWS_INCOMPLETE: "flows incomplete",
    Reason.ALREADY_TAKEN: "already taken",
    Reason.INTERNAL: "internal error",
}


def decision_line(decision: Decision) -> str:
    """`djed: decision=1, wmax_usd=1234.56 (3 wallets)`; held or failed, `[reason: ...]` after it.

    The amount is cut to cents, never rounded up; `unknown` where a wallet's is not known.
    """
    wallets = len({one.holding.wallet for one in decision.allowances})
    noun = "wallet" if wallets == 1 else "wallets"
    amount = "unknown" if decision.total_usd is None else cents(decision.total_usd)
    line = f"{decision.asset}: decision={int(decision.verdict)}, wmax_usd={amount}"
    texts = reason_texts(decision.holding_reasons)
    held = f" [reason: {'; '.join(texts)}]" if texts else ""
    return f"{line} ({wallets} {noun}){held}"


def reason_texts(reasons: tuple[Reason, ...]) -> list[str]:
    """One phrase a reason; what was clamped for want of a gain says so behind it."""
    is_one = {Reason.NON_POSITIVE_GAIN, Reason.CLAMPED} <= set(reasons)
    texts = []
    for reason in reasons:
        if reason is Reason.NON_POSITIVE_GAIN and is_one:
            texts.append(f"{REASON_TEXTS[reason]} (clamped)")
        elif reason is not Reason.CLAMPED or not is_one:
            texts.append(REASON_TEXTS[reason])
    return texts


def cents(usd: Decimal) -> str:
    """USD with two digits, towards zero."""
    return str(usd.quantize(Decimal("0.01"), ROUND_DOWN, EXACT))
