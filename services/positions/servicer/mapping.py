"""Domain values of positions as messages."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from sonic.positions.v1 import positions_pb2 as pb

from services.positions.domain.position import Position
from services.positions.domain.venue_answer import Flag, Side
from services.positions.enrichment.domain.totals import Totals
from services.positions.files.domain.imports import RefusedTerms
from services.positions.files.service.imports import Imported
from services.positions.portfolio.store import Snapshot
from services.positions.positions.service.positions import WhatIf
from services.positions.tables import INPUT_NUMBERS, TOTALS_NUMBERS, TOTALS_OPTIONAL_NUMBERS
from shared.codec import number, put, to_timestamp
from shared.errors import InvalidArgument

E = TypeVar("E", bound=IntEnum)
M = TypeVar("M", bound=Message)

Context = grpc.aio.ServicerContext[Any, Any]

_TERM_NUMBERS = (
    "entry_price_usd",
    "liquidation_price_usd",
    "size_usd",
    "collateral_usd",
    "hourly_volatility_ratio",
)
_RISK_NUMBERS = (
    "market_price_usd",
    "risk_liquidation_price_usd",
    "pnl_usd",
    "value_usd",
    "leverage_ratio",
    "travel_percent",
    "liquidation_distance_usd",
    "liquidation_distance_percent",
    "heat_index",
    "liquidation_probability",
)


def member(kind: type[E], value: int, field: str) -> E:
    """The enum's member of a proto number. Raises INVALID_FIELD for any other, zero included."""
    try:
        return kind(value)
    except ValueError:
        problem = f"one of {', '.join(kind.__members__)}"
        raise InvalidArgument(
            "INVALID_FIELD", f"{field} is {problem}", fields={field: problem}
        ) from None


def flag_numbers(flags: Iterable[Flag]) -> list[pb.Flag.ValueType]:
    """Flags as enum numbers, ascending."""
    return [pb.Flag.ValueType(flag) for flag in sorted(flags)]


def position_message(position: Position) -> pb.Position:
    """A position with the figures of the last pass; without a pass only what is stored."""
    inputs, risk = position.inputs, position.risk
    message = pb.Position(
        id=inputs.id,
        wallet=inputs.wallet,
        venue=inputs.venue,
        asset=inputs.asset,
        side=pb.Side.ValueType(inputs.side),
        status=pb.Status.ValueType(inputs.status),
        first_seen_time=to_timestamp(inputs.first_seen_time),
        last_seen_time=to_timestamp(inputs.last_seen_time),
        mark_time=to_timestamp(inputs.mark_time if risk is None else risk.mark_time),
        updated_time=to_timestamp(inputs.updated_time),
        flags=flag_numbers(inputs.flags if risk is None else risk.flags),
        enriched_time=to_timestamp(None if risk is None else risk.enriched_time),
        note=inputs.note,
    )
    put(message, **{name: getattr(inputs, name) for name in INPUT_NUMBERS})
    if risk is not None:
        message.ClearField("mark_price_usd")
        put(
            message,
            mark_price_usd=risk.mark_price_usd,
            **{name: getattr(risk, name) for name in _RISK_NUMBERS},
        )
    return message


def refusal_message(row: RefusedTerms) -> pb.ImportRefusal:
    """A row of a file that was not taken."""
    return pb.ImportRefusal(line=row.line, field=row.field, reason=row.reason, message=row.message)


def imported_message(done: Imported) -> pb.ImportPositionsResponse:
    """Outcome of an import."""
    return pb.ImportPositionsResponse(
        created_count=done.created_count,
        updated_count=done.updated_count,
        refused_count=done.refused_count,
        refusals=map(refusal_message, done.refusals),
    )


def totals_message(totals: Totals) -> pb.Totals:
    """Totals of the portfolio."""
    message = pb.Totals(
        position_count=totals.position_count,
        stale_count=totals.stale_count,
        **{name: getattr(totals, name) for name in TOTALS_NUMBERS},
        absent_count=totals.absent_count,
        oldest_mark_time=to_timestamp(totals.oldest_mark_time),
        totals_time=to_timestamp(totals.totals_time),
        stale=totals.stale,
    )
    put(message, **{name: getattr(totals, name) for name in TOTALS_OPTIONAL_NUMBERS})
    return message


def snapshot_message(snapshot: Snapshot) -> pb.Snapshot:
    """Totals at a moment."""
    return pb.Snapshot(
        id=snapshot.id,
        snapshot_time=to_timestamp(snapshot.snapshot_time),
        totals=totals_message(snapshot.totals),
        cycle_id=snapshot.cycle_id,
        manual=snapshot.manual,
        note=snapshot.note,
    )


def what_if_terms(position: pb.PositionTerms) -> WhatIf:
    """Terms that a request gives. Raises INVALID_FIELD, NOT_FINITE."""
    return WhatIf(
        member(Side, position.side, "position.side"),
        **{name: number(position, name) for name in _TERM_NUMBERS},
    )
