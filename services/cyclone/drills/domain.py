"""How a drill goes on. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum

USUAL_LIMIT = timedelta(minutes=30)


class DrillState(IntEnum):
    """How a drill stands; the numbers are those of the protocol."""

    PLANNED = 1
    RUNNING = 2
    ANSWERED = 3
    TIMED_OUT = 4
    HIGH_STANDS = 5
    CANCELLED = 6


@dataclass(frozen=True, slots=True)
class Drill:
    """`begun_time`: the first ping was kept back; `code_hash`: of what answers it."""

    id: str
    state: DrillState
    start_time: datetime
    limit_seconds: float
    code_hash: str
    begun_time: datetime | None = None
    ended_time: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing is kept back by it any more."""
        return self.state not in (DrillState.PLANNED, DrillState.RUNNING)

    @property
    def told_after(self) -> timedelta | None:
        """From the first ping that was kept back to the answer; None without one."""
        if self.state is not DrillState.ANSWERED or not self.begun_time or not self.ended_time:
            return None
        return self.ended_time - self.begun_time


def hash_of(code: str) -> str:
    """What is kept of a code."""
    return hashlib.sha256(code.strip().lower().encode()).hexdigest()


def ended(drill: Drill, state: DrillState, now: datetime) -> Drill:
    """It is over."""
    return replace(drill, state=state, ended_time=now)


def at_a_ping(drill: Drill, now: datetime, *, is_high: bool) -> Drill:
    """The drill when a ping is about to be sent: a running one keeps it back.

    By the time since it was to start, however long nobody looked: it never goes on beyond its
    limit. Of danger nothing is kept back.
    """
    if drill.is_over:
        return drill
    if drill.begun_time is not None and now < drill.begun_time:
        # The clock was set back: how long it goes on is not known any more.
        return ended(drill, DrillState.TIMED_OUT, now)
    if now < drill.start_time:
        return drill
    since = drill.begun_time or drill.start_time
    if (now - since).total_seconds() >= drill.limit_seconds:
        return ended(drill, DrillState.TIMED_OUT, now)
    if is_high:
        return ended(drill, DrillState.HIGH_STANDS, now)
    return replace(drill, state=DrillState.RUNNING, begun_time=drill.begun_time or now)
