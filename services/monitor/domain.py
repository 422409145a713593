"""What a check finds, how healthy a monitor is, when an incident begins and ends: pure.

Refuses to judge positions: levels come from the one judge, they are only read here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum


class RunStatus(IntEnum):
    """Outcome of a run; the numbers are those of the protocol."""

    SUCCESS = 1
    BREACH = 2
    SKIPPED = 3
    ERROR = 4


class Health(IntEnum):
    """Health of a monitor; the numbers are those of the protocol."""

    HEALTHY = 1
    WARNING = 2
    ERROR = 3
    OFFLINE = 4


class Level(StrEnum):
    """How bad; in the order of badness."""

    NORMAL = "NORMAL"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


# A late monitor is a WARNING up to this many intervals, then OFFLINE.
OFFLINE_INTERVAL_COUNT = 3


@dataclass(frozen=True, slots=True)
class Badge:
    """A value with a level, shown until its cause is gone."""

    name: str
    value: str
    level: Level
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says.

    `badges` maps every badge the check owns to its value, or to None when its cause is gone. `concern` is
    one sentence for people when the monitor itself tells them (MEDIUM), else empty.
    """

    status: RunStatus
    metadata: Mapping[str, object] = field(default_factory=dict)
    badges: Mapping[str, Badge | None] = field(default_factory=dict)
    concern: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One row of the ledger of runs."""

    monitor: str
    started_time: datetime
    duration_seconds: float
    status: RunStatus
    metadata: Mapping[str, object]
    error: str
    cycle_id: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True)
class Runs:
    """Answer of a pass over several monitors."""

    runs: Sequence[Run]
    breach_count: int
    error_count: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell people once; its id is the idempotency key."""

    id: str
    level: Level
    subject: str
    body: str


def health(last: Run | None, interval: timedelta, now: datetime) -> Health:
    """Never ran or three intervals late: OFFLINE. Failed: ERROR. Late or in breach: WARNING."""
    if last is None or now - last.started_time >= OFFLINE_INTERVAL_COUNT * interval:
        return Health.OFFLINE
    if last.status is RunStatus.ERROR:
        return Health.ERROR
    late = now - last.started_time > 1.5 * interval
    return Health.WARNING if late or last.status is RunStatus.BREACH else Health.HEALTHY


def is_due(last: Run | None, interval: timedelta, now: datetime) -> bool:
    """Whether an interval has passed since the last run that was not skipped."""
    return last is None or now - last.started_time >= interval


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """What a finding does to the monitor's incident, with the reason; at most one notice."""

    reason: str
    opened: bool = False
    closed: bool = False
    notice: Notice | None = None


def follow(monitor: str, incident_id: str | None, finding: Finding, fresh_id: str) -> IncidentChange:
    """One notice when a concern begins, one when it is over; an ERROR or SKIPPED changes nothing.

    `incident_id` is the open incident or None; `fresh_id` names a new one.
    """
    if finding.status in (RunStatus.ERROR, RunStatus.SKIPPED):
        return IncidentChange("NOT_KNOWN")
    if finding.concern and incident_id is None:
        subject = f"{monitor} monitor: {finding.concern}"
        return IncidentChange(
            "OPENED", opened=True, notice=Notice(f"{fresh_id}-begin", Level.MEDIUM, subject, finding.concern)
        )
    if not finding.concern and incident_id is not None:
        subject = f"{monitor} monitor: all is well again"
        return IncidentChange(
            "CLOSED", closed=True, notice=Notice(f"{incident_id}-end", Level.LOW, subject, subject)
        )
    return IncidentChange("UNCHANGED")
