"""Answers of venues as columns: what sync compares and stores."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.positions.domain.venue_answer import Answer, Side
from services.positions.sync.domain.holding_columns import columns_of, numbered

SIDES: Final = (Side.LONG, Side.SHORT)


@dataclass(frozen=True, slots=True)
class AnswerColumns:
    """Rows of one or more answers, each id once; NaN = the venue did not say.

    `columns`: those of HoldingColumns, and `place` (of the row's answer). The rest: by answer.
    """

    ids: Sequence[str]
    asset_names: Sequence[str]
    columns: dict[str, NDArray[Any]]
    observed_times: tuple[datetime, ...]
    complete: tuple[bool, ...]  # whether it may age the positions that no unread_ids name
    refused_ids: tuple[frozenset[str], ...]
    unread_ids: tuple[tuple[str, ...], ...] = ()
    delisted_ids: tuple[tuple[str, ...], ...] = ()
    apart_ids: tuple[tuple[str, ...], ...] = ()

    @property
    def names_missing(self) -> bool:
        """Whether what is missing has to be looked at by its id."""
        return any(self.refused_ids) or any(self.unread_ids)

    def unread(self, position_id: str, place: int) -> bool:
        """Whether this position is of a part that the answer at this place did not read."""
        return _is_one_of(position_id, self.unread_ids, place)

    def delisted(self, position_id: str, place: int) -> bool:
        """Whether it is of a part that its venue lists no more."""
        return _is_one_of(position_id, self.delisted_ids, place)

    def apart(self, position_id: str, place: int) -> bool:
        """Whether it is of a part that is read as a wallet of its own."""
        return _is_one_of(position_id, self.apart_ids, place)


def _is_one_of(position_id: str, patterns: tuple[tuple[str, ...], ...], place: int) -> bool:
    return any(fnmatchcase(position_id, one) for one in (patterns[place] if patterns else ()))


def is_complete(answer: Answer) -> bool:
    """Whether the answer is whole: as many rows as it says, none refused, no part unread."""
    return answer.complete and not answer.refusals


def answered(answer: Answer) -> AnswerColumns:
    """The rows of one answer; a row that stands twice in it counts once, the first."""
    held = columns_of(answer.holdings)
    refused = {
        name
        for one in answer.refusals
        if one.position_id is not None
        for name in (one.position_id, *(of_side(one.position_id, side) for side in SIDES))
    }
    return AnswerColumns(
        held.ids,
        held.asset_names,
        {"place": np.zeros(len(held), np.int32), **held.columns},
        (answer.observed_time,),
        (is_complete(answer) or bool(answer.unread_ids),),
        (frozenset(refused.difference(held.ids) if refused else refused),),
        (answer.unread_ids,),
        (answer.delisted_ids,),
        (answer.apart_ids,),
    )


def of_side(position_id: str, side: int) -> str:
    """The id of a one-way venue's position on the other side than the first one of this id."""
    return f"{position_id}-{Side(side).name.lower()}"


def joined(parts: Sequence[AnswerColumns]) -> AnswerColumns:
    """Several answers as one, in their order; they name no position twice between them."""
    if len(parts) == 1:
        return parts[0]
    names, asset = numbered(chain.from_iterable(part.asset_names for part in parts))
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
        tuple(one for part in parts for one in part.observed_times),
        tuple(one for part in parts for one in part.complete),
        tuple(one for part in parts for one in part.refused_ids),
        tuple(one for part in parts for one in part.unread_ids),
        tuple(one for part in parts for one in part.delisted_ids),
        tuple(one for part in parts for one in part.apart_ids),
    )


def overlap(parts: Sequence[AnswerColumns]) -> bool:
    """Whether two of these answers name the same position: the same account under two wallets."""
    return len(set().union(*(part.ids for part in parts))) < sum(len(part.ids) for part in parts)
