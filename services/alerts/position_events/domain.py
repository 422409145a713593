"""Events of positions as rows of the ledger and messages. Pure.

How a position ended is told by the end of its alerts (see services.alerts.alerts.domain.ends):
closed as news, liquidated as danger; so neither is told from here a second time.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from services.alerts.alerts.domain.change_payload import ChangeContext, level_payload, moment
from services.alerts.domain.kinds import POSITION_EVENT_KIND, AlertType, Level
from services.alerts.ledger.domain.chain import Entry
from services.alerts.notifications.domain import Payload, about, plain, short

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


# Told from here; the others by the end of their alerts.
TOLD_HERE = (EventKind.FIRST_LOOK, EventKind.OPENED, EventKind.GREW, EventKind.SHRANK)
# All of them, and quietly: a position that its owner did not touch is how a stolen key or a bot
# that ran away shows first, and news rings nobody.
SWITCHABLE = (*TOLD_HERE, EventKind.CLOSED)
_VERBS = {
    EventKind.FIRST_LOOK: "seen for the first time",
    EventKind.OPENED: "opened",
    EventKind.GREW: "grew",
    EventKind.SHRANK: "shrank",
}


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
    """Rows of the ledger, and the places of those that people hear of."""

    entries: Sequence[Entry] = ()
    told_places: Sequence[int] = ()


def entries_of_events(
    events: Sequence[PositionEvent],
    told: Collection[int],
    most: int,
    context: ChangeContext,
    now: datetime,
) -> EventEntries:
    """A row for each event that is told from here; `told`: kinds that people want to hear of. More
    than `most` of those are told as one, which has a row of its own.
    """
    here = [event for event in events if event.kind in TOLD_HERE]
    entries = [_entry(event, _payload(event, context), now, context) for event in here]
    wanted = [place for place, event in enumerate(here) if event.kind in told]
    if len(wanted) <= most:
        return EventEntries(entries, wanted)
    last = here[wanted[-1]]
    payload = _summary_payload([here[place] for place in wanted], context)
    return EventEntries([*entries, _entry(last, payload, now, context)], [len(entries)])


def _entry(event: PositionEvent, payload: Payload, now: datetime, context: ChangeContext) -> Entry:
    return Entry(
        entry_time=now,
        alert_id=payload["alert_id"],
        type=AlertType.POSITION_EVENT,
        actor="evaluation",
        reason=payload["event"],
        level_before=0,
        level_after=0,
        value=event.size_after_usd if payload["event"] != _MANY else None,
        flip_value=None,
        inputs_json=json.dumps(payload),
        cycle_id=context.cycle_id,
        subject=payload.get("position_id", ""),
    )


def _payload(event: PositionEvent, context: ChangeContext) -> Payload:
    kind = EventKind(event.kind)
    payload = _told(kind.name, f"event-{event.sequence}", _matter(event), event, context)
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
    ways = ", ".join(f"{counts[kind]} {_VERBS[kind]}" for kind in TOLD_HERE if counts[kind])
    largest = sorted(events, key=lambda event: -(event.size_after_usd or 0.0))[:_NAMED_COUNT]
    named = "; ".join(f"{_matter(event)} ({event.wallet})" for event in largest)
    summary = f"{len(events)} events of positions: {ways}. The largest: {named}"
    name = f"events-{events[0].sequence}-{events[-1].sequence}"
    return _told(_MANY, name, summary, events[-1], context)


def _told(
    word: str, id: str, summary: str, event: PositionEvent, context: ChangeContext
) -> Payload:
    payload = level_payload(POSITION_EVENT_KIND, "", Level.NORMAL, Level.LOW, context)
    return {
        **payload,
        "event": word,
        "alert_id": id,
        # No incident: it is over when it is told.
        "incident_id": "",
        "summary": summary,
        "observed_time": moment(event.event_micros),
    }


def _matter(event: PositionEvent) -> str:
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
    verb = _VERBS[EventKind(event.kind)]
    return f"{name} {verb} from size {before} to {after}, on {event.venue}"
