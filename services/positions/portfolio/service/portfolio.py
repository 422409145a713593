"""Totals and their history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.positions.enrichment.domain.totals import Totals
from services.positions.portfolio.domain import Snapshot, TrendPoint, check_entry
from services.positions.service.ports import Begin
from services.positions.service.sorting import ordered
from services.positions.sessions.domain import percent_of
from services.positions.wallets.domain.addresses import refuse_secret
from shared import paging
from shared.clock import Clock
from shared.database.fence import Step
from shared.errors import NotFound, invalid, require_confirmation
from shared.paging import Page

_WINDOW = timedelta(hours=24)
_LONGEST_WINDOW = timedelta(days=36525)
_POINTS = 100


@dataclass(frozen=True, slots=True)
class Trend:
    """Points in order of time, and the first value of the window, USD; None without snapshots."""

    points: Sequence[TrendPoint]
    first_value_usd: float | None

    @property
    def value_change_usd(self) -> float | None:
        """Last value less the first."""
        if self.first_value_usd is None or not self.points:
            return None
        return self.points[-1].snapshot.totals.total_value_usd - self.first_value_usd

    @property
    def value_change_percent(self) -> float | None:
        """The change as percent of the first value."""
        if self.value_change_usd is None or self.first_value_usd is None:
            return None
        return percent_of(self.value_change_usd, self.first_value_usd)


class PortfolioService:
    """Use cases of totals."""

    def __init__(self, begin: Begin, read: Begin, clock: Clock) -> None:
        self._begin = begin
        self._read = read
        self._clock = clock

    async def record(self, step: Step) -> Snapshot:
        """Keep the totals; the same cycle answers with its first snapshot. Raises STALE_EPOCH."""
        async with self._read() as store:
            return await store.portfolio.record(step, self._clock.now())

    async def enter(self, totals: Totals, moment: datetime | None, note: str) -> Snapshot:
        """An entry by hand, by default now. Raises INVALID_FIELD, PRIVATE_KEY_REFUSED."""
        check_entry(totals)
        refuse_secret(note, "snapshot.note")
        now = self._clock.now()
        if moment is not None and moment > now:
            problem = "not in the future"
            raise invalid("snapshot.snapshot_time", problem, f"snapshot_time is {problem}")
        async with self._begin() as store:
            return await store.portfolio.enter(totals, moment or now, note)

    async def delete(self, snapshot_id: int) -> None:
        """Raises NotFound SNAPSHOT_NOT_FOUND."""
        async with self._begin() as store:
            if not await store.portfolio.delete(snapshot_id):
                raise NotFound("SNAPSHOT_NOT_FOUND", "no snapshot has this id")

    async def trend(
        self, window: timedelta | None, end_time: datetime | None, point_count: int
    ) -> Trend:
        """Snapshots of a window (24 hours) up to its end (now) in at most so many points (100).

        Raises InvalidArgument INVALID_FIELD.
        """
        window, end_time = window or _WINDOW, end_time or self._clock.now()
        if not timedelta() < window <= _LONGEST_WINDOW:
            problem = "above 0 and at most 100 years"
            raise invalid("window", problem, f"window is {problem}")
        start_time = end_time - window
        async with self._read() as store:
            points = await store.portfolio.trend(start_time, end_time, point_count or _POINTS)
            first = await store.portfolio.first_value(start_time, end_time)
        return Trend(points, first)

    async def list(
        self,
        page_size: int,
        page_token: str,
        start_time: datetime | None,
        end_time: datetime | None,
        *,
        order_by: str = "",
        manual_only: bool = False,
    ) -> Page[Snapshot]:
        """Newest first by default. Raises UNKNOWN_NAME, BAD_PAGE_TOKEN, PAGE_TOKEN_MISMATCH."""
        _, descending = ordered(order_by or "snapshot_time desc", ("snapshot_time",))
        context = paging.context("snapshots", start_time, end_time, manual_only, descending)
        request = paging.parse(page_size, page_token, context=context)
        async with self._read() as store:
            rows = await store.portfolio.page(
                request, start_time, end_time, manual_only=manual_only, descending=descending
            )
        return paging.cut(rows, request, context, lambda row: (row.snapshot_time, row.id))

    async def clear(self, confirm: str) -> int:
        """Delete snapshots and refused rows. Raises InvalidArgument NOT_CONFIRMED."""
        require_confirmation(confirm, "clear")
        async with self._begin() as store:
            return await store.portfolio.clear()
