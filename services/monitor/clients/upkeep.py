"""What is to be looked after on this machine: backups and certificates, by their files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from services.monitor.checks import BackupReading, CertificateReading
from shared.backup_files import last_taken
from shared.backup_place import remembered, trouble
from shared.clock import Clock
from shared.tls_files import validity

T = TypeVar("T")
# A folder of another machine may hang.
_READ_SECONDS = 5.0


class Upkeep:
    """`backups`: where sonic up leaves them and how often, None: it takes none. `certificates`: the
    one of this process; beside it are those of the others on this machine.
    """

    def __init__(
        self,
        backups: tuple[Path, timedelta] | None,
        home: Path | None,
        certificate: Path | None,
        clock: Clock,
    ) -> None:
        self._backups = backups
        self._home = home
        self._certificate = certificate
        self._clock = clock

    async def backup(self) -> BackupReading | None:
        """See services.monitor.checks.Readings."""
        if self._backups is None:
            return None
        folder, interval = self._backups
        problem = await _bounded(lambda: trouble(folder, self._home))
        if problem:
            # What lies in a folder that is another one, or cannot be read, says nothing.
            place = await _bounded(lambda: remembered(folder, self._home))
            taken_time = place.taken_time if place else None
            return BackupReading(str(folder), interval, taken_time, self._since(), problem)
        last = await _bounded(lambda: last_taken(folder, self._clock.now()))
        return BackupReading(str(folder), interval, last, self._since())

    async def certificates(self) -> tuple[CertificateReading, ...]:
        """See services.monitor.checks.Readings."""
        if self._certificate is None:
            return ()
        # Those that sonic up makes lie together; anybody else's folder is none of our business.
        own = self._home is not None and self._certificate.parent == self._home / "tls"
        files = sorted(self._certificate.parent.glob("*.crt")) if own else [self._certificate]
        return tuple(await asyncio.gather(*map(_certificate, files)))

    def _since(self) -> datetime | None:
        """When this machine's own database was made."""
        if self._home is None:
            return None
        try:
            password = self._home / "postgres" / "password"
            return datetime.fromtimestamp(password.stat().st_mtime, UTC)
        except OSError:
            return None


async def _certificate(file: Path) -> CertificateReading:
    try:
        begin_time, end_time = validity(await _bounded(file.read_bytes))
    except (OSError, ValueError) as problem:
        return CertificateReading(file.stem, None, None, str(problem))
    return CertificateReading(file.stem, begin_time, end_time)


async def _bounded(read: Callable[[], T]) -> T:
    async with asyncio.timeout(_READ_SECONDS):
        return await asyncio.to_thread(read)
