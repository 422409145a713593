"""What one answer of a venue does to the positions of a wallet: the complete-answer rule.

Pure: knows no venue, no storage and no clock. Nothing removes a position; only a complete answer ages one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from services.positions.domain.holding import Answer, Flag, Holding, Status

CLOSING_APART: Final = timedelta(seconds=30)


class Reason(StrEnum):
    """Why a position is treated as it is."""

    OPENED = "OPENED"
    REOPENED = "REOPENED"  # was CLOSED or LIQUIDATED, and is held again
    RETURNED = "RETURNED"  # was STALE, refused or out of the last answer
    CHANGED = "CHANGED"
    UNCHANGED = "UNCHANGED"
    REFUSED = "REFUSED"  # its row was: the last good version stays
    ANSWER_INCOMPLETE = "ANSWER_INCOMPLETE"  # not in it, which says nothing
    MISSING_ONCE = "MISSING_ONCE"
    MISSING_IN_SAME_CYCLE = "MISSING_IN_SAME_CYCLE"
    MISSING_TOO_SOON = "MISSING_TOO_SOON"
    MISSING_TWICE = "MISSING_TWICE"
    SET_ASIDE = "SET_ASIDE"  # INACTIVE by hand: neither aged nor woken


@dataclass(frozen=True, slots=True)
class Absence:
    """The first complete answer that did not hold the position."""

    cycle_id: str
    missing_time: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """A stored position of the wallet. `holding.flags` are the venue's; opened_time is not compared."""

    position_key: int
    holding: Holding
    status: Status
    in_last_answer: bool
    absence: Absence | None


@dataclass(frozen=True, slots=True)
class Decision:
    """The reason by position id, and what follows for the store."""

    reasons: Mapping[str, Reason]
    written: tuple[Holding, ...]
    stale_keys: tuple[int, ...]
    closed_keys: tuple[int, ...]
    refused_keys: tuple[int, ...]
    unseen_keys: tuple[int, ...]
    found_keys: tuple[int, ...]
    regrouped: bool

    def count(self, *reasons: Reason) -> int:
        """Positions with one of these reasons."""
        return sum(reason in reasons for reason in self.reasons.values())


def is_complete(answer: Answer) -> bool:
    """Whether the answer may age positions: whole, as many rows as it says, none refused."""
    return answer.complete and not answer.refusals


def decide(stored: Mapping[str, Known], answer: Answer, cycle_id: str, now: datetime) -> Decision:
    """`stored`: positions of the wallet at this venue: those not over, and ended ones the answer names.

    A position missing in one complete answer is STALE; in two of different cycles 30 s or more apart, CLOSED.
    """
    held: dict[str, Holding] = {}
    for holding in answer.holdings:
        held.setdefault(holding.position_id, holding)
    refused = {
        refusal.position_id for refusal in answer.refusals if refusal.position_id is not None
    } - held.keys()
    complete = is_complete(answer)
    reasons = {name: _present(stored.get(name), holding) for name, holding in held.items()}
    for name, known in stored.items():
        if name not in held:
            reasons[name] = _not_held(known, name in refused, complete, cycle_id, now)
    return _decision(stored, held, reasons)


def _present(known: Known | None, holding: Holding) -> Reason:
    if known is None:
        return Reason.OPENED
    if known.status in (Status.CLOSED, Status.LIQUIDATED):
        return Reason.REOPENED
    if known.status is Status.STALE or not known.in_last_answer or Flag.ROW_REFUSED in known.holding.flags:
        return Reason.RETURNED
    return Reason.UNCHANGED if replace(holding, opened_time=None) == known.holding else Reason.CHANGED


def _not_held(known: Known, refused: bool, complete: bool, cycle_id: str, now: datetime) -> Reason:
    if refused:
        return Reason.REFUSED
    if not complete:
        return Reason.ANSWER_INCOMPLETE
    if known.status is Status.INACTIVE:
        return Reason.SET_ASIDE
    if known.absence is None:
        return Reason.MISSING_ONCE
    if known.absence.cycle_id == cycle_id:
        return Reason.MISSING_IN_SAME_CYCLE
    if now - known.absence.missing_time < CLOSING_APART:
        return Reason.MISSING_TOO_SOON
    return Reason.MISSING_TWICE


_WRITTEN = (Reason.OPENED, Reason.REOPENED, Reason.RETURNED, Reason.CHANGED)


def _decision(
    stored: Mapping[str, Known], held: Mapping[str, Holding], reasons: Mapping[str, Reason]
) -> Decision:
    def keys(*wanted: Reason) -> tuple[int, ...]:
        return tuple(known.position_key for name, known in stored.items() if reasons[name] in wanted)

    return Decision(
        reasons=reasons,
        written=tuple(holding for name, holding in held.items() if reasons[name] in _WRITTEN),
        stale_keys=keys(Reason.MISSING_ONCE),
        closed_keys=keys(Reason.MISSING_TWICE),
        refused_keys=keys(Reason.REFUSED),
        unseen_keys=tuple(known.position_key for name, known in stored.items() if name not in held),
        found_keys=tuple(
            stored[name].position_key for name in held if name in stored and stored[name].absence
        ),
        regrouped=any(
            reason in (Reason.OPENED, Reason.REOPENED, Reason.MISSING_TWICE)
            or _moved(stored.get(name), held.get(name))
            for name, reason in reasons.items()
        ),
    )


def _moved(known: Known | None, holding: Holding | None) -> bool:
    if known is None or holding is None:
        return False
    return (known.holding.asset, known.holding.side) != (holding.asset, holding.side)
