"""What becomes of rows of the outbox: messages and incidents of the notification service. Decides
nothing that was not decided when the row was written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from services.alerts.alerts.domain.digest_texts import BODY, DIGEST_ID, SUBJECT
from services.alerts.alerts.domain.digests import HELD_DIGEST, digest_id
from services.alerts.domain.kinds import Level, kind_named
from services.alerts.notifications.domain import (
    BACK,
    CLOSED,
    ENDED_INCIDENTS,
    RESOLVED,
    IncidentAction,
    IncidentUpdate,
    Notification,
    Text,
    compose,
    is_news,
    is_opportunity,
)
from services.alerts.notifications.store import Waiting
from services.alerts.price_rules.domain.rule_texts import rule_text
from services.alerts.thresholds.domain import ThresholdSet

_ENDS = frozenset({RESOLVED, CLOSED, BACK})
# By the reason of a row of the ledger.
_ACTIONS = {
    "ACKNOWLEDGED": IncidentAction.ACKNOWLEDGE,
    "SILENCED": IncidentAction.SNOOZE,
    "UNSILENCED": IncidentAction.RELEASE,
    # Switched off.
    "UPDATED": IncidentAction.ACKNOWLEDGE,
}
# Incidents that one message ends, as the notification service takes them.
_MOST_ENDED = 1000


@dataclass(frozen=True, slots=True)
class Handover:
    """What becomes of a row: for the notification service, for people, or both."""

    row: Waiting
    payload: Mapping[str, str]
    updates: Sequence[IncidentUpdate]
    notification: Notification | None

    @property
    def rank(self) -> tuple[bool, int]:
        """Danger before news, the louder before the quieter. What becomes of news is no sooner than
        the news itself, which may wait here as well.
        """
        is_good = is_opportunity if self.row.noted else is_news
        return is_good(self.payload), -self.row.level


def groups(handovers: Sequence[Handover]) -> Iterator[Sequence[Handover]]:
    """Those, worst first, that go together: lesser ones wait until the worse are taken over.

    What is said of one incident goes in order: what becomes of it must not come before it.
    """
    start = 0
    while start < len(handovers):
        end, said = start, set[str]()
        for one in handovers[start:]:
            keys = {update.incident_key for update in one.updates}
            if one.rank != handovers[start].rank or keys & said:
                break
            said |= keys
            if one.notification is not None:
                said.add(one.notification.incident_key)
            end += 1
        yield handovers[start:end]
        start = end


def most_urgent_first(handovers: Sequence[Handover]) -> list[Handover]:
    """Of equal rank the nearest to liquidation first, the unknown last; of one alert in order."""
    nearest: dict[str, float] = {}
    for one in handovers:
        far, id = one.payload.get("liquidation_distance_percent"), one.row.alert_id
        percent = math.inf if far is None else float(far)
        nearest[id] = min(percent, nearest.get(id, math.inf))
    return sorted(handovers, key=lambda one: (*one.rank, nearest[one.row.alert_id]))


def ends_and_beginnings(rows: Sequence[Waiting]) -> tuple[list[int], list[int]]:
    """Those, by their place in the ledger, by which people would hear that something is over, and
    by which they would hear of anything else.
    """
    told = [row for row in rows if not row.noted]
    over = [row.ledger_sequence for row in told if row.payload.get("event") in _ENDS]
    return over, [row.ledger_sequence for row in told if row.ledger_sequence not in over]


def handover(
    row: Waiting, thresholds: ThresholdSet, own: Mapping[str, tuple[str, ...]]
) -> Handover:
    payload = row.payload
    if row.noted:
        return Handover(row, payload, _incident_updates(row, payload), None)
    notification = _notification(row, payload, thresholds, own)
    # What is notified because a hold was taken back takes it back there too.
    updates = _incident_updates(row, payload) if row.reason == "UNSILENCED" else []
    left = notification.ended_incident_keys[_MOST_ENDED:]
    updates += [_end(key, row.actor) for key in left]
    keys = notification.ended_incident_keys[:_MOST_ENDED]
    return Handover(row, payload, updates, replace(notification, ended_incident_keys=keys))


def _incident_updates(row: Waiting, payload: Mapping[str, str]) -> list[IncidentUpdate]:
    """Of its incident, of the digest that told of it when all of that is held, and the ends of
    digests that are over by it.
    """
    action = _ACTIONS.get(row.reason, IncidentAction.END)
    level = Level[payload.get("held_level", Level.HIGH.name)]
    until = payload.get("held_until_time", "")
    keys = [payload["incident_id"], payload.get(HELD_DIGEST)]
    updates = [IncidentUpdate(key, action, level, until, row.actor) for key in keys if key]
    ended = [*(row.ended_incidents or ()), *map(digest_id, row.ended_digests)]
    return [*updates, *(_end(key, row.actor) for key in ended)]


def _end(incident_key: str, actor: str) -> IncidentUpdate:
    return IncidentUpdate(incident_key, IncidentAction.END, Level.HIGH, "", actor)


def _notification(
    row: Waiting,
    payload: Mapping[str, str],
    thresholds: ThresholdSet,
    own: Mapping[str, tuple[str, ...]],
) -> Notification:
    text, facts = (
        _text(payload),
        {name: text for name, text in payload.items() if name not in (SUBJECT, BODY)},
    )
    # A name the notification service does not know must not keep people from hearing of it.
    channels = _channels(row, payload, thresholds, own) if row.tries <= 1 else ()
    incident = _incident(row, payload)
    return Notification(
        request_id=row.request_id,
        level=row.level,
        subject=text.subject,
        body=text.body,
        # What is notified again was decided here, by the cooldown: no window of others may take it
        # for the same.
        dedupe_key=":".join(
            [
                payload["alert_id"],
                payload["incident_id"],
                payload["level"],
                str(row.ledger_sequence),
            ]
        ),
        channels=channels,
        payload={**facts, "ledger_head": row.ledger_hash.hex()},
        incident_key=incident.key,
        ends_incident=incident.ends,
        ended_incident_keys=incident.ended_keys,
        follows_incident_key="" if payload["event"] in _ENDS else _before(payload["incident_id"]),
        superseded_request_ids=row.superseded_request_ids,
        is_news=is_news(payload),
    )


def _text(payload: Mapping[str, str]) -> Text:
    if DIGEST_ID in payload:
        return Text(payload[SUBJECT], payload[BODY])
    return rule_text(payload) if "rule_id" in payload else compose(payload)


def _channels(
    row: Waiting,
    payload: Mapping[str, str],
    thresholds: ThresholdSet,
    own: Mapping[str, tuple[str, ...]],
) -> Sequence[str]:
    """Those of a digest, of the alert, of its threshold; none: those of the level."""
    if row.channels is not None:
        return row.channels
    channels = own.get(row.alert_id, ())
    kind = kind_named(payload["type"], payload["condition"])
    threshold = thresholds.find(kind, payload.get("asset", ""))
    if channels or threshold is None or "rule_id" in payload:
        return channels
    return threshold.channels(Level(row.level))


class _Incident(NamedTuple):
    """The incident a message belongs to, whether it ends that, and others that it ends."""

    key: str
    ends: bool
    ended_keys: Sequence[str]


def _incident(row: Waiting, payload: Mapping[str, str]) -> _Incident:
    own, ends = payload["incident_id"], payload["event"] in _ENDS
    ended = [*map(digest_id, row.ended_digests), *payload.get(ENDED_INCIDENTS, "").split()]
    if DIGEST_ID in payload:
        ended += row.ended_incidents or ()
        if not ends:
            return _Incident(own, ends=False, ended_keys=ended)
        # Only those who heard of it hear that it is over, unless that may not be all.
        if ended and not row.heard_elsewhere:
            return _Incident(ended[0], ends=True, ended_keys=ended[1:])
        return _Incident("", ends=False, ended_keys=ended)
    is_calm = payload["previous_level"] == Level.NORMAL.name
    # Back at NORMAL the incident had ended before, and was notified to be over.
    key = "" if payload["event"] == CLOSED and is_calm else own
    if ends and not is_calm and row.ended_digests:
        # The end of what they heard of, for those who heard of the digest.
        return _Incident(ended[0], ends=True, ended_keys=[own, *ended[1:]])
    return _Incident(key, ends and not is_calm, ended)


def _before(incident_id: str) -> str:
    """The incident of the same alert before this one; empty for the first."""
    id, _, count = incident_id.rpartition(".")
    return f"{id}.{int(count) - 1}" if count.isdecimal() and int(count) > 1 else ""
