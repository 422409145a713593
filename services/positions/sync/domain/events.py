"""What an answer says has happened to positions. Pure, over columns.

By differences of what is held alone: a fill in parts and one in whole look alike.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from math import isnan
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.positions.domain.venue_answer import ForcedKind, ForcedTrade, Side
from services.positions.sync.domain.answer_columns import AnswerColumns, of_side
from services.positions.sync.domain.sync_rows import Decision, Reason, Stored

# Venues round sizes by their entry prices: less than this of the size is no trade.
SAME_SIZE_RATIO: Final = 0.001
# Of the units of a position: what its trades took is exact, its size is rounded by prices.
_WHOLE_RATIO: Final = 1e-6
# What is listed no more, is shown and is listed no more again, is told once in so long.
DELISTED_APART: Final = timedelta(days=1)
# A venue's clock and ours.
APART: Final = timedelta(seconds=5)


class EventKind(IntEnum):
    """Numbers of the wire."""

    FIRST_LOOK = 1  # a wallet was read at a venue for the first time: all of it together
    OPENED = 2
    GREW = 3
    SHRANK = 4
    CLOSED = 5
    LIQUIDATED = 6
    LIQUIDATED_IN_PART = 7
    # Whole when it has no size after, else in part.
    AUTO_DELEVERAGED = 8
    DELISTED = 9  # its venue lists its market no more and does not show it: it stays STALE


_KINDS: Final = {int(kind): kind for kind in EventKind}


@dataclass(frozen=True, slots=True)
class Happening:
    """An event before it has a number. `place`: of its answer; sizes in USD, None: none."""

    place: int
    kind: EventKind
    position_id: str
    asset: str
    side: int
    size_before_usd: float | None = None
    size_after_usd: float | None = None
    position_count: int = 1


@dataclass(frozen=True, slots=True)
class PositionEvent:
    """Something that happened to a position, or to all of a wallet that was not known before."""

    sequence: int
    event_time: datetime
    kind: int
    position_id: str
    wallet: str
    venue: str
    asset: str
    side: int
    size_before_usd: float | None
    size_after_usd: float | None
    position_count: int
    cycle_id: str


def of_held(
    decision: Decision,
    stored: Stored,
    rows: AnswerColumns,
    at: NDArray[np.int64],
    told: NDArray[np.bool_],
) -> list[Happening]:
    """What became of the rows of the answers; `at`: see `matched`, `told`: by answer."""
    held, size = decision.held, rows.columns["size_usd"]
    before = stored.columns["size_usd"]
    before = before[at] if len(before) else np.full(len(at), np.nan)
    opened = (held == Reason.OPENED) | (held == Reason.REOPENED)
    same_life = (held == Reason.CHANGED) | (held == Reason.RETURNED)
    with np.errstate(all="ignore"):
        grew = same_life & (size > before * (1 + SAME_SIZE_RATIO))
        shrank = same_life & (size < before * (1 - SAME_SIZE_RATIO))
    kinds = np.select(
        [opened, grew, shrank], [EventKind.OPENED, EventKind.GREW, EventKind.SHRANK], 0
    )
    kinds[~told[rows.columns["place"]]] = 0
    happened = np.flatnonzero(kinds)
    # By columns: the first look at a new wallet may be at a hundred thousand of them.
    return list(
        map(
            Happening,
            rows.columns["place"][happened].tolist(),
            map(_KINDS.__getitem__, kinds[happened].tolist()),
            map(rows.ids.__getitem__, happened.tolist()),
            map(rows.asset_names.__getitem__, rows.columns["asset"][happened].tolist()),
            rows.columns["side"][happened].tolist(),
            _known(np.where(opened, np.nan, before)[happened]),
            _known(size[happened]),
        )
    )


def of_gone(
    decision: Decision,
    stored: Stored,
    ids: Mapping[int, str],
    assets: Mapping[int, str],
    told: NDArray[np.bool_],
    untold: Collection[int] = (),
) -> list[Happening]:
    """The positions that are over by these answers, or listed no more. `ids`, `assets`: names by
    key; `untold`: keys of what is listed no more and was not told.
    """
    columns: Mapping[str, NDArray[Any]] = stored.columns
    delisted = listed_no_more(decision)
    if delisted.any():
        delisted &= np.isin(columns["position_key"], list(untold))
    over = (decision.stored == Reason.MISSING_TWICE) | (decision.stored == Reason.TURNED)
    return [
        Happening(
            int(columns["place"][row]),
            EventKind.DELISTED if delisted[row] else EventKind.CLOSED,
            ids.get(int(columns["position_key"][row]), ""),
            assets.get(int(columns["asset"][row]), ""),
            int(columns["side"][row]),
            known(columns["size_usd"][row]),
        )
        for row in np.flatnonzero(over | delisted).tolist()
        if told[columns["place"][row]]
    ]


def listed_no_more(decision: Decision) -> NDArray[np.bool_]:
    """By stored row, whether it is of a part that its venue lists no more, since now or before."""
    stored = decision.stored
    lost: NDArray[np.bool_] = (stored == Reason.DELISTED) | (stored == Reason.STILL_DELISTED)
    return lost


def in_part(shrunk: Sequence[Happening], trades: Sequence[ForcedTrade]) -> list[Happening]:
    """Of what shrank that of which the venue itself took the part, as its trades say."""
    found = []
    for one in shrunk:
        kinds = {
            trade.kind
            for trade in trades
            if one.position_id in (trade.position_id, of_side(trade.position_id, one.side))
            and trade.side in (Side.UNKNOWN, one.side)
        }
        if kinds:
            is_liquidated = ForcedKind.LIQUIDATED in kinds
            found.append(
                replace(
                    one,
                    place=0,
                    kind=EventKind.LIQUIDATED_IN_PART
                    if is_liquidated
                    else EventKind.AUTO_DELEVERAGED,
                )
            )
    return found


@dataclass(frozen=True, slots=True)
class LastHeld:
    """A position that one answer lacked: units of its asset when it was seen last, and when."""

    units: float
    seen_time: datetime


def ended_by(
    trades: Sequence[ForcedTrade], missed_once: Mapping[str, LastHeld]
) -> list[ForcedTrade]:
    """The last trades of positions that surely ended by them. `missed_once`: by id, those that were
    missing in one answer alone.

    A trade that took a part looks like one that took the rest where the venue does not say what it
    left, and one answer may be wrongly empty: then the trades since it was held must add up to all
    of it, or a second answer must lack it too.
    """
    return [
        one
        for one in trades
        if one.is_last and (one.units is None or _took_all(one, trades, missed_once))
    ]


def _took_all(
    last: ForcedTrade, trades: Sequence[ForcedTrade], missed_once: Mapping[str, LastHeld]
) -> bool:
    names = (last.position_id, *(of_side(last.position_id, side) for side in (1, 2)))
    held = next((missed_once[name] for name in names if name in missed_once), None)
    if held is None:
        return True
    taken = sum(
        one.units or 0.0
        for one in trades
        if (one.position_id, one.side) == (last.position_id, last.side)
        and one.trade_time >= held.seen_time - APART
    )
    return abs(taken - held.units) <= _WHOLE_RATIO * held.units


def summed(happenings: Sequence[Happening], first_places: frozenset[int]) -> list[Happening]:
    """Of an answer that is the first of its wallet there all that it holds is one event."""
    left = [one for one in happenings if one.place not in first_places]
    firsts = []
    for place in sorted(first_places):
        found = [one for one in happenings if one.place == place]
        if found:
            size = sum(one.size_after_usd or 0.0 for one in found)
            firsts.append(
                Happening(place, EventKind.FIRST_LOOK, "", "", Side.UNKNOWN, None, size, len(found))
            )
    return firsts + left


def _known(numbers: NDArray[np.float64]) -> list[float | None]:
    return [None if isnan(number) else number for number in numbers.tolist()]


def known(number: float) -> float | None:
    """None for what is absent."""
    return None if np.isnan(number) else float(number)
