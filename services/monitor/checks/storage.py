"""How much each service keeps in the database, so that its growth can be told."""

from __future__ import annotations

from datetime import timedelta

from services.monitor.checks import Check, CheckContext
from services.monitor.domain.findings import Finding, RunStatus


class StorageCheck(Check):
    """Never a breach: the disk's own monitor says when room gets low."""

    name = "storage"
    description = "Bytes that each service keeps in the database"
    interval = timedelta(hours=1)
    outside = True

    async def run(self, context: CheckContext) -> Finding:
        """SUCCESS with bytes by service in `bytes`, of tables with their indexes."""
        return Finding(RunStatus.SUCCESS, {"bytes": dict(await context.readings.storage())})
