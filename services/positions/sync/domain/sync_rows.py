"""What answers of venues do to the positions of wallets: the complete-answer rule, over columns.

Pure. Nothing removes a position; only a complete answer ages one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.positions.domain.venue_answer import NUMBERS, Flag, Status
from services.positions.enrichment.domain.enrichment import micros, places_of
from services.positions.enrichment.domain.metrics import bit
from services.positions.sync.domain.answer_columns import AnswerColumns, of_side

CLOSING_APART: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row of an answer that was not taken."""

    id: int
    refused_time: datetime
    wallet: str
    venue: str
    reason: str
    field: str
    masked_body: str


class Reason(IntEnum):
    """Why a position is treated as it is."""

    OPENED = 1
    REOPENED = 2  # was CLOSED or LIQUIDATED, and is held again
    RETURNED = 3  # was STALE, refused or out of the last answer
    CHANGED = 4
    UNCHANGED = 5
    REFUSED = 6  # its row was: the last good version stays
    ANSWER_INCOMPLETE = 7  # not in it, or in a part it did not read, which says nothing
    MISSING_ONCE = 8
    MISSING_IN_SAME_CYCLE = 9
    MISSING_TOO_SOON = 10
    MISSING_TWICE = 11
    SET_ASIDE = 12  # INACTIVE by hand: neither aged nor woken
    CONTRADICTED = 13  # its row states another side or asset: the last good version stays
    IMPLAUSIBLE = 14  # its row leapt away from the last good version, which stays
    TURNED = 15  # its venue holds one position a market, and holds one on the other side now
    DELISTED = 16  # of a part that its venue lists no more: STALE from now on
    STILL_DELISTED = 17  # the same, and was STALE before


