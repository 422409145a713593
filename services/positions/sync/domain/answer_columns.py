"""Answers of venues as columns: what sync compares and stores."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from services.positions.domain.venue_answer import NUMBERS, Answer, Holding, Side, VenueTerms
from services.positions.enrichment.domain.metrics import bits_of

T = TypeVar("T")
SIDES: Final = (Side.LONG, Side.SHORT)
TERMS: Final = ("maintenance_ratio", "hourly_carry_usd")


@dataclass(frozen=True, slots=True)
class AnswerColumns:
    """Rows of one or more answers, each id once; NaN = the venue did not say.

    `columns`: `place` (of the row's answer), `asset` (an index into asset_names), side, one_way,
    shares_collateral, flag_bits, NUMBERS.
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


def answered(answer: Answer) -> AnswerColumns:
    """The rows of one answer; a row that stands twice in it counts once, the first."""
    rows = _once_each(answer.holdings)
    assets, asset = _numbered(map(attrgetter("asset"), rows))
    flags, flag = _numbered(map(attrgetter("flags"), rows))
    ids, terms = list(map(attrgetter("position_id"), rows)), list(map(attrgetter("terms"), rows))
    refused = {
        name
        for one in answer.refusals
        if one.position_id is not None
        for name in (one.position_id, *(of_side(one.position_id, side) for side in SIDES))
    }
    return AnswerColumns(
        ids,
        tuple(assets),
        {
            "place": np.zeros(len(rows), np.int32),
            "asset": asset,
            "side": np.fromiter(map(attrgetter("side"), rows), np.int16, len(rows)),
            "one_way": np.fromiter(map(attrgetter("one_way"), rows), np.bool_, len(rows)),
            "shares_collateral": np.fromiter(
                map(attrgetter("shares_collateral"), rows), np.bool_, len(rows)
            ),
            "flag_bits": np.array([bits_of(one) for one in flags], np.int64)[flag],
            **{name: _figures(rows, name) for name in NUMBERS},
            **{name: _figures(terms, name) for name in TERMS},
        },
        terms,
        (answer.observed_time,),
        (is_complete(answer),),
        (frozenset(refused.difference(ids) if refused else refused),),
    )


def of_side(position_id: str, side: int) -> str:
    """The id of a one-way venue's position on the other side than the first one of this id."""
    return f"{position_id}-{Side(side).name.lower()}"


def joined(parts: Sequence[AnswerColumns]) -> AnswerColumns:
    """Several answers as one, in their order; they name no position twice between them."""
    if len(parts) == 1:
        return parts[0]
    names, asset = _numbered(chain.from_iterable(part.asset_names for part in parts))
    starts = np.cumsum([0, *(len(part.asset_names) for part in parts)])
    columns = {
        name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns
    } | {
        "place": np.repeat(
            np.arange(len(parts), dtype=np.int32), [len(part.ids) for part in parts]
        ),
        "asset": np.concatenate(
            [
                asset[part.columns["asset"] + start]
                for part, start in zip(parts, starts, strict=False)
            ]
        ),
    }
    return AnswerColumns(
        [one for part in parts for one in part.ids],
        tuple(names),
        columns,
        [one for part in parts for one in part.terms],
        tuple(one for part in parts for one in part.observed_times),
        tuple(one for part in parts for one in part.complete),
        tuple(one for part in parts for one in part.refused_ids),
    )


def overlap(parts: Sequence[AnswerColumns]) -> bool:
    """Whether two of these answers name the same position: the same account under two wallets."""
    return len(set().union(*(part.ids for part in parts))) < sum(len(part.ids) for part in parts)


def _figures(rows: Sequence[object], name: str) -> NDArray[np.float64]:
    """One attribute of every row; None becomes NaN."""
    values = map(attrgetter(name), rows)
    try:
        return np.fromiter(values, np.float64, len(rows))
    except TypeError:
        return np.array(list(map(attrgetter(name), rows)), np.float64)


def _numbered(values: Iterable[T]) -> tuple[Sequence[T], NDArray[np.int32]]:
    """The different values, and for each value which of them it is."""
    listed = list(values)
    numbers = {value: number for number, value in enumerate(dict.fromkeys(listed))}
    return list(numbers), np.fromiter(map(numbers.__getitem__, listed), np.int32, len(listed))


def _once_each(holdings: Sequence[Holding]) -> Sequence[Holding]:
    if len({holding.position_id for holding in holdings}) == len(holdings):
        return holdings
    first: dict[str, Holding] = {}
    for holding in holdings:
        first.setdefault(holding.position_id, holding)
    return list(first.values())
