"""What a check finds, what the ledger keeps of it, when an incident begins and ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum


class RunStatus(IntEnum):
    """Outcome of a run; the numbers are those of the protocol."""

    SUCCESS = 1
    BREACH = 2
    SKIPPED = 3
    ERROR = 4


class Level(IntEnum):
    """How bad, in the order of badness; the numbers are those of the protocol."""

    NORMAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4


@dataclass(frozen=True, slots=True)
class Part:
    """What a badge says of one subject: a position id, a wallet, an asset, a service, a channel.

    `badness`: the bigger the worse, in whatever unit; None = only the level counts.
    """

    subject: str
    value: str
    level: Level
    stale: bool = False
    badness: float | None = None


@dataclass(frozen=True, slots=True)
class Badge:
    """A value with a level, shown until its cause is gone.

    `parts` say the same subject by subject, the worst first, so that dismissing one does not hide
    the others; what is left of them is shown as a list when `listed`, else the worst of them. None:
    it has one subject.
    """

    name: str
    value: str
    level: Level
    stale: bool = False
    parts: tuple[Part, ...] = ()
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says.

    `badges` maps every badge the check owns to its value, or to None when its cause is gone.
    `concern` is one sentence for people when the monitor itself notifies them, at `level` unless a
    setting says otherwise, on `channels` when only these can be used, with `advice` on what to do;
    else empty. `members` are those the concern is about, each with its words: one that joins later
    is notified too, at its own of `member_levels` where it has
    one. `error` says what failed, or why it was SKIPPED.
    """

    status: RunStatus
    metadata: Mapping[str, object] = field(default_factory=dict)
    badges: Mapping[str, Badge | None] = field(default_factory=dict)
    concern: str = ""
    advice: str = ""
    error: str = ""
    level: Level = Level.MEDIUM
    channels: tuple[str, ...] = ()
    members: Mapping[str, str] = field(default_factory=dict)
    member_levels: Mapping[str, Level] = field(default_factory=dict)


def skipped(reason: str, words: str = "") -> Finding:
    """Not run: `reason` is one upper-case word."""
    return Finding(RunStatus.SKIPPED, error=f"{reason}: {words}" if words else reason)


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

    @property
    def duration(self) -> timedelta:
        return timedelta(seconds=self.duration_seconds)


@dataclass(frozen=True, slots=True)
class Runs:
    """Answer of a pass over several monitors."""

    runs: Sequence[Run]
    breach_count: int
    error_count: int


def counted(runs: Sequence[Run]) -> Runs:
    """The answer to these runs."""
    return Runs(
        runs=runs,
        breach_count=sum(run.status is RunStatus.BREACH for run in runs),
        error_count=sum(run.status is RunStatus.ERROR for run in runs),
    )
