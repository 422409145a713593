"""Incidents out of rows of the ledger, what followed each, and how it was told; pure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from services.alerts.alerts.domain.change_inputs import payload_of
from services.alerts.domain.kinds import METRICS, AlertClass, AlertType, Level
from services.alerts.ledger.domain.chain import Entry, Sealed
from services.alerts.notifications.domain import (
    ALARMS,
    BACK,
    CLOSED,
    GONE,
    LIQUIDATED,
    LIQUIDATED_IN_PART,
)

# Fees move a liquidation price a little all the time, and nearer: what moves it further away was a
# person.
_DRIFT_RATIO: Final = 0.002
_TOLD_AGAIN = ("TOLD", "EXPIRED")
# Who ends alerts of what is held no longer.
_LOOK: Final = "clear"


class Followed(IntEnum):
    """What came of an incident. PENDING: it stands, or the time in which something may follow is
    not over. UNKNOWN: the alert was deleted by hand or switched off, or what was held is not known.
    """

    PENDING = 1
    RECOVERED = 2
    ACTED = 3
    CLOSED = 4
    LIQUIDATED = 5
    GONE = 6
    UNKNOWN = 7


class ToldState(IntEnum):
    """Whether a channel accepted a message of it. UNKNOWN: messages of then are not known."""

    TOLD = 1
    NOT_TOLD = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Message:
    """One message of an incident or digest; `accepted_time`: of its first accepted delivery."""

    incident_key: str
    created_time: datetime
    accepted_time: datetime | None


@dataclass(frozen=True, slots=True)
class ToldMessages:
    """Of the alerts; those from `known_since` on are all here, None: none can be had."""

    found: Sequence[Message] = ()
    known_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """From the rise out of NORMAL to the way back. `begin_time` None: before the rows.

    `high_time`: when it became HIGH first. `told_time`: of the first accepted delivery, of which
    `told_row_time` is the change that it told.
    """

    alert_id: str
    incident_key: str
    type: AlertType
    rule_id: str
    subject: str
    asset: str
    wallet: str
    begin_time: datetime | None
    level: int
    high_time: datetime | None
    end_time: datetime | None
    followed: Followed
    followed_time: datetime | None
    acknowledged_time: datetime | None
    repeated_count: int
    telling: ToldState
    told_time: datetime | None
    told_row_time: datetime | None

    @property
    def lead(self) -> timedelta | None:
        """From its begin to what followed."""
        return _span(self.begin_time, self.followed_time)

    @property
    def told_after(self) -> timedelta | None:
        """From the commit of the change to the first accepted delivery that told it."""
        return _span(self.told_row_time, self.told_time)

    @property
    def acknowledged_after(self) -> timedelta | None:
        return _span(self.begin_time, self.acknowledged_time)


def _span(start: datetime | None, end: datetime | None) -> timedelta | None:
    return None if start is None or end is None else end - start


@dataclass(slots=True)
class _Story:
    """Rows of one incident, in order."""

    rows: list[Sealed]
    begun: bool
    ended: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)


def incidents_of(
    rows: Sequence[Sealed],
    ends: Mapping[str, Sequence[Sealed]],
    digests: Mapping[int, str],
    messages: ToldMessages,
    now: datetime,
    horizon: timedelta,
) -> list[Incident]:
    """Of rows in order, also those that began before them. `ends`: see ends_of; `digests`: the
    digest that told of a row.
    """
    heard: dict[str, list[Message]] = defaultdict(list)
    for message in messages.found:
        heard[message.incident_key].append(message)
    return [
        _told(_incident(story, ends, now, horizon), story, digests, heard, messages.known_since)
        for story in _stories(rows)
        if not is_demo(story.facts)
    ]


def ends_of(rows: Iterable[Sealed]) -> dict[str, list[Sealed]]:
    """How positions ended, by position; one that was GONE and is BACK did not. Those of the demo
    are nobody's.
    """
    found: dict[str, list[Sealed]] = defaultdict(list)
    for row in rows:
        entry = row.entry
        if entry.reason in ALARMS and entry.subject and not is_demo(facts_of(entry)):
            found[entry.subject].append(row)
        elif entry.reason == BACK:
            kept = found[entry.subject]
            found[entry.subject] = [one for one in kept if one.entry.reason != GONE]
    return found


def _stories(rows: Iterable[Sealed]) -> Iterator[_Story]:
    """Of dangers that have levels, as they began."""
    standing: dict[str, _Story] = {}
    for row in rows:
        entry = row.entry
        if not _is_judged(entry):
            continue
        story = standing.get(entry.alert_id)
        begins = entry.level_before == Level.NORMAL and entry.level_after > Level.NORMAL
        if begins or (story is None and entry.level_before > Level.NORMAL):
            if story is not None:
                yield story
            story = standing[entry.alert_id] = _Story([], begins)
        if story is None:
            continue
        story.rows.append(row)
        story.facts = story.facts or facts_of(entry)
        if entry.level_before > Level.NORMAL and entry.level_after <= Level.NORMAL:
            story.ended = True
            yield standing.pop(entry.alert_id)
    yield from standing.values()


def _is_judged(entry: Entry) -> bool:
    if entry.type not in set(AlertType) or entry.type == AlertType.POSITION_EVENT:
        return False
    metric = METRICS.get(AlertType(entry.type))
    return bool(entry.alert_id) and metric is not None and not metric.opportunity


def facts_of(entry: Entry) -> Mapping[str, str]:
    """The texts of a row; none where this release cannot read them."""
    try:
        found = payload_of(entry) if entry.inputs else json.loads(entry.inputs_json or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def is_demo(facts: Mapping[str, str]) -> bool:
    """Whether it happened to simulated positions."""
    return facts.get("demo") == "true"


def _incident(
    story: _Story, ends: Mapping[str, Sequence[Sealed]], now: datetime, horizon: timedelta
) -> Incident:
    entries = [row.entry for row in story.rows]
    first, last, facts = entries[0], entries[-1], story.facts
    begin = first.entry_time if story.begun else None
    end = last.entry_time if story.ended else None
    followed, followed_time = _followed(
        story, ends.get(first.subject, ()), begin or first.entry_time, end, now, horizon
    )
    return Incident(
        first.alert_id,
        str(facts.get("incident_id", "")),
        AlertType(first.type),
        first.alert_id if first.alert_id.startswith("rule-") else "",
        first.subject,
        str(facts.get("asset", "")),
        str(facts.get("wallet", "")),
        begin,
        max(max(entry.level_before, entry.level_after) for entry in entries),
        next((one.entry_time for one in entries if one.level_after == Level.HIGH), None),
        end,
        followed,
        followed_time,
        next((one.entry_time for one in entries if one.reason == "ACKNOWLEDGED"), None),
        sum(_is_repeat(entry) for entry in entries),
        ToldState.UNKNOWN,
        None,
        None,
    )


def _is_repeat(entry: Entry) -> bool:
    rises = entry.reason == "RAISED" and entry.level_before > Level.NORMAL
    return entry.level_after > Level.NORMAL and (entry.reason in _TOLD_AGAIN or rises)


# What a venue cut by itself was no act of a person.
_FORCED: Final = {
    LIQUIDATED: Followed.LIQUIDATED,
    LIQUIDATED_IN_PART: Followed.LIQUIDATED,
    GONE: Followed.GONE,
}


def _followed(
    story: _Story,
    ends: Sequence[Sealed],
    begin: datetime,
    end: datetime | None,
    now: datetime,
    horizon: timedelta,
) -> tuple[Followed, datetime | None]:
    until = max(end or now, begin + horizon)
    for row in ends:
        if begin <= row.entry.entry_time <= until:
            return _FORCED.get(row.entry.reason, Followed.UNKNOWN), row.entry.entry_time
    if end is None:
        return Followed.PENDING, None
    last = story.rows[-1].entry
    if last.reason == "DELETED":
        # What people delete, or clear, has the same words: only the look at what is held closes.
        is_closed = last.actor == _LOOK and facts_of(last).get("event") == CLOSED
        return (Followed.CLOSED if is_closed else Followed.UNKNOWN), end
    if last.level_after != Level.NORMAL or last.reason != "LOWERED":
        return Followed.UNKNOWN, end
    is_held = METRICS[AlertType(last.type)].alert_class is AlertClass.POSITION
    acted = _is_acted(story) if is_held else False
    if acted:
        return Followed.ACTED, end
    if acted is None:
        return Followed.UNKNOWN, end
    return (Followed.RECOVERED if now >= begin + horizon else Followed.PENDING), end


def _is_acted(story: _Story) -> bool | None:
    """Whether size was taken off or collateral added meanwhile; None: it is not known."""
    before, after = story.facts, facts_of(story.rows[-1].entry)
    try:
        size, level = (
            float(after[name]) / float(before[name])
            for name in ("size_usd", "liquidation_price_usd")
        )
    except (KeyError, ValueError, ZeroDivisionError):
        return None
    away = level if before.get("side") == "SHORT" else 2 - level
    return size < 1 - _DRIFT_RATIO or away > 1 + _DRIFT_RATIO


def _told(
    incident: Incident,
    story: _Story,
    digests: Mapping[int, str],
    heard: Mapping[str, Sequence[Message]],
    known_since: datetime | None,
) -> Incident:
    """The incident with how it was told."""
    raised = [row for row in story.rows if row.entry.level_after > Level.NORMAL]
    first = story.rows[0].entry.entry_time
    last = incident.end_time
    keys = {incident.incident_key, *(digests.get(row.sequence, "") for row in raised)} - {""}
    accepted = [
        (message.accepted_time, message.created_time)
        for key in keys
        for message in heard.get(key, ())
        if message.accepted_time is not None and (last is None or message.created_time < last)
    ]
    if not accepted:
        known = known_since is not None and known_since <= first and bool(keys)
        return replace(incident, telling=ToldState.NOT_TOLD if known else ToldState.UNKNOWN)
    time, created = min(accepted)
    told = [row.entry.entry_time for row in raised if row.entry.entry_time <= created]
    return replace(
        incident,
        telling=ToldState.TOLD,
        told_time=time,
        told_row_time=told[-1] if told else None,
    )
