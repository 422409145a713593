"""Backups that `sonic up` takes by itself, and how old the last one is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.cli.children import Say
from shared.backup_files import last_taken, past
from shared.clock import Clock
from shared.errors import SonicError

# Not beside the start, which wants the machine for itself.
_FIRST_SECONDS = 120.0
_AGAIN_SECONDS = 600.0
# Over this many intervals without one somebody should look.
_OVERDUE_INTERVALS = 2.0


def made_time(home: Path) -> datetime | None:
    """When this machine's own database was made; None when there is none."""
    try:
        return datetime.fromtimestamp((home / "postgres" / "password").stat().st_mtime, UTC)
    except OSError:
        return None


def overdue(folder: Path, hours: float, now: datetime, since: datetime | None = None) -> str:
    """A sentence when the last backup is too old, or when there is none though there should be:
    what is to be saved is there `since`.
    """
    if hours <= 0:
        return ""
    taken = last_taken(folder, now)
    counted_from = taken or since
    if counted_from is None:
        return ""
    age = now - counted_from
    if age <= timedelta(hours=hours * _OVERDUE_INTERVALS):
        return ""
    days = f"{age / timedelta(days=1):.1f} days"
    if taken is None:
        return f"There is no backup of what is kept for {days}: see what `sonic backup` says."
    return f"The last backup is {days} old: see what `sonic backup` says."


def forget(folder: Path, kept: int, now: datetime) -> None:
    """Deletes the oldest beyond the number kept; none that seems to be of the future, as it may be
    this clock that is wrong.
    """
    for old in past(folder, now)[:-kept]:
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
        now = self._clock.now()
        try:
            last = await asyncio.to_thread(last_taken, self._folder, now)
            if last is not None and (left := last + self._interval - now) > timedelta(0):
                # A clock that steps must not put it off for long.
                return min(left.total_seconds(), self._interval.total_seconds(), 3_600.0)
            file = await self._take()
            await asyncio.to_thread(forget, self._folder, self._kept, self._clock.now())
        except Exception as error:  # noqa: BLE001  # whatever it was, the next one must be tried
            words = error.message if isinstance(error, SonicError) else repr(error)
            self._say(f"backup: failed: {words}; again in {_AGAIN_SECONDS / 60:.0f} minutes")
            return _AGAIN_SECONDS
        self._say(f"backup: {file}")
        return min(self._interval.total_seconds(), 3_600.0)
