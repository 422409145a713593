"""Backups that `sonic up` takes by itself, and how old the last one is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

from services.cli.backup.archive import backups_in, taken_time
from services.cli.children import Say
from shared.clock import Clock
from shared.errors import SonicError

# Not beside the start, which wants the machine for itself.
_FIRST_SECONDS = 120.0
_AGAIN_SECONDS = 600.0
# Over this many intervals without one somebody should look.
_OVERDUE_INTERVALS = 2.0


def last_taken(folder: Path) -> datetime | None:
    """When the newest backup of the folder was taken."""
    found = backups_in(folder)
    return taken_time(found[-1]) if found else None


def overdue(folder: Path, hours: float, now: datetime) -> str:
    """A sentence when the last backup is too old, or when there is none though there should be."""
    if hours <= 0:
        return ""
    taken = last_taken(folder)
    if taken is None:
        return ""
    age = now - taken
    if age <= timedelta(hours=hours * _OVERDUE_INTERVALS):
        return ""
    return (
        f"The last backup is {age / timedelta(days=1):.1f} days old: see what `sonic backup` says."
    )


def forget(folder: Path, kept: int) -> None:
    """Deletes the oldest beyond the number kept."""
    for old in backups_in(folder)[:-kept]:
        old.unlink(missing_ok=True)


class Backups:
    """Takes one whenever the last is `hours` old; a failure is said and tried again."""

    def __init__(
        self,
        take: Callable[[], Awaitable[Path]],
        folder: Path,
        say: Say,
        clock: Clock,
        *,
        hours: float,
        kept: int,
    ) -> None:
        self._take = take
        self._folder = folder
        self._say = say
        self._clock = clock
        self._interval = timedelta(hours=hours)
        self._kept = kept

    async def run(self) -> None:
        """For ever."""
        await self._clock.sleep(_FIRST_SECONDS)
        while True:
            await self._clock.sleep(await self._turn())

    async def _turn(self) -> float:
        """Seconds until the next."""
        last = await asyncio.to_thread(last_taken, self._folder)
        if last is not None and (left := last + self._interval - self._clock.now()) > timedelta(0):
            # A clock that steps must not put it off for long.
            return min(left.total_seconds(), self._interval.total_seconds(), 3_600.0)
        try:
            file = await self._take()
            await asyncio.to_thread(forget, self._folder, self._kept)
        except (SonicError, OSError) as error:
            words = error.message if isinstance(error, SonicError) else str(error)
            self._say(f"backup: failed: {words}; again in {_AGAIN_SECONDS / 60:.0f} minutes")
            return _AGAIN_SECONDS
        self._say(f"backup: {file}")
        return min(self._interval.total_seconds(), 3_600.0)
