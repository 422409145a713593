"""A delivery that was given up: who else hears the message, what is said, when it is tried again.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.xcom.domain.messages import (
    UNSURE,
    Answer,
    ChannelsReason,
    DeliveryReason,
    DeliveryState,
    Kind,
    Level,
)
from services.xcom.domain.settings import Route

# One notice a route and reason within this.
NOTICE_WINDOW = timedelta(hours=1)
_SHORTEST_REST, _LONGEST_REST = timedelta(minutes=15), timedelta(hours=6)
# Until then it is worth sending; HIGH is until somebody knows or it is over.
_MEDIUM_LASTS = timedelta(days=1)
_GONE = frozenset({DeliveryState.DEAD, DeliveryState.CANCELLED})
_STATUS = re.compile(r"HTTP (\d{3})")
_REASON_LENGTH = 120


@dataclass(frozen=True, slots=True)
class Sibling:
    """A delivery of the same message."""

    id: str
    route: Route
    state: DeliveryState


@dataclass(frozen=True, slots=True)
class FailedMessage:
    """A message that a dead delivery carried, with all its deliveries; `settled`: somebody knows,
    or over.
    """

    id: str
    level: Level
    kind: Kind
    subject: str
    channels_reason: str
    created_time: datetime
    settled: bool
    siblings: Sequence[Sibling]
    # Somebody is to be notified next, or it is looked at once more.
    escalates: bool = False

    @property
    def is_failure_notice(self) -> bool:
        """Its own death is no news."""
        return self.channels_reason == ChannelsReason.DELIVERY_DEAD

    @property
    def needs_notice(self) -> bool:
        """Whether people must hear of its death: not of news, not of LOW,
        and not again of a death."""
        danger = self.kind is Kind.DANGER and self.level >= Level.MEDIUM
        return (danger or self.level is Level.ACTION) and not self.is_failure_notice

    def fallbacks(self, everywhere: Collection[Route], contacts: Collection[Route]) -> list[Route]:
        """Ways not used yet by which it goes out at once.

        HIGH to every channel and contact; MEDIUM to every channel when it reaches nobody otherwise.
        LOW was for the record, ACTION is for its machine alone.
        """
        if self.settled or self.kind is Kind.NEWS or self.is_failure_notice:
            return []
        used = {one.route for one in self.siblings}
        if self.level is Level.HIGH:
            routes = [*everywhere, *contacts]
        elif self.level is Level.MEDIUM and not self.lives:
            routes = list(everywhere)
        else:
            routes = []
        return [route for route in dict.fromkeys(routes) if route not in used]

    @property
    def lives(self) -> bool:
        """Whether it has reached somebody, or still may, by another way that surely reaches
        people."""
        return any(
            one.state not in _GONE and one.route.channel not in UNSURE for one in self.siblings
        )

    def rest(self, now: datetime) -> timedelta | None:
        """With no route left: how long until all are tried again; None: it is given up."""
        age = now - self.created_time
        lasts = self.level is Level.HIGH or (self.level is Level.MEDIUM and age < _MEDIUM_LASTS)
        if not lasts or self.settled or self.kind is Kind.NEWS or self.is_failure_notice:
            return None
        return min(max(age, _SHORTEST_REST), _LONGEST_REST)


def reason_of(answer: Answer) -> str:
    """Why, in a word: the status of an HTTP answer, or what was said."""
    status = _STATUS.search(answer.error or answer.provider_status)
    return status[1] if status else (answer.error or answer.provider_status)[:_REASON_LENGTH]


def failure_notice(
    failed_messages: Sequence[FailedMessage],
    way: str,
    answer: Answer,
    reason: DeliveryReason,
    others: bool,
) -> tuple[str, str]:
    """Subject and body of the message about it; `way`: the channel, and where it leads, masked."""
    level = max(failed_messages, key=lambda one: one.level).level
    subject = f"{level.name} could not be delivered by {way}: {reason_of(answer)}"
    said = [f"- {one.subject}" for one in failed_messages[:5]]
    if len(failed_messages) > len(said):
        said.append(f"and {len(failed_messages) - len(said)} more")
    tried = (
        "It goes to every other channel and contact."
        if others
        else "There is no other way to tell it."
    )
    if level is Level.ACTION:
        tried = "The machine that was to act has not heard of it."
    elif reason is DeliveryReason.ESCALATION:
        tried = f"It was for a contact. {tried}"
    lines = [subject, "", "Not delivered:", *said, f"Why: {answer.error}", tried]
    lines.append("What to do: set the channel right, then test it.")
    return subject, "\n".join(lines)
