"""Domain values of positions as messages."""

from collections.abc import Iterable
from dataclasses import fields
from enum import IntEnum
from operator import attrgetter
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from sonic.positions.v1 import positions_pb2 as pb

from services.positions.accounts.domain.account import AccountReading
from services.positions.domain.position import Inputs, Position, Risk
from services.positions.domain.venue_answer import Flag, Side
from services.positions.enrichment.domain.enrichment import micros
from services.positions.enrichment.domain.frozen_marks import FrozenMark
from services.positions.enrichment.domain.totals import Totals
from services.positions.extremes.service import Extremes
from services.positions.files.domain.imports import RefusedTerms
from services.positions.files.service.imports import Imported
from services.positions.portfolio.domain import Snapshot
from services.positions.positions.service.positions import WhatIf
from shared.codec import fill, from_timestamp, read
from shared.errors import invalid
from shared.touch import NO_HISTORY

E = TypeVar("E", bound=IntEnum)
M = TypeVar("M", bound=Message)

Context = grpc.aio.ServicerContext[Any, Any]

_OF_RISK = tuple(field.name for field in fields(Risk))
_figures = attrgetter(*_OF_RISK)


def member(kind: type[E], value: int, field: str) -> E:
    """The enum's member of a proto number. Raises INVALID_FIELD for any other, zero included."""
    try:
        return kind(value)
    except ValueError:
        problem = f"one of {', '.join(kind.__members__)}"
        raise invalid(field, problem, f"{field} is {problem}") from None


def flag_numbers(flags: Iterable[Flag]) -> list[pb.Flag.ValueType]:
    """Flags as enum numbers, ascending."""
    return [pb.Flag.ValueType(flag) for flag in sorted(flags)]


def position_message(position: Position) -> pb.Position:
    """A position with the figures of the last pass; without a pass only what is stored."""
    inputs, figures = position_parts(position)
    return fill(pb.Position, inputs, **figures)


def position_parts(position: Position) -> tuple[Inputs, dict[str, Any]]:
    """What a message of a position is filled with: the inputs, and the figures by name."""
    inputs = position.inputs
    risk = position.risk or Risk(inputs.mark_price_usd, inputs.mark_time, flags=inputs.flags)
    figures: dict[str, Any] = dict(zip(_OF_RISK, _figures(risk), strict=True))
    figures["flags"] = sorted(risk.flags)
    return inputs, figures


def refusal_message(row: RefusedTerms) -> pb.ImportRefusal:
    """A row of a file that was not taken."""
    return fill(pb.ImportRefusal, row)


def imported_message(done: Imported) -> pb.ImportPositionsResponse:
    """Outcome of an import."""
    refusals = map(refusal_message, done.refusals)
    return fill(pb.ImportPositionsResponse, done, refusals=refusals)


def totals_message(totals: Totals) -> pb.Totals:
    """Totals of the portfolio."""
    return fill(pb.Totals, totals, unset=("unwatched",))


def snapshot_message(snapshot: Snapshot) -> pb.Snapshot:
    """Totals at a moment."""
    return fill(pb.Snapshot, snapshot, totals=totals_message(snapshot.totals))


def what_if_terms(position: pb.PositionTerms) -> WhatIf:
    """Terms that a request gives. Raises INVALID_FIELD, NOT_FINITE."""
    side = member(Side, position.side, "position.side")
    return read(WhatIf, position, side=side, moves=NO_HISTORY)


def account_reading_message(account: AccountReading) -> pb.AccountReading:
    """What is judged of an account."""
    source = account.source
    return fill(
        pb.AccountReading,
        account,
        wallet=source.wallet,
        venue=source.venue,
        observed_micros=micros(source.observed_time),
        at_worst=None if account.at_worst is None else fill(pb.AccountAtWorst, account.at_worst),
    )


def frozen_mark(message: pb.FrozenMark) -> FrozenMark:
    return read(FrozenMark, message, since_micros=micros(from_timestamp(message, "since_time")))


def frozen_mark_message(mark: FrozenMark) -> pb.FrozenMark:
    return pb.FrozenMark(
        venue=mark.venue,
        asset=mark.asset,
        mark_price_usd=mark.mark_price_usd,
        since_time=_timestamp(mark.since_micros),
    )


def _timestamp(since_micros: int) -> Timestamp:
    return Timestamp(seconds=since_micros // 10**6, nanos=since_micros % 10**6 * 1000)


def extremes_fields(extremes: Extremes) -> dict[str, Any]:
    """What the first message of columns says of extremes."""
    return {
        "extreme_sources": extremes.sources,
        "extremes_until_micros": extremes.until_micros,
        "unseen": [
            pb.UnseenTime(
                asset=one.asset,
                start_time=_timestamp(one.start_micros),
                end_time=_timestamp(one.end_micros),
                reason=one.reason,
            )
            for one in extremes.unseen
        ],
    }
