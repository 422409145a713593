"""What the metrics show of the outbox and of room: tables by service, and the disk; read when
somebody asks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from services.monitor.checks import BackupReading, DiskReading
from services.monitor.store.notifications import NotificationRows
from services.monitor.store.storage import StorageSizes
from shared.clock import Clock
from shared.metrics import Figure, Values

FIGURES = (
    Figure("sonic_outbox_waiting", "Messages that xcom has not taken yet", ("service",)),
    Figure(
        "sonic_outbox_oldest_seconds", "Age of the oldest of them; 0: there is none", ("service",)
    ),
    Figure("sonic_database_bytes", "Size of a service's tables with their indexes", ("service",)),
    Figure("sonic_disk_free_bytes", "Free on the disk of SONIC_HOME that has the least room"),
    Figure("sonic_disk_size_bytes", "Size of that disk"),
    Figure(
        "sonic_backup_age_seconds", "Age of the last backup; without one, of what is to be saved"
    ),
    Figure("sonic_backup_interval_seconds", "Time between backups as it is set"),
)

Begin = Callable[[], AbstractAsyncContextManager[NotificationRows]]


class FigureStore:
    """`disk` is asked for the disk of the state's folder, `backup` for the last one; there may be
    none of each.
    """

    def __init__(
        self,
        sizes: StorageSizes,
        read: Begin,
        disk: Callable[[], Awaitable[DiskReading | None]],
        backup: Callable[[], Awaitable[BackupReading | None]],
        clock: Clock,
    ) -> None:
        self._sizes = sizes
        self._read = read
        self._disk = disk
        self._backup = backup
        self._clock = clock

    async def read(self) -> Values:
        """FIGURES; where no SONIC_HOME is seen there is no disk."""
        by_service, disk = await self._sizes.by_service(), await self._disk()
        backup = await self._backup()
        since = backup and (backup.last_time or backup.since_time)
        now = self._clock.now()
        age = (now - since).total_seconds() if since else None
        async with self._read() as store:
            waiting_count, oldest_time = await store.waiting()
        waited = max(now - oldest_time, timedelta()) if oldest_time else timedelta()
        return {
            "sonic_outbox_waiting": {("monitor",): waiting_count},
            "sonic_outbox_oldest_seconds": {("monitor",): waited.total_seconds()},
            "sonic_database_bytes": {(name,): size for name, size in by_service.items()},
            "sonic_disk_free_bytes": {(): disk.free_bytes if disk else None},
            "sonic_disk_size_bytes": {(): disk.size_bytes if disk else None},
            "sonic_backup_age_seconds": {(): age},
            "sonic_backup_interval_seconds": {
                (): backup.interval.total_seconds() if backup else None
            },
        }
