"""What to change of one leg so that a hedge reaches a target; "cannot be met" is an answer with a
reason.

Pure, one answer per row of prices; NaN is absent. The leg's entry price is taken as kept, and how
the venue's liquidation price moves with the change is not known here. A spot balance is bought and
sold: its collateral is all of its size, and moves with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from services.hedges.domain.evaluation import Evaluation, evaluate
from services.hedges.domain.holdings import Floats, Integers, Legs, Truths
from shared.errors import InvalidArgument

# A target met within this share of the sums it compares is met.
MET_RATIO = 1e-9


class Target(IntEnum):
    """What to reach; the numbers are those of the proto."""

    EQUAL_VALUE = 1
    DELTA_NEUTRAL = 2


class Field(IntEnum):
    """What may change of the leg."""

    COLLATERAL = 1
    SIZE = 2


class Outcome(IntEnum):
    """What it comes to."""

    CHANGE = 1
    ALREADY_MET = 2
    CANNOT_BE_MET = 3


class Reason(IntEnum):
    """Why a target cannot be met."""

    NONE = 0
    FIGURE_ABSENT = 1
    COLLATERAL_MOVES_NO_DELTA = 2
    PRICE_AT_ENTRY = 3
    COLLATERAL_NOT_POSITIVE = 4
    SIZE_NOT_POSITIVE = 5
    VALUE_NOT_POSITIVE = 6
    SPOT_HAS_NO_COLLATERAL = 7


MESSAGES = {
    Reason.FIGURE_ABSENT: "A figure that is needed is absent: mark, entry, size or collateral of a "
    "member.",
    Reason.COLLATERAL_MOVES_NO_DELTA: "Collateral moves no delta; only a change of size can.",
    Reason.PRICE_AT_ENTRY: "The price is the leg's entry, where its size moves no value.",
    Reason.COLLATERAL_NOT_POSITIVE: "The leg's collateral would have to be zero or less.",
    Reason.SIZE_NOT_POSITIVE: "The leg's size would have to be zero or less; closing it is not "
    "enough.",
    Reason.VALUE_NOT_POSITIVE: "The leg's value would be zero or less; it would be liquidated "
    "first.",
    Reason.SPOT_HAS_NO_COLLATERAL: "A spot balance has no collateral apart from its size; change "
    "the size, or name another leg.",
}


@dataclass(frozen=True, slots=True)
class Question:
    """The target, the row of the leg that may change, and what may change of it."""

    target: Target
    row: int
    field: Field


@dataclass(frozen=True, slots=True)
class Advice:
    """One element per price; collateral and size of the leg afterwards, NaN when it cannot be."""

    outcome: Integers
    reason: Integers
    collateral_usd: Floats
    size_usd: Floats
    before: Evaluation


def largest(legs: Legs, side: int, position_id: str) -> int:
    """The row of the leg named, or of the side's largest by size (ties: the first id).

    InvalidArgument LEG_NOT_FOUND.
    """
    rows = np.flatnonzero(legs.side == side)
    if position_id:
        rows = np.array(
            [row for row in rows.tolist() if legs.position_ids[row] == position_id], dtype=np.int64
        )
    if not len(rows):
        problem = "no member of this side"
        raise InvalidArgument(
            "LEG_NOT_FOUND", f"position_id: {problem}", fields={"position_id": problem}
        )
    return int(rows[np.argmax(np.nan_to_num(legs.size_usd[rows], nan=-1.0))])


def advise(legs: Legs, question: Question, prices_usd: Floats) -> Advice:
    """The change that reaches the target at each row of prices."""
    before = evaluate(legs, prices_usd)
    row, side, is_spot = question.row, float(legs.side[question.row]), legs.is_spot(question.row)
    sums = (
        before.value_usd
        if question.target is Target.EQUAL_VALUE
        else _rows(legs.tokens, len(prices_usd))
    )
    # What this leg must gain for its side to equal the other one.
    gap = -side * (legs.side * sums).sum(axis=1)
    met = np.abs(gap) <= MET_RATIO * np.abs(sums).sum(axis=1)
    collateral = np.full(len(gap), float(legs.collateral_usd[row]))
    size = np.full(len(gap), float(legs.size_usd[row]))
    with np.errstate(all="ignore"):
        if question.field is Field.COLLATERAL:
            stuck = np.full(len(gap), _collateral_stuck(question.target, is_spot=is_spot))
            collateral = np.where(stuck, collateral, collateral + gap)
        else:
            change, stuck = _size_change(legs, question, prices_usd, gap)
            size = size + change
            collateral = collateral + change if is_spot else collateral
        value = _value(legs, row, prices_usd, collateral, size)
        # Rounding of a change that takes everything must not read as a little left.
        least = MET_RATIO * legs.size_usd[row]
        reason = _reason(question, gap, stuck, collateral - least, size - least, value - least)
    reason = np.where(met, Reason.NONE, reason)
    outcome = np.where(
        met, Outcome.ALREADY_MET, np.where(reason, Outcome.CANNOT_BE_MET, Outcome.CHANGE)
    )
    return Advice(
        outcome=outcome,
        reason=reason,
        collateral_usd=_settled(met, reason, legs.collateral_usd[row], collateral),
        size_usd=_settled(met, reason, legs.size_usd[row], size),
        before=before,
    )


def applied(legs: Legs, row: int, collateral_usd: float, size_usd: float) -> Legs:
    """The legs with the change made."""
    collateral, size = legs.collateral_usd.copy(), legs.size_usd.copy()
    collateral[row], size[row] = collateral_usd, size_usd
    return replace(legs, collateral_usd=collateral, size_usd=size)


def _rows(values: Floats, count: int) -> Floats:
    return np.repeat(values[np.newaxis, :], count, axis=0)


def _value(legs: Legs, row: int, prices_usd: Floats, collateral: Floats, size: Floats) -> Floats:
    """Value of the changed leg at each price."""
    entry = legs.entry_price_usd[row]
    gain: Floats = collateral + legs.side[row] * size * (prices_usd[:, row] / entry - 1.0)
    return gain


def _collateral_stuck(target: Target, *, is_spot: bool) -> Reason:
    """Why collateral cannot be what changes."""
    if is_spot:
        return Reason.SPOT_HAS_NO_COLLATERAL
    is_value = target is Target.EQUAL_VALUE
    return Reason.NONE if is_value else Reason.COLLATERAL_MOVES_NO_DELTA


def _size_change(
    legs: Legs, question: Question, prices_usd: Floats, gap: Floats
) -> tuple[Floats, Integers]:
    """By how much the size must change at each price to close the gap, USD, and why it cannot."""
    row = question.row
    entry = legs.entry_price_usd[row]
    if question.target is Target.DELTA_NEUTRAL:
        return gap * entry, np.zeros(len(gap), np.int64)
    gain_ratio = prices_usd[:, row] / entry
    if not legs.is_spot(row):
        gain_ratio = legs.side[row] * (gain_ratio - 1.0)
    return gap / gain_ratio, np.where(gain_ratio == 0, int(Reason.PRICE_AT_ENTRY), 0)


def _reason(
    question: Question,
    gap: Floats,
    stuck: Integers,
    collateral: Floats,
    size: Floats,
    value: Floats,
) -> Integers:
    """The first reason that holds, by price. `stuck`: why the change moves nothing, 0: it does."""
    judged = np.isfinite(gap)
    if question.target is Target.EQUAL_VALUE:
        judged &= np.isfinite(collateral)
    causes: list[tuple[Truths, Integers | Reason]] = [
        (~judged, Reason.FIGURE_ABSENT),
        (stuck != 0, stuck),
        (~np.isfinite(size), Reason.FIGURE_ABSENT),
        # Before the collateral, which of a spot balance is its size.
        (size <= 0, Reason.SIZE_NOT_POSITIVE),
        (collateral <= 0, Reason.COLLATERAL_NOT_POSITIVE),
        (value <= 0, Reason.VALUE_NOT_POSITIVE),
    ]
    return np.select(
        [where for where, _ in causes], [reason for _, reason in causes], int(Reason.NONE)
    ).astype(np.int64)


def _settled(met: Truths, reason: Integers, now: float, advised: Floats) -> Floats:
    return np.where(met, now, np.where(reason == Reason.NONE, advised, np.nan))
