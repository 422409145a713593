"""A decision in sentences: each step of the reckoning with its numbers, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from services.withdrawals.decisions.domain.decision_text import REASON_TEXTS
from services.withdrawals.decisions.domain.reasons import Reason
from services.withdrawals.decisions.domain.record import DecisionRecord, WalletRecord

ACTIONS: dict[str, str] = {
    "NO_REFERENCE": "set a reference, or write the keyword into the note of a withdrawal",
    "NO_DATA": "see that the wallet's addresses are right and that the venue answers",
    "NEVER_SEEN": "see that the wallet's addresses are right: sonic withdrawals wallets",
    "STALE_DATA": "wait for a new sample; if none comes, see whether the venue answers",
    "NON_POSITIVE_GAIN": "wait: nothing was gained since the reference",
    "CLAMPED": "wait: a limit is zero or below",
    "AGGREGATE_LOSS": "wait until all wallets together have gained, or switch this hold off",
    "ANOMALY": "look at the last sample: it is unlike those before it; wait for the next ones",
    "NO_OPPORTUNITY": "wait until the value lies above its band, or use another mode",
    "DEPEG": "look at the stablecoin's news before anything else: its price is off 1 USD",
    "INSUFFICIENT_POINTS": "wait for more samples, or import the history",
    "DEGENERATE_SCALE": "wait: the samples do not vary, so nothing can be judged",
    "PRICE_MISMATCH": "compare the prices of the sources yourself",
    "PRICE_UNAVAILABLE": "see which price sources answer",
    "UNRESOLVED_ASSET": "set the alternate name to the market's symbol",
    "LIQUIDITY_LIMIT": "take less, or wait until borrowers repay",
    "PENDING_FLOW": "nothing: the flow shows with the next sample",
    "COLLATERAL_LIMIT": "repay a part of the loan, or take less",
    "MARKET_FROZEN": "wait until the market pays out again; see the venue's notices",
    "BELOW_MINIMUM": "wait until the allowance reaches the market's minimum",
    "FEES_EXCEED": "wait until the allowance is worth its fees",
    "GAINS_DISAGREE": "look at the rows named: one of them is wrong",
    "FLOWS_INCOMPLETE": "run a synchronisation; import what the venue does not tell",
    "ALREADY_TAKEN": "wait for more gain, or set a reference if principal was taken on purpose",
    "INTERNAL": "try again; if it stays, the log has the incident",
}


@dataclass(frozen=True, slots=True)
class Explained:
    """Lines of the reckoning and of what to do."""

    record: DecisionRecord
    lines: list[str]
    actions: list[str]


def explained(record: DecisionRecord, now: datetime) -> Explained:
    """In the order in which it was reckoned; how old it is first, where that matters."""
    actions = [f"{reason}: {ACTIONS[reason]}" for reason in record.reasons]
    lines = [*_lines(record)]
    if record.is_stale(now):
        judged = f"last judged at {record.evaluated_time:%Y-%m-%d %H:%M:%SZ}"
        lines.insert(1, f"STALE: {judged}; judge again before following it")
    return Explained(record, lines, actions)


def _lines(record: DecisionRecord) -> Iterator[str]:
    yield record.summary
    if record.demo:
        yield "DEMO: simulated supply, no money of anybody"
    if record.reference_time is None:
        yield "no reference: gains have no beginning"
    else:
        yield f"gains count from {record.reference_time:%Y-%m-%d %H:%M:%SZ} ({record.ref_mode})"
    for wallet in record.wallets:
        yield from _wallet_lines(wallet, record)
    if record.allowance_units is not None:
        yield f"together: {record.allowance_units:f} tokens, {_usd(record.allowance_usd)}"
    yield from _gate_lines(record)
    yield from _price_lines(record)
    for finding in record.findings:
        weight = "holds" if finding.heavy else "shown"
        text = REASON_TEXTS[Reason(finding.reason)]
        yield f"{finding.reason} ({weight}): {': '.join(filter(None, (text, finding.detail)))}"


def _wallet_lines(wallet: WalletRecord, record: DecisionRecord) -> Iterator[str]:
    name = wallet.wallet
    if wallet.error:
        yield f"{name}: {wallet.error}"
    if wallet.gain_units is None:
        yield f"{name}: the gain is not known"
        return
    yield (
        f"{name}: {_units(wallet.base_units)} at the base, {_units(wallet.last_units)} now,"
        f" gain {_units(wallet.gain_units)}"
    )
    if wallet.gain_by_flows_units is not None:
        yield f"{name}: gain by flows alone {_units(wallet.gain_by_flows_units)}"
    share = f"{record.settings.safety_factor:g} of the gain less {_units(wallet.taken_units)} taken"
    limits = ", ".join(word.lower().replace("_", " ") for word in wallet.binding)
    yield f"{name}: {share}; allowance {_units(wallet.allowance_units)} (limited by {limits})"
    yield from (f"{name}: {remark}" for remark in wallet.remarks)


def _gate_lines(record: DecisionRecord) -> Iterator[str]:
    gate = record.gate
    if gate is None:
        yield "gate: off"
        return
    if gate.state != "EVALUATED":
        yield f"gate: {gate.state.lower().replace('_', ' ')}, {gate.point_count} points before"
        return
    side = (gate.side or "").lower()
    yield (
        f"gate: residual {_number(gate.residual)}, band {_number(gate.low)} to"
        f" {_number(gate.high)}, {side}, {gate.point_count} points before"
    )


def _price_lines(record: DecisionRecord) -> Iterator[str]:
    for quote in record.prices.quotes:
        said = "" if quote.price_usd is None else _usd(quote.price_usd)
        yield f"price of {quote.source}: {'; '.join(filter(None, (said, quote.problem)))}"
    if record.prices.delta_rel is not None:
        yield (
            f"prices differ by {record.prices.delta_rel:.2%},"
            f" {record.prices.mismatch_count} mismatches in a row"
        )


def _units(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:f} tokens"


def _usd(amount: float | None) -> str:
    return "unknown USD" if amount is None else f"{amount:.6g} USD"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.6g}"
