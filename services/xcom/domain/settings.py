"""What people change at run time: channels by level, a channel's settings,
who is notified next. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from enum import IntEnum
from zoneinfo import ZoneInfo

from services.xcom.domain.messages import Level

LEVELS = "levels"
CHAIN = "chain"
WINDOWS = "windows"


class SettingSource(IntEnum):
    """Where a setting comes from; the numbers are those of the protocol."""

    DEFAULT = 1
    STORED = 2
    ENVIRONMENT = 3


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A span of every day, in minutes after midnight of its zone; an end before the start is
    tomorrow's.
    """

    start_minute: int
    end_minute: int
    time_zone: str = "UTC"

    def hold(self, now: datetime) -> bool:
        """Whether `now` lies within."""
        local = now.astimezone(ZoneInfo(self.time_zone))
        minute = local.hour * 60 + local.minute
        if self.start_minute <= self.end_minute:
            return self.start_minute <= minute < self.end_minute
        return minute >= self.start_minute or minute < self.end_minute

    def end(self, now: datetime) -> datetime:
        """When they are over next."""
        local = now.astimezone(ZoneInfo(self.time_zone))
        clock = time(*divmod(self.end_minute % 1440, 60))
        found = datetime.combine(local.date(), clock, local.tzinfo)
        if found <= local:
            found = datetime.combine(local.date() + timedelta(days=1), clock, local.tzinfo)
        return found.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class ChannelSetting:
    """What was set for one channel."""

    enabled: bool = True
    destination: str = ""
    quiet_hours: QuietHours | None = None
    quiet_budget_count: int | None = None


@dataclass(frozen=True, slots=True)
class LevelSetting:
    """Channels by name of the level; a level left out takes its default."""

    routes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """A channel, and where on it; an empty address is the channel's own destination."""

    channel: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody notified when those before did not acknowledge within `wait_seconds`."""

    name: str
    wait_seconds: float
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """Contacts in order."""

    contacts: tuple[Contact, ...] = ()


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """A planned silence from `start_time` until before `end_time`; `told_start`, `told_end`: people
    were told of it.
    """

    id: str
    name: str
    start_time: datetime
    end_time: datetime
    holds_high: bool = False
    created_by: str = ""
    told_start: bool = False
    told_end: bool = False


@dataclass(frozen=True, slots=True)
class Windows:
    """Maintenance windows, the earliest first."""

    windows: tuple[MaintenanceWindow, ...] = ()

    def held_until(self, now: datetime, *, urgent: bool) -> datetime | None:
        """When what is accepted now may be told, those that follow on each other together; None:
        at once.
        """
        holding = [one for one in self.windows if one.holds_high or not urgent]
        until = now
        for one in sorted(holding, key=lambda one: one.start_time):
            if one.start_time <= until < one.end_time:
                until = one.end_time
        return until if until > now else None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything stored, and the revision of each document by name (0: never stored)."""

    levels: LevelSetting = LevelSetting()
    chain: Chain = Chain()
    windows: Windows = Windows()
    channels: Mapping[str, ChannelSetting] = field(default_factory=dict)
    revisions: Mapping[str, int] = field(default_factory=dict)

    def channel(self, name: str) -> ChannelSetting:
        """Settings of this channel, defaults when nothing was set."""
        return self.channels.get(name, ChannelSetting())

    def etag(self, document: str) -> str:
        """Changes with every change of the document."""
        return str(self.revisions.get(document, 0))


@dataclass(frozen=True, slots=True)
class LevelRoute:
    """Channels of a level and where they come from."""

    level: Level
    channels: tuple[str, ...]
    source: SettingSource


@dataclass(frozen=True, slots=True)
class LevelDefaults:
    """The level map of the configuration; `fixed` levels were set by the environment and win."""

    channels: Mapping[Level, tuple[str, ...]]
    fixed: frozenset[Level] = frozenset()

    def route(self, level: Level, stored: LevelSetting) -> LevelRoute:
        """What holds for this level."""
        if level in self.fixed:
            return LevelRoute(level, self.channels[level], SettingSource.ENVIRONMENT)
        if level.name in stored.routes:
            return LevelRoute(level, stored.routes[level.name], SettingSource.STORED)
        return LevelRoute(level, self.channels[level], SettingSource.DEFAULT)