@dataclass(frozen=True, slots=True)
class Absences:
    """First complete answers that did not hold a position, ascending by position_key."""

    position_key: NDArray[np.int64]
    same_cycle: NDArray[np.bool_]  # it was an answer of the present cycle
    missing_micros: NDArray[np.int64]

    def places(self, position_keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where each key is in here, -1 when it is not."""
        return places_of(position_keys, self.position_key)


@dataclass(frozen=True, slots=True)
class Stored:
    """Positions of the feeds that are not over, and all that the answers name; `place`: of the
    feed's answer, -1 for a feed that did not answer. Columns else as in AnswerColumns, with `asset`
    a key, and status, in_last_answer, position_key. `ids` may be left out
    when no row was refused and no part unread.
    """

    ids: Sequence[str]
    columns: Mapping[str, NDArray[Any]]
    absences: Absences


@dataclass(frozen=True, slots=True)
class Decision:
    """Reason by row of the answers and by stored row (0: held), and what follows of them."""

    held: NDArray[np.int8]
    stored: NDArray[np.int8]
    known_keys: NDArray[np.int64]  # by row of the answers, -1 for a new one
    stale_keys: NDArray[np.int64]
    delisted_keys: NDArray[np.int64]
    closed_keys: NDArray[np.int64]
    refused_keys: NDArray[np.int64]
    unseen_keys: NDArray[np.int64]
    found_keys: NDArray[np.int64]
    regrouped: NDArray[np.bool_]  # by answer
    by_answer: NDArray[np.int64]  # how many positions, by answer and reason

    @property
    def written(self) -> NDArray[np.int64]:
        """Rows of the answers to be stored."""
        return np.flatnonzero(self.held <= Reason.CHANGED)

    def counts(self, *reasons: Reason) -> list[int]:
        """Positions with one of these reasons, by answer."""
        counted = self.by_answer[:, list(reasons)].sum(axis=1)
        return [int(count) for count in counted]


def _by_answer(
    held: NDArray[np.int8],
    gone: NDArray[np.int8],
    place: NDArray[np.int32],
    stored_place: NDArray[np.int32],
    size: int,
) -> NDArray[np.int64]:
    width = max(Reason) + 1
    missing = gone > 0
    cells = np.concatenate([place * width + held, stored_place[missing] * width + gone[missing]])
    return np.bincount(cells, minlength=size * width).reshape(size, width)


def matched(
    held_ids: Sequence[str], stored_ids: Sequence[str], position_keys: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Where each held id is stored, -1 when it is not. Answers mostly keep their order, which is
    that of the keys: that is seen at once.
    """
    order = np.argsort(position_keys, kind="stable")[: len(held_ids)]
    if len(order) == len(held_ids) and held_ids == [stored_ids[place] for place in order.tolist()]:
        return order
    places = dict(zip(stored_ids, range(len(stored_ids)), strict=True))
    return np.fromiter((places.get(one, -1) for one in held_ids), np.int64, len(held_ids))


def under_side_names(
    stored: Stored, answers: AnswerColumns, at: NDArray[np.int64]
) -> AnswerColumns | None:
    """The answers with other ids where a one-way venue holds the other side than is stored under
    the id, or where that row is removed and the side is stored under its own name; None when there
    is none. The first position of a market keeps the plain id.
    """
    if not len(stored.columns["side"]):
        return None
    one_way, side = answers.columns["one_way"], answers.columns["side"]
    turned = one_way & (at >= 0) & (stored.columns["side"][at] != side)
    unknown = np.flatnonzero(one_way & (at < 0)).tolist()
    stored_ids = frozenset(stored.ids) if unknown else frozenset[str]()
    turned[[row for row in unknown if of_side(answers.ids[row], int(side[row])) in stored_ids]] = 1
    if not turned.any():
        return None
    ids = list(answers.ids)
    for row in np.flatnonzero(turned).tolist():
        ids[row] = of_side(ids[row], int(side[row]))
    return replace(answers, ids=ids)


def turned_away(
    stored: Stored, answers: AnswerColumns, plain_ids: Sequence[str], missing: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Stored rows that are over because their market is held on the other side. `plain_ids`: by row
    of the answers, before `under_side_names`.
    """
    over = np.zeros(len(missing), np.bool_)
    one_way = answers.columns["one_way"]
    if not missing.any() or not one_way.any() or not len(stored.ids):
        return over
    held = {
        plain_ids[row]: int(answers.columns["side"][row])
        for row in np.flatnonzero(one_way).tolist()
    }
    for row in np.flatnonzero(missing).tolist():
        name, side = stored.ids[row], int(stored.columns["side"][row])
        plain = name.removesuffix(of_side("", side)) if name not in held else name
        over[row] = held.get(plain, side) != side
    return over


def decide(
    stored: Stored,
    answers: AnswerColumns,
    asset_keys: NDArray[np.int32],
    at: NDArray[np.int64],
    now: datetime,
    implausible: NDArray[np.int8] | None = None,
    plain_ids: Sequence[str] | None = None,
) -> Decision:
    """`asset_keys`: by row of the answers; `at`: see `matched`; `implausible`: Reason of rows that
    are not believed, else 0; `plain_ids`: see `turned_away`.

    A position missing in one complete answer is STALE; in two of different cycles 30 s or more
    apart, CLOSED.
    """
    columns, places = stored.columns, answers.columns["place"]
    row_count = len(columns["side"])
    known = at >= 0
    before = {
        name: column[at] if row_count else np.zeros(len(at), column.dtype)
        for name, column in columns.items()
    }
    moved = known & ((before["asset"] != asset_keys) | (before["side"] != answers.columns["side"]))
    held = _held(known, before, moved, answers)
    if implausible is not None:
        held = np.where(implausible > 0, implausible, held)
    refused = (held == Reason.CONTRADICTED) | (held == Reason.IMPLAUSIBLE)
    missing = ~_marked(row_count, at[known])
    gone = _gone(stored, missing, answers, now)
    turned = turned_away(stored, answers, plain_ids or answers.ids, missing)
    gone[turned & (gone > 0)] = Reason.TURNED
    unseen = missing | _marked(row_count, at[refused])
    keys = columns["position_key"]
    known_keys = np.where(known, before["position_key"], -1)
    regroups = (held <= Reason.REOPENED) | (moved & ~refused)
    regrouped = _marked(len(answers.complete), places[regroups])
    regrouped[columns["place"][closed := _over(gone)]] = True
    return Decision(
        held=held,
        stored=gone,
        known_keys=known_keys,
        stale_keys=keys[gone == Reason.MISSING_ONCE],
        delisted_keys=keys[gone == Reason.DELISTED],
        closed_keys=keys[closed],
        refused_keys=np.concatenate([keys[gone == Reason.REFUSED], known_keys[refused]]),
        unseen_keys=keys[unseen & columns["in_last_answer"]],
        found_keys=_found(stored.absences, keys[at[known]], keys[gone == Reason.REFUSED]),
        regrouped=regrouped,
        by_answer=_by_answer(held, gone, places, columns["place"], len(answers.complete)),
    )


def _found(
    absences: Absences, held_keys: NDArray[np.int64], refused_keys: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Those of which an absence is over: a row that cannot be taken is there all the same."""
    present = np.concatenate([held_keys, refused_keys])
    return present[absences.places(present) >= 0]


def _over(gone: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Those that are closed by these answers."""
    over: NDArray[np.bool_] = (gone == Reason.MISSING_TWICE) | (gone == Reason.TURNED)
    return over


def _marked(count: int, places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """`count` times False, but True at these places."""
    marks = np.zeros(count, np.bool_)
    marks[places] = True
    return marks


def _held(
    known: NDArray[np.bool_],
    before: Mapping[str, NDArray[Any]],
    moved: NDArray[np.bool_],
    answers: AnswerColumns,
) -> NDArray[np.int8]:
    status, after = before["status"], answers.columns
    changed = moved | (before["flag_bits"] != after["flag_bits"])
    for name in NUMBERS:
        old, new = before[name], after[name]
        changed |= (old != new) & ~(np.isnan(old) & np.isnan(new))
    over = (status == Status.CLOSED) | (status == Status.LIQUIDATED)
    refused = (before["flag_bits"] & bit(Flag.ROW_REFUSED)) != 0
    back = (status == Status.STALE) | ~before["in_last_answer"] | refused
    reasons = np.select(
        [~known, over, back, changed],
        [Reason.OPENED, Reason.REOPENED, Reason.RETURNED, Reason.CHANGED],
        Reason.UNCHANGED,
    )
    return reasons.astype(np.int8)


def _where(
    named: Sequence[tuple[str, int]], holds: Callable[[str, int], bool], count: int
) -> NDArray[np.bool_]:
    """Of which of `count` missing positions, by id and answer, it holds; of none without names."""
    if not named:
        return np.zeros(count, np.bool_)
    return np.fromiter((holds(id, of) for id, of in named), np.bool_, count)


def _gone(
    stored: Stored, missing: NDArray[np.bool_], answers: AnswerColumns, now: datetime
) -> NDArray[np.int8]:
    reasons = np.zeros(len(missing), np.int8)
    rows = np.flatnonzero(missing)
    if not len(rows):
        return reasons
    place, status = stored.columns["place"][rows], stored.columns["status"][rows]
    named = (
        [(stored.ids[row], of) for row, of in zip(rows.tolist(), place.tolist(), strict=True)]
        if answers.names_missing
        else []
    )
    refused = _where(named, lambda id, of: id in answers.refused_ids[of], len(rows))
    unread = _where(named, answers.unread, len(rows))
    delisted = _where(named, answers.delisted, len(rows))
    absences = stored.absences
    absence = absences.places(stored.columns["position_key"][rows])
    absent = absence >= 0
    same_cycle, too_soon = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
    same_cycle[absent] = absences.same_cycle[absence[absent]]
    apart = micros(now) - absences.missing_micros[absence[absent]]
    too_soon[absent] = apart < CLOSING_APART // timedelta(microseconds=1)
    reasons[rows] = np.select(
        [
            refused,
            delisted & (status == Status.ACTIVE),
            delisted & (status == Status.STALE),
            unread | ~np.array(answers.complete)[place],
            status == Status.INACTIVE,
            ~absent,
            same_cycle,
            too_soon,
        ],
        [
            Reason.REFUSED,
            Reason.DELISTED,
            Reason.STILL_DELISTED,
            Reason.ANSWER_INCOMPLETE,
            Reason.SET_ASIDE,
            Reason.MISSING_ONCE,
            Reason.MISSING_IN_SAME_CYCLE,
            Reason.MISSING_TOO_SOON,
        ],
        Reason.MISSING_TWICE,
    )
    return reasons
