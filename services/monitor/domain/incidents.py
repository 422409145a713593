"""When a monitor's incident begins, who joins it and when it ends; each is one notification."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from services.monitor.domain.clocks import is_ahead
from services.monitor.domain.findings import Finding, Level, RunStatus

# Who was well for less than this and fails again has not joined anew: no flapping.
REJOINS_AFTER = timedelta(minutes=15)
_MOST_NAMED = 10
# That one message ends; of more those that joined first, long told, end by themselves.
_MOST_TOLD = 901
# Ids and names that xcom takes whatever they are for.
_PLAIN: Final = re.compile(r"[\w.-]{1,120}", re.ASCII)
_MOST_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class Notification:
    """Something to say to people once; its id is the idempotency key. No channels: those of the
    level.

    `incident_key` is what people answer: who heard of the beginning and says so has not heard of
    those that join later, which have one of their own. The last notification `ends_incident`, those
    of `ended_incident_keys` too, and goes to those who heard of any. `demo`: it is about simulated
    prices and positions.
    """

    id: str
    level: Level
    subject: str
    body: str
    channels: tuple[str, ...] = ()
    demo: bool = False
    incident_key: str = ""
    ends_incident: bool = False
    ended_incident_keys: tuple[str, ...] = ()
    # Empty: kept by a release that did not note it.
    monitor: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """All that it is about."""
        return (self.incident_key, *self.ended_incident_keys)


def in_plain_words(one: Notification, reason: str) -> Notification:
    """What is told in place of one that is refused: no word of its own, no channel, no key that
    xcom would not take. The end of what was told by such a key has the same one.
    """
    ended = " that something is over" if one.ends_incident else ""
    name = _plain_key(one.monitor)[:_MOST_NAME] or "unknown"
    subject = f"{name} monitor: a message{ended} could not be accepted: {_plain_key(reason)}"
    lines = (
        f"{subject}.",
        f"What it said is left out. What it finds: sonic monitors show {name}, and its badges.",
        "Why: sonic logs --level error",
    )
    return Notification(
        _plain_key(one.id),
        one.level,
        subject,
        "\n".join(lines),
        demo=one.demo,
        incident_key=_plain_key(one.incident_key),
        ends_incident=one.ends_incident and bool(one.incident_key),
        ended_incident_keys=tuple(_plain_key(key) for key in one.ended_incident_keys if key),
        monitor=one.monitor,
    )


def _plain_key(text: str) -> str:
    """As it is when xcom would take it anywhere."""
    if not text or _PLAIN.fullmatch(text):
        return text
    return f"monitor-{sha256(text.encode('utf-8', 'replace')).hexdigest()[:24]}"


@dataclass(frozen=True, slots=True)
class NotificationSettings:
    """How people chose to be notified by a monitor: None and empty leave it to the finding."""

    level: Level | None = None
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Telling:
    """Whom people were told of under one key, which they answer."""

    key: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Incident:
    """An open incident; `members` were found, each with since when it is well again (None: it is
    not).

    `notified`: somebody heard of it, or will, and is to hear of its end. `tellings`: of the
    beginning and of each that joined, those that are not over.
    """

    id: str
    members: Mapping[str, datetime | None] = field(default_factory=dict)
    notified: bool = True
    tellings: tuple[Telling, ...] = ()


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """What a finding makes of the incident: after (None: closed), at most one notification."""

    reason: str
    after: Incident | None = None
    notification: Notification | None = None

    @property
    def changed(self) -> bool:
        """Whether there is something to write."""
        return self.reason in ("OPENED", "JOINED", "LEFT", "CLOSED")


def follow(
    monitor: str,
    incident: Incident | None,
    finding: Finding,
    fresh_id: str,
    now: datetime,
    settings: NotificationSettings | None = None,
) -> IncidentChange:
    """One notification when a concern begins, one for those that join it, one for those that are
    well again for good while others are not, one when it is over.

    An ERROR or SKIPPED changes nothing, nor does a BREACH without a concern. `incident` is the open
    one or None; `fresh_id` names a new one. At NORMAL nobody is notified, but whoever heard of it
    hears of its end.
    """
    if finding.status in (RunStatus.ERROR, RunStatus.SKIPPED):
        return IncidentChange("NOT_KNOWN", incident)
    settings = settings or NotificationSettings()
    if not finding.concern:
        return _ended(monitor, incident, finding, settings)
    level = settings.level or finding.level
    opening = Notification(
        f"{fresh_id}-begin",
        level,
        f"{monitor} monitor: {finding.concern}",
        _body(finding),
        _channels(settings, finding),
        incident_key=fresh_id,
    )
    if incident is None:
        opened = Incident(
            fresh_id,
            dict.fromkeys(finding.members),
            tellings=(Telling(fresh_id, tuple(finding.members)),),
        )
        change = IncidentChange("OPENED", opened, opening)
    else:
        own = {} if settings.level else finding.member_levels
        joined = _joined(monitor, incident, finding, opening, fresh_id, now, own)
        change = _recovered(monitor, joined, now, settings)
    return change if level is not Level.NORMAL else _unnotified(change, incident)


def _ended(
    monitor: str, incident: Incident | None, finding: Finding, settings: NotificationSettings
) -> IncidentChange:
    if incident is None or finding.status is not RunStatus.SUCCESS:
        return IncidentChange("UNCHANGED", incident)
    if not incident.notified:
        return IncidentChange("CLOSED")
    names = f": {_listed(sorted(incident.members))}" if incident.members else ""
    subject = f"{monitor} monitor: all is well again{names}"
    keys = [one.key for one in incident.tellings] or [incident.id]
    return IncidentChange("CLOSED", None, _end(f"{incident.id}-end", subject, keys, settings))


def _end(
    id: str, subject: str, keys: Sequence[str], settings: NotificationSettings
) -> Notification:
    return Notification(
        id,
        Level.LOW,
        subject,
        subject,
        settings.channels,
        incident_key=keys[0],
        ends_incident=True,
        ended_incident_keys=tuple(keys[1:]),
    )


def _joined(
    monitor: str,
    incident: Incident,
    finding: Finding,
    opening: Notification,
    fresh_id: str,
    now: datetime,
    own_levels: Mapping[str, Level],
) -> IncidentChange:
    """Who is new is notified, as an incident of its own that nobody has acknowledged yet."""
    before = incident.members
    new = [name for name in finding.members if _is_new(name, before, now)]
    after = {
        **{
            name: min(since or now, now)
            for name, since in before.items()
            if name not in finding.members
        },
        **dict.fromkeys(finding.members),
    }
    if not new:
        moved = replace(incident, members=after)
        return IncidentChange("UNCHANGED" if after == dict(before) else "LEFT", moved)
    subject = f"{monitor} monitor: now also {_listed([finding.members[name] for name in new])}"
    notification = replace(
        opening,
        id=f"{fresh_id}-joined",
        subject=subject,
        level=max(own_levels.get(name, opening.level) for name in new),
    )
    tellings = (*incident.tellings, Telling(fresh_id, tuple(new)))
    if len(tellings) > _MOST_TOLD:
        # The first one is what the incident is called by.
        tellings = (tellings[0], *tellings[1 - _MOST_TOLD :])
    return IncidentChange("JOINED", Incident(incident.id, after, tellings=tellings), notification)


def _recovered(
    monitor: str, change: IncidentChange, now: datetime, settings: NotificationSettings
) -> IncidentChange:
    """The end of those that are well for good, lest people are called for what is over."""
    incident = change.after
    if change.notification is not None or incident is None or not incident.notified:
        return change
    over = [one for one in incident.tellings if _is_over(one, incident.members, now)]
    if not over:
        return change
    names = sorted({name for one in over for name in one.members})
    subject = f"{monitor} monitor: well again, while others are not: {_listed(names)}"
    keys = [one.key for one in over]
    end = _end(f"{keys[-1]}-over", subject, keys, settings)
    left = tuple(one for one in incident.tellings if one not in over)
    return IncidentChange("LEFT", replace(incident, tellings=left), end)


def _is_over(told: Telling, members: Mapping[str, datetime | None], now: datetime) -> bool:
    since = [members.get(name) for name in told.members]
    return bool(since) and all(one is not None and now - one >= REJOINS_AFTER for one in since)


def _is_new(name: str, before: Mapping[str, datetime | None], now: datetime) -> bool:
    if name not in before:
        return True
    well_since = before[name]
    if well_since is None:
        return False
    # By a clock that was ahead: for how long it was well is not known, and it is told.
    return is_ahead(well_since, now) or now - well_since >= REJOINS_AFTER


def _unnotified(change: IncidentChange, before: Incident | None) -> IncidentChange:
    notified = before is not None and before.notified
    after = change.after and replace(change.after, notified=notified)
    said = change.notification
    return IncidentChange(change.reason, after, said if said and said.ends_incident else None)


def _body(finding: Finding) -> str:
    return (
        f"{finding.concern}\n\nWhat to do: {finding.advice}" if finding.advice else finding.concern
    )


def _listed(words: Iterable[str]) -> str:
    listed = list(words)
    more = f" and {len(listed) - _MOST_NAMED} more" if len(listed) > _MOST_NAMED else ""
    return ", ".join(listed[:_MOST_NAMED]) + more


def _channels(settings: NotificationSettings, finding: Finding) -> tuple[str, ...]:
    """The chosen ones among those that can be used; none of them: all that can be used."""
    if not finding.channels:
        return settings.channels
    return tuple(name for name in settings.channels if name in finding.channels) or finding.channels
