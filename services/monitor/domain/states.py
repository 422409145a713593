"""How a monitor and all of them stand: health, due time, counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum

from services.monitor.domain.badges import KeptBadge
from services.monitor.domain.clocks import is_ahead
from services.monitor.domain.findings import Level, Run, RunStatus
from services.monitor.domain.incidents import Incident
from services.monitor.domain.settings import Chosen, Setting, resting_reason, snoozed_until


class Health(IntEnum):
    """Health of a monitor; the numbers are those of the protocol."""

    HEALTHY = 1
    WARNING = 2
    ERROR = 3
    OFFLINE = 4


# A late monitor is a WARNING up to this many intervals, then OFFLINE.
OFFLINE_INTERVAL_COUNT = 3
_LATE_INTERVAL_COUNT = 1.5
NOT_CONFIGURED = "NOT_CONFIGURED"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """When Cyclone last called with a cycle, and what it said: the time between cycles, whether all
    is simulated; None = never, not said.
    """

    call_time: datetime | None = None
    cycle_interval: timedelta | None = None
    demo: bool | None = None


@dataclass(frozen=True, slots=True)
class StoredMonitor:
    """What is kept of a monitor. `last_run`: the last not SKIPPED; `last_time`: of any run."""

    chosen: Chosen = field(default_factory=Chosen)
    last_run: Run | None = None
    last_time: datetime | None = None
    last_skipped: str = ""
    incident: Incident | None = None
    badges: tuple[KeptBadge, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """A monitor as it stands; `resting_reason`: DISABLED, SNOOZED, or NOT_CONFIGURED when its
    newest run found nothing that it could check.
    """

    name: str
    description: str
    every_cycle: bool
    origin: str
    setting: Setting
    last_run: Run | None
    health: Health
    next_run_time: datetime | None
    snoozed_until_time: datetime | None
    resting_reason: str
    incident_open: bool


@dataclass(frozen=True, slots=True)
class Status:
    """How the monitors stand together."""

    health: Health
    counts: dict[Health, int]
    resting_count: int
    level: Level
    incident_count: int
    waiting_count: int
    call_time: datetime | None


def health(last: Run | None, interval: timedelta, now: datetime) -> Health:
    """Never ran, three intervals late or at a time that lies ahead: OFFLINE. Failed: ERROR. Late
    or in breach: WARNING.
    """
    if last is None or is_ahead(last.started_time, now):
        return Health.OFFLINE
    if now - last.started_time >= OFFLINE_INTERVAL_COUNT * interval:
        return Health.OFFLINE
    if last.status is RunStatus.ERROR:
        return Health.ERROR
    late = now - last.started_time > _LATE_INTERVAL_COUNT * interval
    return Health.WARNING if late or last.status is RunStatus.BREACH else Health.HEALTHY


def state(
    name: str,
    description: str,
    every_cycle: bool,
    origin: str,
    setting: Setting,
    stored: StoredMonitor,
    now: datetime,
) -> State:
    """Puts together what a monitor is, what was chosen and what happened."""
    interval = setting.interval_after(stored.last_run)
    due = None if stored.last_time is None else stored.last_time + interval
    end = snoozed_until(setting, stored.last_run, now)
    return State(
        name=name,
        description=description,
        every_cycle=every_cycle,
        origin=origin,
        setting=setting,
        last_run=stored.last_run,
        health=health(stored.last_run, setting.interval, now),
        next_run_time=max(due, end or due) if due and setting.enabled else None,
        snoozed_until_time=end,
        resting_reason=_resting(setting, stored, now),
        incident_open=stored.incident is not None,
    )


def _resting(setting: Setting, stored: StoredMonitor, now: datetime) -> str:
    chosen = resting_reason(setting, stored.last_run, now).partition(":")[0]
    skipped = stored.last_skipped.partition(":")[0]
    return chosen or (skipped if skipped == NOT_CONFIGURED else "")


def status(
    states: Sequence[State],
    badges: Sequence[KeptBadge],
    waiting_count: int,
    call_time: datetime | None,
) -> Status:
    """The worst of those that do not rest."""
    at_work = [one for one in states if not one.resting_reason]
    counts = {kind: sum(one.health is kind for one in at_work) for kind in Health}
    shown = [badge.level for kept in badges if (badge := kept.shown) is not None]
    return Status(
        health=max((one.health for one in at_work), default=Health.HEALTHY),
        counts=counts,
        resting_count=len(states) - len(at_work),
        level=max(shown, default=Level.NORMAL),
        incident_count=sum(one.incident_open for one in states),
        waiting_count=waiting_count,
        call_time=call_time,
    )
