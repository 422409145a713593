"""Answers of venues as columns: what sync compares and stores. No row of them is an object any more."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.positions.domain.holding import Answer, Holding, VenueTerms
from services.positions.domain.risk import bits_of

NUMBERS: Final = (
    "entry_price_usd",
    "liquidation_price_usd",
    "own_liquidation_price_usd",
    "mark_price_usd",
    "size_usd",
    "collateral_usd",
    "pnl_after_fees_usd",
    "venue_value_usd",
    "open_fee_usd",
    "close_fee_usd",
    "borrow_fee_usd",
)
TERMS: Final = ("maintenance_ratio", "hourly_carry_usd")


@dataclass(frozen=True, slots=True)
class Answered:
    """Rows of one or more answers, each id once; NaN = the venue did not say.

    `columns`: `place` (of the row's answer), `asset` (an index into asset_names), side, flag_bits, NUMBERS.
    `terms`: what the venue asks, by row; their numbers stand in `columns` too. The rest: by answer.
    """

    ids: Sequence[str]
    asset_names: Sequence[str]
    columns: dict[str, NDArray[Any]]
    terms: Sequence[VenueTerms]
    observed_times: tuple[datetime, ...]
    complete: tuple[bool, ...]
    refused_ids: tuple[frozenset[str], ...]


def is_complete(answer: Answer) -> bool:
    """Whether the answer may age positions: whole, as many rows as it says, none refused."""
    return answer.complete and not answer.refusals


def answered(answers: Sequence[Answer]) -> Answered:
    """Answers that name no position twice between them; a row twice in one answer counts once, the first."""
    held = [_once_each(answer.holdings) for answer in answers]
    rows = list(chain.from_iterable(held))
    names: dict[str, int] = {}
    flags = {one: bits_of(one) for one in {row.flags for row in rows}}
    columns: dict[str, NDArray[Any]] = {
        "place": np.repeat(np.arange(len(held), dtype=np.int32), [len(part) for part in held]),
        "asset": np.array([names.setdefault(row.asset, len(names)) for row in rows], np.int32),
        "side": np.array([row.side for row in rows], np.int16),
        "flag_bits": np.array([flags[row.flags] for row in rows], np.int64),
    }
    for name in NUMBERS:
        # None becomes NaN.
        columns[name] = np.array([getattr(row, name) for row in rows], np.float64)
    terms = [row.terms for row in rows]
    for name in TERMS:
        columns[name] = np.array([getattr(one, name) for one in terms], np.float64)
    return Answered(
        [row.position_id for row in rows],
        tuple(names),
        columns,
        terms,
        tuple(answer.observed_time for answer in answers),
        tuple(map(is_complete, answers)),
        tuple(_refused(answer, part) for answer, part in zip(answers, held, strict=True)),
    )


def overlap(answers: Sequence[Answer]) -> bool:
    """Whether two of these answers name the same position: the same account under two wallets."""
    ids = [{row.position_id for row in answer.holdings} for answer in answers]
    return len(set().union(*ids)) < sum(map(len, ids))


def _once_each(holdings: Iterable[Holding]) -> list[Holding]:
    first: dict[str, Holding] = {}
    for holding in holdings:
        first.setdefault(holding.position_id, holding)
    return list(first.values())


def _refused(answer: Answer, held: Sequence[Holding]) -> frozenset[str]:
    refused = {one.position_id for one in answer.refusals if one.position_id is not None}
    return frozenset(refused - {row.position_id for row in held} if refused else refused)
