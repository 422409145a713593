"""Decisions between messages and the domain."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from sonic.withdrawals.v1 import withdrawals_pb2 as pb

from services.withdrawals.decisions.domain.explain import Explained
from services.withdrawals.decisions.domain.history import DecisionFilter, Timetable
from services.withdrawals.decisions.domain.record import DecisionRecord, WalletRecord
from services.withdrawals.gate.domain.gate import GateResult
from services.withdrawals.prices.domain import PriceComparison
from shared.codec import fill, from_timestamp

_VALUES = {
    1: pb.DECISION_VALUE_WITHDRAW_OK,
    0: pb.DECISION_VALUE_HOLD,
    -1: pb.DECISION_VALUE_ERROR,
}
_NUMBERS = {value: number for number, value in _VALUES.items()}
_WALLET_AMOUNTS = (
    *("allowance_units", "gain_units", "gain_by_flows_units", "base_units", "last_units"),
    *("taken_units", "pending_deposit_units", "pending_withdrawal_units", "venue_yield_units"),
)


def decision_message(record: DecisionRecord) -> pb.Decision:
    return fill(
        pb.Decision,
        record,
        value=_VALUES[record.value],
        ref_mode=pb.RefMode.Value(f"REF_MODE_{record.ref_mode.upper()}"),
        allowance_units=_words(record.allowance_units),
        gain_units=_words(record.gain_units),
        wallets=map(_wallet_message, record.wallets),
        gate=gate_message(record.gate),
        prices=_prices_message(record.prices),
    )


def _wallet_message(wallet: WalletRecord) -> pb.WalletAllowance:
    amounts = {name: _words(getattr(wallet, name)) for name in _WALLET_AMOUNTS}
    return fill(pb.WalletAllowance, wallet, **amounts)


def gate_message(gate: GateResult | None) -> pb.GateResult:
    """None: the gate is off."""
    if gate is None:
        return pb.GateResult(state=pb.GATE_STATE_OFF)
    return fill(pb.GateResult, gate)


def _prices_message(prices: PriceComparison) -> pb.PriceComparison:
    quotes = [fill(pb.PriceQuote, quote) for quote in prices.quotes]
    return fill(pb.PriceComparison, prices, quotes=quotes, mismatch=prices.is_mismatch)


def _words(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount:f}"


def explanation_message(explained: Explained) -> pb.Explanation:
    return fill(pb.Explanation, explained, decision=decision_message(explained.record))


def decision_filter(request: pb.ListDecisionsRequest) -> DecisionFilter:
    return DecisionFilter(
        request.asset,
        _NUMBERS.get(request.value),
        from_timestamp(request, "start_time"),
        from_timestamp(request, "end_time"),
    )


def schedule_message(timetable: Timetable) -> pb.Schedule:
    return fill(
        pb.Schedule,
        timetable,
        interval=timedelta(seconds=timetable.interval_seconds),
        etag=str(timetable.revision),
    )
