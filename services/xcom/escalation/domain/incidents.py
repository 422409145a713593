"""What belongs to one incident: who heard of it, and who of them hears that it is over. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum

from services.xcom.domain.messages import LAST_RESORT, DeliveryAttempt, DeliveryReason, Level
from services.xcom.domain.settings import Route

# How long an acknowledgement keeps an incident quiet when nobody says how long.
ACKNOWLEDGED_FOR = timedelta(hours=1)
# Nothing that is said of an incident keeps it quiet for longer.
LONGEST_QUIET = timedelta(days=7)
NOBODY_TOLD = "NOBODY_TOLD"
# Good news wakes nobody who hears it by another way too.
_END = re.compile(r"(DEMO:? )?(?:RESOLVED|CLOSED|BACK|Resolved): ")
_WAKING = frozenset({"voice", "sound"})


class IncidentAction(IntEnum):
    """What is said of an incident; the numbers are those of the protocol."""

    ACKNOWLEDGE = 1
    SNOOZE = 2
    RELEASE = 3
    END = 4


@dataclass(frozen=True, slots=True)
class IncidentUpdate:
    """What somebody said of an incident, up to and including a level;
    `until`: how long it counts."""

    incident_key: str
    level: Level
    by: str
    now: datetime
    until: datetime
    is_snooze: bool = False


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What was said here, for the source of the incident's messages."""

    sequence: int
    incident_key: str
    level: Level
    by: str
    snoozed_until_time: datetime | None
    created_time: datetime


@dataclass(frozen=True, slots=True)
class Recipient:
    """A route by which somebody heard of an incident, or will: what waits there is tried next at
    `waits_until`.

    An empty contact is whoever the channel's own destination leads to.
    """

    route: Route
    contact: str = ""
    waits_until: datetime | None = None
    # What would have been sent there was called back before any try.
    untold: bool = False


def ended_untold(attempt: DeliveryAttempt) -> DeliveryAttempt:
    """The end for whom nothing was sent while it lasted; any other attempt as it is."""
    if attempt.reason is not DeliveryReason.ENDED_UNTOLD:
        return attempt
    was = attempt.facts.get("previous_level", "")
    found = _END.match(attempt.subject)
    demo, matter = (
        (found[1] or "", attempt.subject[found.end() :]) if found else ("", attempt.subject)
    )
    subject = f"{demo}OVER BEFORE IT WAS TOLD{f' (was {was})' if was else ''}: {matter}"
    body = (
        f"{demo}It began and ended before it could be told here.\n{attempt.body or attempt.subject}"
    )
    return replace(attempt, subject=subject, body=body)


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of incidents that are over: whether anybody was ever notified, and who."""

    known: bool
    recipients: Sequence[Recipient] = ()


def recipients_of_the_end(
    recipients: Sequence[Recipient], channels: Collection[str]
) -> list[Recipient]:
    """Everybody who heard, on channels that there are; no call and no sound for who has another
    way.
    """
    there = [one for one in recipients if one.route.channel in channels]
    gently = {one.contact for one in there if one.route.channel not in _WAKING | {LAST_RESORT}}
    return [one for one in there if one.route.channel not in _WAKING or one.contact not in gently]
