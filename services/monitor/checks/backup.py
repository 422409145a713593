"""Whether backups are taken: one that fails every night is noticed when it is needed, else."""

from __future__ import annotations

from datetime import timedelta

from services.monitor.checks import BackupReading, Check, CheckContext
from services.monitor.domain.findings import Badge, Finding, Level, RunStatus, skipped

_BADGE = "backup_badge"
# Over so many intervals without one.
_LATE_INTERVALS = 2.0
_VERY_LATE_INTERVALS = 7.0


class BackupCheck(Check):
    """MEDIUM when the last backup is older than two intervals, or its folder is not the one it was;
    HIGH over seven of them.
    """

    name = "backup"
    description = "Age of the last backup that sonic up takes, and whether its disk is there"
    interval = timedelta(minutes=10)
    outside = True

    async def run(self, context: CheckContext) -> Finding:
        """BREACH when it is too old; SKIPPED NOT_CONFIGURED where none is to be taken."""
        reading = await context.readings.backup()
        if reading is None:
            return skipped("NOT_CONFIGURED", "sonic up takes none here; see docs/backups.md")
        since = reading.last_time or reading.since_time or context.start_time or context.now
        age = context.now - since
        metadata: dict[str, object] = {
            "folder": reading.folder,
            "last_time": reading.last_time.isoformat() if reading.last_time else None,
            "age_hours": round(age / timedelta(hours=1), 1),
            "interval_hours": reading.interval / timedelta(hours=1),
        }
        if age <= reading.interval * _LATE_INTERVALS and not reading.problem:
            return Finding(RunStatus.SUCCESS, metadata, {_BADGE: None})
        members = {"late": (words := _words(reading, age))}
        level = Level.MEDIUM
        if age > reading.interval * _VERY_LATE_INTERVALS:
            # Who joins is told, at the level of then.
            members["very late"], level = words, Level.HIGH
        return Finding(
            RunStatus.BREACH,
            metadata,
            {_BADGE: Badge(_BADGE, words, level)},
            concern=words,
            advice=""
            if reading.problem
            else f"Try `sonic backup`, which says what is wrong with {reading.folder} or the"
            " database; sonic up tries again by itself.",
            level=level,
            members=members,
        )


def _words(reading: BackupReading, age: timedelta) -> str:
    if reading.problem:
        return f"no backup can be taken: {reading.problem}"
    days = f"{age / timedelta(days=1):.1f} days"
    if reading.last_time is None:
        return f"there is no backup of what is kept for {days}"
    return f"the last backup is {days} old"
