"""What waits to be sent and need not be any more, or not yet: over, known to somebody, put off.
Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.xcom.domain.messages import RINGING, DeliveryReason

# What is said of the end depends on it: nobody heard of it there.
UNTOLD = "over before it was told"
_ITS_TURN = "over before its turn"
_TO_OTHERS = frozenset({DeliveryReason.FALLBACK, DeliveryReason.ESCALATION})


@dataclass(frozen=True, slots=True)
class CarriedMessage:
    """A message that a delivery carries, as it stands; `known_by`: who acknowledged it, empty for
    nobody.
    """

    is_over: bool = False
    known_by: str = ""
    snoozed_until_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class WaitingDelivery:
    """A delivery that waits, or is being sent at this moment, with all that it carries."""

    id: str
    channel: str
    reason: DeliveryReason
    messages: Sequence[CarriedMessage]


@dataclass(frozen=True, slots=True)
class Recall:
    """Not to be sent, and `why`; or, with a time, not before it."""

    id: str
    why: str = ""
    until_time: datetime | None = None


def recall(one: WaitingDelivery, now: datetime) -> Recall | None:
    """None when it goes on as it is.

    What is over goes to nobody. What is known rings nobody and goes to no contact and by no
    other way; the rest is for the record. A digest goes on as long as one of what it carries does.
    """
    if all(message.is_over for message in one.messages):
        return Recall(one.id, _ITS_TURN if one.reason in _TO_OTHERS else UNTOLD)
    if one.channel not in RINGING and one.reason not in _TO_OTHERS:
        return None
    left = [message for message in one.messages if not message.is_over and not message.known_by]
    if not left:
        who = next(message.known_by for message in one.messages if message.known_by)
        return Recall(one.id, f"acknowledged by {who}")
    times = [message.snoozed_until_time for message in left]
    until = min((time for time in times if time is not None), default=now)
    return Recall(one.id, until_time=until) if until > now and None not in times else None
