"""Events of positions as rows of the ledger and messages. Pure.

How a position ended is told by the end of its alerts (see services.alerts.alerts.domain.ends):
closed as news, liquidated as danger. From here it is told of a position without any, as when every
limit is off, and always of what a venue took by itself otherwise.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from types import MappingProxyType

from services.alerts.alerts.domain.change_payload import ChangeContext, level_payload, moment
from services.alerts.alerts.domain.ends import LOOK
from services.alerts.domain.kinds import POSITION_EVENT_KIND, AlertType, Level
from services.alerts.ledger.domain.chain import Entry
from services.alerts.notifications.domain import (
    ALARMS,
    CLOSED,
    GONE,
    LIQUIDATED,
    Payload,
    about,
    plain,
    short,
)

# Of many that are told as one, how many are named.
_NAMED_COUNT = 3
_MANY = "CHANGED"


class EventKind(IntEnum):
    """Numbers of positions' PositionEventKind."""

    FIRST_LOOK = 1
    OPENED = 2
    GREW = 3
    SHRANK = 4
    CLOSED = 5
    LIQUIDATED = 6
    LIQUIDATED_IN_PART = 7
    AUTO_DELEVERAGED = 8
    DELISTED = 9


# What a venue took by itself while an alert may go on, or end as closed: always told, and loudly.
FORCED = (EventKind.LIQUIDATED_IN_PART, EventKind.AUTO_DELEVERAGED)
_QUIET = (
    EventKind.FIRST_LOOK,
    EventKind.OPENED,
    EventKind.GREW,
    EventKind.SHRANK,
    EventKind.DELISTED,
)
# Told from here; the others by the end of their alerts.
TOLD_HERE = (*_QUIET, *FORCED)
# All of them, and quietly: a position that its owner did not touch is how a stolen key or a bot
# that ran away shows first, and news rings nobody.
SWITCHABLE = (*_QUIET, EventKind.CLOSED)
# News of what may still be lost: at MEDIUM.
SERIOUS = (EventKind.DELISTED,)
_VERBS = {
    EventKind.FIRST_LOOK: "seen for the first time",
    EventKind.OPENED: "opened",
    EventKind.GREW: "grew",
    EventKind.SHRANK: "shrank",
    EventKind.CLOSED: "closed",
    EventKind.LIQUIDATED_IN_PART: "was LIQUIDATED in part",
    EventKind.AUTO_DELEVERAGED: "was auto-deleveraged",
    EventKind.DELISTED: "is listed no more by its venue and stays as it was seen last",
}
_ENDED = {
    CLOSED: "closed",
    LIQUIDATED: "was LIQUIDATED",
    GONE: "is gone, may have been liquidated",
}
ENDS = (EventKind.CLOSED, EventKind.LIQUIDATED)


@dataclass(frozen=True, slots=True)
class PositionEvent:
    """See positions' PositionEvent; sizes in USD, None is absent. `side`: LONG, SHORT, UNKNOWN."""

    sequence: int
    event_micros: int
    kind: int
    position_id: str
    wallet: str
    venue: str
    asset: str
    side: str
    size_before_usd: float | None
    size_after_usd: float | None
    position_count: int


@dataclass(frozen=True, slots=True)
class EventEntries:
    """Rows of the ledger, and the places of those that people hear of; `urgent_places`: at HIGH,
    `serious_places`: of the told ones those at MEDIUM.
    """

    entries: Sequence[Entry] = ()
    told_places: Sequence[int] = ()
    urgent_places: Sequence[int] = ()
    serious_places: Sequence[int] = ()


