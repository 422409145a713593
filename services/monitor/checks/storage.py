"""How much each service keeps in the database, so that its growth can be told; and whether rows of
the ledger that are past their age leave.
"""

from __future__ import annotations

from datetime import timedelta

from services.monitor.checks import Check, CheckContext, LedgerReading
from services.monitor.domain.findings import Badge, Finding, Level, RunStatus

# Beside the services: what left the database of alerts is on a disk as well.
SEALED = "sealed ledger"
_BADGE = "storage_badge"


class StorageCheck(Check):
    """A breach only of the ledger: the disk's own monitor says when room gets low."""

    name = "storage"
    description = "Bytes that each service keeps, and whether old rows of the ledger leave"
    interval = timedelta(hours=1)
    outside = True

    async def run(self, context: CheckContext) -> Finding:
        """Bytes by service in `bytes`, of tables with their indexes, and of sealed files; `ledger`:
        null when alerts does not answer. BREACH when rows of the ledger that are past their age do
        not leave.
        """
        sizes = dict(await context.readings.storage())
        ledger = await context.readings.ledger()
        if ledger is not None and ledger.file_bytes:
            sizes[SEALED] = ledger.file_bytes
        metadata: dict[str, object] = {"bytes": sizes, "ledger": _told(ledger)}
        if ledger is None:
            # What is not known ends nothing that was told.
            was_well = context.last is None or context.last.status is RunStatus.SUCCESS
            return Finding(RunStatus.SUCCESS if was_well else RunStatus.BREACH, metadata)
        if not (ledger.overdue and ledger.problem):
            return Finding(RunStatus.SUCCESS, metadata, {_BADGE: None})
        words = f"old rows of the ledger stay: {ledger.problem}"
        return Finding(
            RunStatus.BREACH,
            metadata,
            {_BADGE: Badge(_BADGE, words, Level.LOW)},
            concern=words,
            advice="Until then the database grows; nothing is lost. sonic ledger age says more.",
            level=Level.LOW,
        )


def _told(ledger: LedgerReading | None) -> dict[str, object] | None:
    if ledger is None:
        return None
    oldest = ledger.oldest_time
    return {
        "kept_days": ledger.kept_days,
        "rows": ledger.row_count,
        "oldest_time": None if oldest is None else oldest.isoformat(),
        "sealed_rows": ledger.sealed_row_count,
        "files": ledger.file_count,
        "overdue": ledger.overdue,
        "problem": ledger.problem,
    }
