"""The slots of the schedule: which one is due, how many were missed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.errors import invalid

SHORTEST = timedelta(seconds=5)
LONGEST = timedelta(days=1)
# A slot counts as due until half an interval has passed, so that a take-over still runs it.
_LATENESS_RATIO = 0.5
# A wall clock that moves this much apart from the monotonic one was set, not adjusted.
STEP = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Setting:
    interval: timedelta
    enabled: bool
    next_time: datetime
    missed_count: int
    version: int


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds it; `owner` empty when it has run out."""

    epoch: int
    owner: str


@dataclass(frozen=True, slots=True)
class Due:
    """What the schedule says now: the slot to run (or none), slots missed, and the slot after."""

    slot_time: datetime | None
    missed_count: int
    next_time: datetime


def due(setting: Setting, now: datetime, *, anew: bool = False, held_up: bool = False) -> Due:
    """Slots in the past are counted, never run. `anew`: whoever begins to own the schedule after it
    stood still does not wait for the grid, but runs a slot of this moment. `held_up`: a cycle of
    no slot ran over it, so that the last one is run however late. A slot further ahead than an
    interval is of a clock that was set back since: one of this moment is run instead.
    """
    late = now - setting.next_time
    if late < -setting.interval - STEP:
        return Due(now, 0, now + setting.interval)
    if late < timedelta(0):
        return Due(None, 0, setting.next_time)
    passed = late // setting.interval
    last = setting.next_time + passed * setting.interval
    in_time = held_up or now - last <= setting.interval * _LATENESS_RATIO
    if in_time and not (anew and passed):
        return Due(last, passed, last + setting.interval)
    if anew:
        return Due(now, passed + 1, now + setting.interval)
    return Due(None, passed + 1, last + setting.interval)


def is_held_up(interval: timedelta, cycle_seconds: float, *, by_pull: bool, before: bool) -> bool:
    """Whether the slot after a cycle of this length is late because of one that was pulled. A
    cycle of a slot that takes the whole interval makes the next late by itself, and is to be
    followed by a pause as ever.
    """
    return by_pull or (before and cycle_seconds < interval.total_seconds())


def checked_interval(interval: timedelta) -> timedelta:
    """Raises InvalidArgument INVALID_FIELD outside 5 s to 1 day."""
    if not SHORTEST <= interval <= LONGEST:
        problem = "5 seconds to 1 day"
        raise invalid("schedule.interval", problem, f"interval is {problem}")
    return interval


def clock_step(wall: timedelta, steady: timedelta) -> timedelta:
    """By how much the wall clock was set between two readings, zero when it only drifted."""
    step = wall - steady
    return step if abs(step) >= STEP else timedelta(0)