def entries_of_events(
    events: Sequence[PositionEvent],
    told: Collection[int],
    most: int,
    context: ChangeContext,
    now: datetime,
    ends: Mapping[int, str] = MappingProxyType({}),
    backs: Collection[int] = (),
) -> EventEntries:
    """A row for each event that is told from here; `told`: kinds that people want to hear of. More
    than `most` of those are told as one, which has a row of its own. `ends`: of ends that no alert
    tells what people hear (LIQUIDATED, GONE, CLOSED), by sequence: all but CLOSED always. `backs`:
    sequences of those of which people heard as BACK.
    """
    here = [event for event in events if event.kind in TOLD_HERE or event.sequence in ends]
    taken = {event.position_id for event in here if event.kind in FORCED}
    urgent = [place for place, event in enumerate(here) if _is_urgent(event, ends)]
    wanted = [
        place
        for place, event in enumerate(here)
        if event.kind in told
        and not _is_urgent(event, ends)
        and not (event.kind == EventKind.SHRANK and event.position_id in taken)
        and event.sequence not in backs
    ]
    entries = [
        _entry(event, _payload(event, context, ends.get(event.sequence, "")), now, context)
        for event in here
    ]
    if len(urgent) > most:
        ended = [here[place] for place in urgent]
        entries.append(_entry(ended[-1], _many_ended(ended, ends, context), now, context))
        urgent = [len(entries) - 1]
    serious = [place for place in wanted if here[place].kind in SERIOUS]
    if len(wanted) > most:
        payload = _summary_payload([here[place] for place in wanted], context)
        entries.append(_entry(here[wanted[-1]], payload, now, context))
        wanted = [len(entries) - 1]
        serious = wanted if serious else []
    return EventEntries(entries, wanted, urgent, serious)


def last_ends(events: Sequence[PositionEvent]) -> list[PositionEvent]:
    """How positions ended, of each life of one the last event that says it: closed and, by its
    trades of the same look, liquidated is one end. `events`: in their order.
    """
    ends: dict[tuple[str, int], PositionEvent] = {}
    lives: Counter[str] = Counter()
    for event in events:
        if event.kind == EventKind.OPENED:
            lives[event.position_id] += 1
        elif event.kind in ENDS:
            ends[event.position_id, lives[event.position_id]] = event
    return list(ends.values())


def first_openings(events: Sequence[PositionEvent]) -> list[PositionEvent]:
    """Of each position the first of these events, where that is that it opened: how it ended before
    is in none of them. `events`: in their order.
    """
    firsts: dict[str, PositionEvent] = {}
    for event in events:
        if event.kind in (EventKind.OPENED, *ENDS):
            firsts.setdefault(event.position_id, event)
    return [event for event in firsts.values() if event.kind == EventKind.OPENED]


def opened_again(
    events: Sequence[PositionEvent], ends: Sequence[PositionEvent]
) -> list[PositionEvent]:
    """Those of these ends after which the position opened. `events`: in their order."""
    opened = {one.position_id: one.sequence for one in events if one.kind == EventKind.OPENED}
    return [end for end in ends if opened.get(end.position_id, 0) > end.sequence]


def _is_urgent(event: PositionEvent, ends: Mapping[int, str]) -> bool:
    return event.kind in FORCED or ends.get(event.sequence, CLOSED) != CLOSED


def _entry(event: PositionEvent, payload: Payload, now: datetime, context: ChangeContext) -> Entry:
    return Entry(
        entry_time=now,
        alert_id=payload["alert_id"],
        type=AlertType.POSITION_EVENT,
        actor="evaluation",
        reason=payload["event"],
        level_before=0,
        level_after=int(Level.HIGH) if payload["level"] == Level.HIGH.name else 0,
        value=event.size_after_usd if "position_id" in payload else None,
        flip_value=None,
        inputs_json=json.dumps(payload),
        cycle_id=context.cycle_id,
        subject=payload.get("position_id", ""),
    )


def _payload(event: PositionEvent, context: ChangeContext, ended: str) -> Payload:
    kind = EventKind(event.kind)
    word = ended or kind.name
    level = Level.MEDIUM if kind in SERIOUS else Level.LOW
    payload = _told(word, f"event-{event.sequence}", _matter(event, ended), event, context, level)
    payload |= {"wallet": event.wallet, "venue": event.venue}
    if kind is not EventKind.FIRST_LOOK:
        payload |= {"asset": event.asset, "side": event.side, "position_id": event.position_id}
    if event.size_before_usd is not None:
        payload["size_before_usd"] = plain(event.size_before_usd)
    if event.size_after_usd is not None:
        payload["size_usd"] = plain(event.size_after_usd)
    return payload


