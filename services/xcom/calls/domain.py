"""When a number may be called, and whether a call was heard by a person. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

# Of these a delivery that is SENT is a call that a person listened to.
CALLING = frozenset({"voice"})
RING_SECONDS = 25
# Calls to one contact about one incident, until somebody else has to be called.
CALLS_A_CONTACT, CONTACT_WINDOW = 4, timedelta(hours=1)
# Calls to one number, whatever they are about.
CALLS_A_NUMBER, NUMBER_WINDOW = 6, timedelta(minutes=30)
# Hung up sooner than this after it was taken, nothing was heard.
HEARD_SECONDS = 3
# A call of which nothing is known any more does not keep its number busy for longer.
LONGEST_CALL = timedelta(seconds=140)
# So long after it was to be placed, a call that its provider does not know never was.
PLACED_WITHIN = timedelta(seconds=30)
_LOOK_AGAIN = timedelta(seconds=5)
# By so much the provider's clock and ours may differ.
_SKEW = timedelta(minutes=2)
_NOT_TAKEN = frozenset({"busy", "no-answer", "failed", "canceled"})


class CallState(IntEnum):
    """What is known of a call; every state but NOT_PLACED counts against the limits."""

    PLANNED = 1
    PLACED = 2
    ENDED = 3
    NOT_PLACED = 4


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it was intended, written down before it was placed. `contact`: who was called, the
    name or else the number's hash; `incident`: about what.
    """

    id: str
    delivery_id: str
    incident: str
    contact: str
    number_hash: str
    planned_time: datetime
    state: CallState = CallState.PLANNED
    receipt_id: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it may still be going on."""
        return self.state in (CallState.PLANNED, CallState.PLACED)


@dataclass(frozen=True, slots=True)
class CallStatus:
    """A call as its provider shows it. `answered_by`: human, machine_start, fax, ...; empty when
    it does not say. `duration_seconds`: since it was taken, None while it lasts.
    """

    status: str
    answered_by: str = ""
    duration_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class PlacedCall:
    """A call that its provider has, and since when."""

    receipt_id: str
    created_time: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """It may be placed now."""


@dataclass(frozen=True, slots=True)
class Follow:
    """It was placed before a crash: it is only to be asked how it ends."""

    receipt_id: str


@dataclass(frozen=True, slots=True)
class LookUp:
    """Whether one was placed is not known; its provider has to be asked first."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not before `until`; `is_limit`: the number was called too often, others must be told."""

    until: datetime
    is_limit: bool = False


@dataclass(frozen=True, slots=True)
class Spent:
    """Every call that this contact gets about this incident was made."""


Decision = Place | Follow | LookUp | Wait | Spent


def number_hash(number: str) -> str:
    """What is kept of a number here."""
    return hashlib.sha256(number.encode()).hexdigest()


def next_call(calls: Sequence[Call], wanted: Call, now: datetime, *, looked_up: bool) -> Decision:
    """What becomes of the call that is wanted, by those planned before to its number or contact.

    `looked_up`: the provider was asked about those of which nothing is known, if it answers.
    """
    mine = [one for one in calls if one.delivery_id == wanted.delivery_id and one.is_open]
    if placed := [one for one in mine if one.receipt_id]:
        return Follow(placed[-1].receipt_id)
    # Those of the future, left by a clock that was ahead, keep no phone silent until it has come.
    calls = [one for one in calls if one.planned_time <= now + _SKEW]
    mine = [one for one in mine if one.planned_time <= now + _SKEW]
    if mine and not looked_up:
        return LookUp()
    if mine and now - mine[-1].planned_time < PLACED_WITHIN:
        return Wait(mine[-1].planned_time + PLACED_WITHIN)
    to_number = [one for one in calls if one.number_hash == wanted.number_hash]
    others = [one for one in to_number if one.is_open and one not in mine]
    if any(now - one.planned_time < LONGEST_CALL for one in others):
        return Wait(now + _LOOK_AGAIN)
    to_contact = [
        one
        for one in calls
        if (one.incident, one.contact) == (wanted.incident, wanted.contact)
        and now - one.planned_time < CONTACT_WINDOW
    ]
    # One that was planned may have been placed so much later.
    window = NUMBER_WINDOW + PLACED_WITHIN
    lately = [one for one in to_number if now - one.planned_time < window]
    of_contact, of_number = _counted(to_contact), _counted(lately)
    is_spent, is_full = len(of_contact) >= CALLS_A_CONTACT, len(of_number) >= CALLS_A_NUMBER
    unknown = [one for one in (*of_contact, *of_number) if one.state is CallState.PLANNED]
    if (is_spent or is_full) and unknown and not looked_up:
        return LookUp()
    if is_spent:
        return Spent()
    if is_full:
        return Wait(of_number[-CALLS_A_NUMBER].planned_time + window, is_limit=True)
    return Place()


def known_by(
    calls: Sequence[Call], placed: Sequence[PlacedCall], now: datetime
) -> list[tuple[str, str]]:
    """Ids of the calls of which nothing was known, each with what its provider calls it: empty for
    one that was never placed. Left out is what may still be on its way.

    `placed`: what the provider has of this number.
    """
    taken = {one.receipt_id for one in calls}
    left = [one for one in placed if one.receipt_id not in taken]
    found = []
    # The newest that it has belongs to the newest that was planned.
    left.sort(key=lambda one: one.created_time)
    for call in reversed([one for one in calls if one.state is CallState.PLANNED]):
        if left and left[-1].created_time >= call.planned_time - _SKEW:
            found.append((call.id, left.pop().receipt_id))
        elif now - call.planned_time >= PLACED_WITHIN:
            found.append((call.id, ""))
    return found


def unheard(call: CallStatus) -> str | None:
    """Why no person heard it; empty when one did, None while that is not known.

    What picks up is a person only when the provider says so: a voicemail that is taken for one
    leaves somebody asleep.
    """
    if call.status in _NOT_TAKEN:
        return call.status
    if call.answered_by.startswith("machine") or call.answered_by == "fax":
        return "voicemail"
    if call.status != "completed":
        return None
    if call.answered_by != "human":
        return "not known to be a person"
    if call.duration_seconds is None or call.duration_seconds < HEARD_SECONDS:
        return f"hung up after {call.duration_seconds or 0:g} s"
    return ""


def _counted(calls: Sequence[Call]) -> list[Call]:
    counted = [one for one in calls if one.state is not CallState.NOT_PLACED]
    return sorted(counted, key=lambda one: one.planned_time)
