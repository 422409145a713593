"""Totals and their history."""

from datetime import datetime

from services.positions.domain.totals import Totals
from services.positions.service.needs import Begin
from services.positions.store.portfolio import Snapshot
from shared import paging
from shared.clock import Clock
from shared.database.fence import Step
from shared.errors import InvalidArgument
from shared.paging import Page

_CLEAR = "clear"


class PortfolioService:
    """Use cases of totals."""

    def __init__(self, begin: Begin, read: Begin, clock: Clock) -> None:
        self._begin = begin
        self._read = read
        self._clock = clock

    async def totals(self) -> Totals:
        """As of the last pass."""
        async with self._read() as store:
            return await store.passes.totals()

    async def record(self, step: Step) -> Snapshot:
        """Keep the totals; the same cycle answers with its first snapshot. Raises Conflict STALE_EPOCH."""
        now = self._clock.now()
        async with self._begin() as store:
            known = await store.enter(step, Snapshot)
            if known is not None:
                return known
            snapshot = await store.portfolio.record(await store.passes.totals(), step.cycle_id, now)
            await store.record(step, Snapshot, snapshot, now)
        return snapshot

    async def list(
        self, page_size: int, page_token: str, start_time: datetime | None, end_time: datetime | None
    ) -> Page[Snapshot]:
        """Newest first. Raises InvalidArgument BAD_PAGE_TOKEN, PAGE_TOKEN_MISMATCH."""
        context = paging.context("snapshots", start_time, end_time)
        request = paging.parse(page_size, page_token, context=context)
        async with self._read() as store:
            rows = await store.portfolio.page(request, start_time, end_time)
        return paging.cut(rows, request, context, lambda row: (row.snapshot_time, row.id))

    async def clear(self, confirm: str) -> int:
        """Delete snapshots and refused rows. Raises InvalidArgument NOT_CONFIRMED."""
        if confirm != _CLEAR:
            problem = f'must be "{_CLEAR}"; nothing was deleted'
            raise InvalidArgument("NOT_CONFIRMED", f"confirm {problem}", fields={"confirm": problem})
        async with self._begin() as store:
            return await store.portfolio.clear()
