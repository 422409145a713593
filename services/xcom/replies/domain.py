"""What a reply says, and whether it may. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.xcom.domain.settings import Route

_ACKNOWLEDGE = frozenset({"1", "ack", "acknowledge", "acknowledged"})
_SILENCE = re.compile(r"(?:silence|snooze)\s+(\d{1,4})\s*(m|min|h|d)")
_UNITS = {"m": timedelta(minutes=1), "min": timedelta(minutes=1)}
_UNITS |= {"h": timedelta(hours=1), "d": timedelta(days=1)}
_SHORTEST, _LONGEST = timedelta(minutes=1), timedelta(days=1)
# Providers tell whole seconds.
_ROUNDED = timedelta(seconds=2)


class ReplyOutcome(StrEnum):
    """What became of a reply."""

    ACKNOWLEDGED = "ACKNOWLEDGED"
    SILENCED = "SILENCED"
    NOT_A_WORD = "NOT_A_WORD"
    STRANGER = "STRANGER"
    NOTHING_OPEN = "NOTHING_OPEN"
    TOO_OLD = "TOO_OLD"

    @property
    def counts(self) -> bool:
        """Whether anything followed from it."""
        return self in (ReplyOutcome.ACKNOWLEDGED, ReplyOutcome.SILENCED)


@dataclass(frozen=True, slots=True)
class Word:
    """What is wanted: `snooze` for a time, else acknowledged."""

    snooze: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came in. `provider_id` is unique on its channel; `sender`: number or chat;
    `answers`: what was posted, empty when it does not say; `said_time`: by the provider's clock,
    None when it does not say.
    """

    provider_id: str
    sender: str
    text: str
    answers: str = ""
    said_time: datetime | None = None
    # Where a button that was pressed is told that it was.
    thanks_id: str = ""


@dataclass(frozen=True, slots=True)
class Incoming:
    """What came in, oldest first, and where to go on."""

    replies: Sequence[Reply]
    position: str


@dataclass(frozen=True, slots=True)
class Target:
    """A message that may be answered, told to the sender at `told_time`."""

    message_id: str
    told_time: datetime


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom a number or chat belongs to: the routes that lead there, and the contact's name."""

    routes: Collection[Route]
    contact: str = ""


def word_of(text: str) -> Word | None:
    """The word, in any case, with white space and full stops around; None when it is none."""
    plain = text.strip().strip(".!").strip().lower()
    if plain in _ACKNOWLEDGE:
        return Word()
    found = _SILENCE.fullmatch(plain)
    if found is None:
        return None
    wanted = int(found[1]) * _UNITS[found[2]]
    return Word(wanted) if _SHORTEST <= wanted <= _LONGEST else None


def answered(reply: Reply, targets: Sequence[Target]) -> Target | ReplyOutcome:
    """The newest that was told before the reply was written; why there is none."""
    if not targets:
        return ReplyOutcome.NOTHING_OPEN
    said_time = reply.said_time
    told = [one for one in targets if said_time is None or one.told_time <= said_time + _ROUNDED]
    return max(told, key=lambda one: one.told_time) if told else ReplyOutcome.TOO_OLD
