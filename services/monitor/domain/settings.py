"""Settings of a monitor: its defaults, what people chose, what the environment decides; rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.monitor.domain.clocks import is_ahead
from services.monitor.domain.findings import Level, Run, RunStatus
from services.monitor.domain.incidents import NotificationSettings

# Due this much early already: a cycle may come a moment before the interval has passed.
_EARLY_SHARE = 0.05
_EARLY_LIMIT = timedelta(seconds=5)
# The longest rest that is chosen by hand.
SNOOZE_LIMIT = timedelta(days=30)
# The only name that is shortened in the environment: LIQ_MON_THRESHOLD_PERCENT.
_SHORT_NAMES = {"liquidation": "liq"}

Value = bool | float
# Field of a monitor, by the end of its variable's name.
VARIABLES: Mapping[str, str] = {
    "threshold_percent": "threshold_percent",
    "snooze_seconds": "snooze",
    "interval_seconds": "interval",
    "enabled": "enabled",
}


def prefixes(monitor: str) -> tuple[str, ...]:
    """Beginnings of its variables, the winning one first: LIQ_MON, then LIQUIDATION_MON."""
    name = "".join(letter if letter.isalnum() else "_" for letter in monitor.lower())
    short = _SHORT_NAMES.get(name)
    return tuple(f"{one}_mon" for one in ((short, name) if short else (name,)))


@dataclass(frozen=True, slots=True)
class Override:
    """A value of the environment (seconds, percent, yes or no) and its variable."""

    value: Value
    variable: str


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a monitor brings itself. `takes_threshold`: a percent means something to it;
    `retry_interval` counts after a BREACH or an ERROR when it is shorter, None: it makes no
    difference.
    """

    interval: timedelta
    threshold_percent: float | None = None
    takes_threshold: bool = False
    retry_interval: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What people chose for a monitor; None = nothing. `version` counts changes."""

    enabled: bool | None = None
    interval_seconds: float | None = None
    threshold_percent: float | None = None
    notification_level: Level | None = None
    channels: tuple[str, ...] = ()
    snooze_seconds: float | None = None
    snoozed_until_time: datetime | None = None
    # When that was chosen; None: not noted.
    snoozed_time: datetime | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Setting:
    """What counts now. `environment` names the variable of each field that one decides."""

    enabled: bool
    interval: timedelta
    is_interval_chosen: bool
    threshold_percent: float | None
    snooze: timedelta
    snoozed_until_time: datetime | None
    snoozed_time: datetime | None
    notification: NotificationSettings
    version: int
    environment: Mapping[str, str] = field(default_factory=dict)
    retry_interval: timedelta | None = None

    def interval_after(self, last: Run | None) -> timedelta:
        """The time to the next run; `last`: not SKIPPED."""
        failed = last is not None and last.status in (RunStatus.BREACH, RunStatus.ERROR)
        if not failed or self.retry_interval is None:
            return self.interval
        return min(self.retry_interval, self.interval)


def effective(defaults: Defaults, chosen: Chosen, overrides: Mapping[str, Override]) -> Setting:
    """The environment (`overrides`, by field) wins over what was chosen, that over defaults."""

    def decided(name: str, stored: Value | None, default: Value | None) -> Value | None:
        if name in overrides:
            return overrides[name].value
        return default if stored is None else stored

    interval = decided("interval", chosen.interval_seconds, defaults.interval.total_seconds())
    threshold = decided("threshold_percent", chosen.threshold_percent, defaults.threshold_percent)
    return Setting(
        enabled=bool(decided("enabled", chosen.enabled, True)),
        interval=timedelta(seconds=float(interval or 0)),
        is_interval_chosen="interval" in overrides or chosen.interval_seconds is not None,
        threshold_percent=threshold,
        snooze=timedelta(seconds=float(decided("snooze", chosen.snooze_seconds, 0.0) or 0)),
        snoozed_until_time=chosen.snoozed_until_time,
        snoozed_time=chosen.snoozed_time,
        notification=NotificationSettings(chosen.notification_level, chosen.channels),
        version=chosen.version,
        environment={name: override.variable for name, override in overrides.items()},
        retry_interval=defaults.retry_interval,
    )


def snoozed_until(setting: Setting, last: Run | None, now: datetime) -> datetime | None:
    """The end of its rest, by hand or after a breach; None: no rest. `last`: not SKIPPED."""
    ends = [end] if (end := _snoozed_by_hand(setting, now)) else []
    is_breach = last is not None and last.status is RunStatus.BREACH
    # One from ahead would snooze for as long as the clock was wrong.
    if last is not None and is_breach and setting.snooze and not is_ahead(last.started_time, now):
        ends.append(last.started_time + setting.snooze)
    end = max(ends, default=None)
    return end if end is not None and now < end else None


def _snoozed_by_hand(setting: Setting, now: datetime) -> datetime | None:
    """The end as it was chosen; None where a clock chose it that was ahead: how much of it is left
    is not known.
    """
    end, chosen_time = setting.snoozed_until_time, setting.snoozed_time
    if end is None or is_ahead(end, now + SNOOZE_LIMIT):
        return None
    return None if chosen_time is not None and is_ahead(chosen_time, now) else end


def resting_reason(setting: Setting, last: Run | None, now: datetime) -> str:
    """Why it does not run now: DISABLED or SNOOZED with words; empty when it does."""
    if not setting.enabled:
        variable = setting.environment.get("enabled")
        return f"DISABLED: {variable} says so" if variable else "DISABLED"
    if (end := snoozed_until(setting, last, now)) is not None:
        return f"SNOOZED: until {end:%Y-%m-%d %H:%M:%S} UTC"
    return ""


def is_due(last_time: datetime | None, interval: timedelta, now: datetime) -> bool:
    """Whether an interval has passed, all but a moment; a time from the future counts as none."""
    if last_time is None or last_time > now:
        return True
    return now - last_time >= interval - min(interval * _EARLY_SHARE, _EARLY_LIMIT)