def _summary_payload(events: Sequence[PositionEvent], context: ChangeContext) -> Payload:
    counts = Counter(EventKind(event.kind) for event in events)
    ways = ", ".join(f"{counts[kind]} {verb}" for kind, verb in _VERBS.items() if counts[kind])
    largest = sorted(events, key=lambda event: -(event.size_after_usd or 0.0))[:_NAMED_COUNT]
    named = "; ".join(f"{_matter(event)} ({event.wallet})" for event in largest)
    summary = f"{len(events)} events of positions: {ways}. The largest: {named}"
    name = f"events-{events[0].sequence}-{events[-1].sequence}"
    level = Level.MEDIUM if any(event.kind in SERIOUS for event in events) else Level.LOW
    return _told(_MANY, name, summary, events[-1], context, level)


def _many_ended(
    events: Sequence[PositionEvent], ends: Mapping[int, str], context: ChangeContext
) -> Payload:
    largest = sorted(events, key=lambda event: -(event.size_before_usd or 0.0))[:_NAMED_COUNT]
    named = "; ".join(
        f"{_matter(event, ends.get(event.sequence, ''))} ({event.wallet})" for event in largest
    )
    summary = f"{len(events)} positions are liquidated, taken in part or gone. The largest: {named}"
    name = f"events-{events[0].sequence}-{events[-1].sequence}"
    return _told(LIQUIDATED, name, summary, events[-1], context)


# Of a wallet that a person has just added nobody need be afraid.
_ACTIONS: Mapping[str, Payload] = {
    EventKind.FIRST_LOOK.name: {"action": "Nothing: see them by `sonic positions list`."},
    EventKind.DELISTED.name: {
        "action": "Look at the venue what became of it. Here it is STALE until it is shown again or"
        " you take it out: `sonic positions remove`."
    },
    EventKind.AUTO_DELEVERAGED.name: {
        "action": "Look whether what it hedged stands naked now, and what this wallet still holds."
    },
}


def _told(
    word: str,
    id: str,
    summary: str,
    event: PositionEvent,
    context: ChangeContext,
    level: Level = Level.LOW,
) -> Payload:
    is_urgent = word in ALARMS
    level = Level.HIGH if is_urgent else level
    payload = level_payload(POSITION_EVENT_KIND, "", Level.NORMAL, level, context)
    return {
        **payload,
        **_ACTIONS.get(word, {"action": LOOK} if is_urgent else {}),
        "event": word,
        "alert_id": id,
        # Of news no incident: it is over when it is told.
        "incident_id": f"{id}.1" if is_urgent else "",
        "summary": summary,
        "observed_time": moment(event.event_micros),
    }


def _matter(event: PositionEvent, ended: str = "") -> str:
    after = short(event.size_after_usd or 0.0, "USD")
    if event.kind == EventKind.FIRST_LOOK:
        plural = "s" if event.position_count != 1 else ""
        return (
            f"{event.wallet} on {event.venue} holds {event.position_count} position{plural}, "
            f"size {after}, watched from now on"
        )
    name = about(event.asset, event.side)
    if event.kind == EventKind.OPENED:
        return f"{name} opened, size {after}, on {event.venue}"
    before = short(event.size_before_usd or 0.0, "USD")
    if event.kind in ENDS:
        return f"{name} {_ENDED[ended or CLOSED]}, size {before}, on {event.venue}"
    verb = _VERBS[EventKind(event.kind)]
    if event.size_after_usd is None:
        return f"{name} {verb}, size {before}, on {event.venue}"
    return f"{name} {verb} from size {before} to {after}, on {event.venue}"
