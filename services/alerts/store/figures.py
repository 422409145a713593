"""What the metrics show of the outbox and the ledger: one statement when somebody asks."""

from __future__ import annotations

from datetime import datetime

from shared.clock import Clock
from shared.database.statement import Statement
from shared.database.transaction import Transaction
from shared.metrics import Figure, Values

OUTBOX_FIGURES = (
    Figure("sonic_outbox_waiting", "Messages that xcom has not taken yet", ("service",)),
    Figure(
        "sonic_outbox_oldest_seconds", "Age of the oldest of them; 0: there is none", ("service",)
    ),
    Figure("sonic_ledger_head", "Number of the last row of the ledger"),
    Figure(
        "sonic_ledger_head_unanchored_seconds",
        "Age of the oldest row of the ledger whose hash has not left the system; 0: there is none",
    ),
)
_READ = Statement("""
    select waiting.count as waiting_count, waiting.oldest_time,
        (select max(sequence) from ledger) as head_sequence,
        (select entry_time from ledger
            where sequence > coalesce((select sequence from anchor), 0)
            order by sequence limit 1) as unanchored_time
    from (select count(*) as count, min(created_time) as oldest_time from outbox
        where sent_time is null and not noted) as waiting
""")


class FigureStore:
    """Of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def read(self, clock: Clock) -> Values:
        """OUTBOX_FIGURES."""
        (row,) = await self._transaction.fetch(_READ)
        now = clock.now()
        return {
            "sonic_outbox_waiting": {("alerts",): row["waiting_count"]},
            "sonic_outbox_oldest_seconds": {("alerts",): _age_seconds(now, row["oldest_time"])},
            "sonic_ledger_head": {(): row["head_sequence"] or 0},
            "sonic_ledger_head_unanchored_seconds": {(): _age_seconds(now, row["unanchored_time"])},
        }


def _age_seconds(now: datetime, moment: datetime | None) -> float:
    return 0.0 if moment is None else max((now - moment).total_seconds(), 0.0)
