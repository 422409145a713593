"""Rows of supply between messages and the domain."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from sonic.withdrawals.v1 import withdrawals_pb2 as pb

from services.withdrawals.assets.mapping import amount_of
from services.withdrawals.gains.domain.flows import FlowKind
from services.withdrawals.supply.domain.rows import SCALE, FlowFilter, FlowRow, ReferenceRow
from services.withdrawals.supply.service.sync import SyncProgress
from shared.codec import fill, from_timestamp, number
from shared.errors import invalid

_MOST_RATE = 1e12
_KINDS = {
    pb.FLOW_KIND_DEPOSIT: FlowKind.DEPOSIT,
    pb.FLOW_KIND_WITHDRAWAL: FlowKind.WITHDRAWAL,
}


def flow_message(row: FlowRow) -> pb.Flow:
    receipts = row.receipt_units
    return fill(
        pb.Flow,
        row,
        units=f"{row.units:f}",
        receipt_units="" if receipts is None else f"{receipts:f}",
    )


def new_flow(message: pb.Flow) -> FlowRow:
    """INVALID_FIELD, NOT_FINITE, BAD_TIME."""
    kind = _KINDS.get(message.kind)
    if kind is None:
        raise invalid("flow.kind", "a deposit or a withdrawal")
    moment = from_timestamp(message, "flow_time")
    if moment is None:
        raise invalid("flow.flow_time", "is missing")
    receipts = message.receipt_units
    return FlowRow(
        asset=message.asset,
        wallet=message.wallet,
        market=message.market,
        tx_id=message.tx_id.strip(),
        kind=kind,
        units=_amount(message.units, "flow.units"),
        flow_time=moment,
        note=message.note,
        receipt_units=_amount(receipts, "flow.receipt_units") if receipts else None,
        exchange_rate=_rate(message),
    )


def _rate(message: pb.Flow) -> float | None:
    found = number(message, "exchange_rate")
    if found is not None and not 0 < found <= _MOST_RATE:
        raise invalid("flow.exchange_rate", "above 0, to 10^12")
    return found


def _amount(text: str, field: str) -> Decimal:
    found = amount_of(text, field)
    SCALE.smallest(found, field)
    if found <= 0:
        raise invalid(field, "above 0")
    return found


def flow_filter(request: pb.ListFlowsRequest) -> FlowFilter:
    return FlowFilter(
        request.asset,
        request.wallet,
        _KINDS.get(request.kind),
        from_timestamp(request, "start_time"),
        from_timestamp(request, "end_time"),
    )


def reference_message(row: ReferenceRow) -> pb.Reference:
    return fill(pb.Reference, row)


def new_reference(message: pb.Reference) -> Callable[[datetime], ReferenceRow]:
    """At its time, else now. BAD_TIME."""
    moment = from_timestamp(message, "reference_time")
    return lambda now: ReferenceRow(
        message.asset, message.wallet, moment or now, message.tx_id, message.note, message.actor
    )


def progress_message(progress: SyncProgress) -> pb.SyncProgress:
    return fill(pb.SyncProgress, progress)
