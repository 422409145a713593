"""Rows of a file of positions: what is taken of them, and whether it can be beside what is there:
the market, the clock, the positions already known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from services.positions.domain.position import MANUAL
from services.positions.domain.venue_answer import Side, Status
from services.positions.enrichment.domain.enrichment import MarketPrice
from services.positions.positions.domain import market_price_usd, price_problems

Format = Literal["CSV", "JSON"]


@dataclass(frozen=True, slots=True)
class ManualTerms:
    """A position as entered by hand: prices in USD per unit > 0, size > 0 and collateral >= 0 in
    USD.

    `id` None = to be made; `line` is the CSV's (the header is 1) or the place in the JSON list
    (from 1). `status` and `mark_time` None = the file does not say.
    """

    id: str | None
    wallet: str
    asset: str
    side: Side
    entry_price_usd: float
    liquidation_price_usd: float | None
    mark_price_usd: float | None
    size_usd: float
    collateral_usd: float
    note: str
    line: int
    status: Status | None = None
    mark_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class RefusedTerms:
    """A row that was not taken: where, which field, an upper-case word, what to do; no value."""

    line: int
    field: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a file holds."""

    rows: tuple[ManualTerms, ...]
    refusals: tuple[RefusedTerms, ...]


def against_what_is_there(
    rows: Sequence[ManualTerms],
    market: Mapping[str, MarketPrice],
    known: Mapping[str, tuple[str, Status]],
    now: datetime,
) -> tuple[list[ManualTerms], list[RefusedTerms]]:
    """Rows that can be taken, each with its status, and those that cannot.

    `market`: prices by asset. `known`: venue and status of the positions that have a row's id. A
    row without a status is ACTIVE, or stays INACTIVE when it was set aside.
    """
    taken: list[ManualTerms] = []
    refused: list[RefusedTerms] = []
    for row in rows:
        venue, status = known.get(row.id or "", (MANUAL, Status.ACTIVE))
        if problem := _problem(row, market.get(row.asset), venue, now):
            refused.append(RefusedTerms(row.line, *problem))
        else:
            kept = Status.INACTIVE if status is Status.INACTIVE else Status.ACTIVE
            taken.append(replace(row, status=row.status or kept))
    return taken, refused


def _problem(
    row: ManualTerms, market: MarketPrice | None, venue: str, now: datetime
) -> tuple[str, str, str] | None:
    """Field, reason and words; None when nothing is wrong."""
    if venue != MANUAL:
        return (
            "id",
            "NOT_BY_HAND",
            f"A position of {venue} has this id; it is not changed by a file.",
        )
    if row.mark_time is not None and row.mark_time > now:
        return ("mark_time", "IN_THE_FUTURE", "Must not be later than now.")
    prices = {"entry_price_usd": row.entry_price_usd, "mark_price_usd": row.mark_price_usd}
    for field, words in price_problems(prices, market_price_usd(market)).items():
        return (field, "IMPLAUSIBLE", f"Is {words}.")
    return None
