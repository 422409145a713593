"""How old the ledger is, what left, and what keeps rows that should have. Writes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from services.alerts.ledger.domain.segments import Kept, Seal
from services.alerts.ledger.service.reading import readable
from services.alerts.ledger.service.retention import NO_FOLDER, Retention
from services.alerts.service.snapshot_cache import SnapshotCache
from shared import paging
from shared.errors import FailedPrecondition
from shared.paging import Page

_ABOVE_ALL = 2**63 - 1


@dataclass(frozen=True, slots=True)
class LedgerAge:
    """See the schema; `file_byte_count` None: no folder."""

    kept: Kept
    has_folder: bool
    row_count: int
    oldest_time: datetime | None
    sealed_row_count: int
    file_count: int
    file_byte_count: int | None
    overdue: bool
    problem: str


class LedgerOverview:
    """What `sonic status`, doctor and the monitor of storage say of the ledger."""

    def __init__(self, cache: SnapshotCache, retention: Retention) -> None:
        self._cache = cache
        self._retention = retention

    async def segments(self, page_size: int, page_token: str) -> Page[Seal]:
        """Newest first."""
        context = paging.context("segments")
        page = paging.parse(page_size, page_token, context=context)
        after = page.after[0] if page.after else None
        before = after if isinstance(after, int) else _ABOVE_ALL
        async with self._cache.begin_statement() as store:
            rows = await store.seals.before(before, page.size + 1)
        seals, _ = readable(rows)
        return paging.cut(seals, page, context, lambda seal: (seal.sequence,))

    async def age(self) -> LedgerAge:
        """As it is now; raises nothing for a folder that cannot be looked at: it is said."""
        retention, files = self._retention, self._retention.files
        async with self._cache.begin_statement() as store:
            head = await store.ledger.head()
            first = await store.seals.first_sequence()
            oldest = None if first is None else await store.seals.time(first)
            seals, _ = readable(await store.seals.last_few(1))
            file_count = await store.seals.count() if seals else 0
        last = seals[0] if seals else None
        problem, byte_count = retention.problem, None
        try:
            rows = await retention.overdue(retention.kept, last, head.sequence)
            is_overdue = rows is not None
            if files is not None:
                byte_count = await asyncio.to_thread(files.byte_count)
            elif is_overdue:
                problem = NO_FOLDER
        except FailedPrecondition as error:
            is_overdue, problem = True, error.message
        return LedgerAge(
            retention.kept,
            files is not None,
            0 if first is None else head.sequence - first + 1,
            oldest,
            last.segment.last_sequence if last else 0,
            file_count,
            byte_count,
            is_overdue,
            problem,
        )
