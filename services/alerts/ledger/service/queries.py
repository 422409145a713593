"""The ledger listed and counted. Writes nothing."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.alerts.alerts.domain.digests import digest_sequence
from services.alerts.ledger.domain.chain import Sealed
from services.alerts.ledger.domain.segments import Seal, Segment
from services.alerts.ledger.service.lines import lines, shown
from services.alerts.ledger.service.reading import readable
from services.alerts.ledger.store.statistics import Statistics
from services.alerts.service.offload import PYTHON_ROW_COST, offload
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.store.unit_of_work import Store
from shared import paging
from shared.errors import NotFound, invalid
from shared.paging import Page

_MONTH = timedelta(days=30)
_LONGEST_WINDOW = timedelta(days=3650)
_MOST_FILES = 100


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of rows; on the last one files with what else may be meant, newest first."""

    page: Page[Sealed]
    seals: Sequence[Seal] = ()


@dataclass(frozen=True, slots=True)
class Counted:
    """Statistics, and where they begin when earlier rows of the window are in sealed files."""

    statistics: Sequence[Statistics]
    start_time: datetime | None = None


class LedgerQueries:
    """The chain of everything that changed, as far as it is in the database."""

    def __init__(self, cache: SnapshotCache) -> None:
        self._cache = cache

    async def list(
        self, page_size: int, page_token: str, alert_id: str, cycle_id: str, digest_id: str
    ) -> Listed:
        """Newest first; ALERT_NOT_FOUND, DIGEST_NOT_FOUND."""
        context = paging.context("ledger", alert_id, cycle_id, digest_id)
        page = paging.parse(page_size, page_token, context=context)
        async with self._cache.begin_reading() as store:
            told = await _members(store, digest_id) if digest_id else None
            members = told
            if told is not None and not (alert_id or cycle_id):
                # Those of a page alone: there may be tens of thousands.
                first = page.after[0] if page.after else None
                end = bisect_left(told, first) if isinstance(first, int) else len(told)
                members = told[max(end - page.size - 1, 0) : end]
            rows = await store.ledger.page(page, alert_id, cycle_id, members)
            seals = [] if len(rows) > page.size else await _seals(store, told)
            if not rows:
                await self._refuse_unknown(store, alert_id, seals)
        entries = [shown(row) for row in rows]
        return Listed(paging.cut(entries, page, context, lambda row: (row.sequence,)), seals)

    async def statistics(self, window: timedelta | None, alert_id: str) -> Counted:
        """Of the last `window` (30 days); INVALID_FIELD, ALERT_NOT_FOUND."""
        span = _MONTH if window is None else window
        if not timedelta(0) < span <= _LONGEST_WINDOW:
            problem = "more than 0, at most 10 years"
            raise invalid("window", problem)
        since = self._cache.clock.now() - span
        async with self._cache.begin_reading() as store:
            found = await store.statistics.count(since, alert_id)
            seals, _ = readable(await store.seals.last_few(1))
            if not found:
                await self._refuse_unknown(store, alert_id, seals)
            left_time = seals[0].segment.last_time if seals else since
            first = await store.seals.first_sequence() if left_time > since else None
            start = None if first is None else await store.seals.time(first)
        return Counted(found, None if start is None or start <= since else start)

    async def _refuse_unknown(self, store: Store, alert_id: str, seals: Sequence[Seal]) -> None:
        """ALERT_NOT_FOUND, unless it ever was: the ledger knows."""
        if not alert_id or await store.ledger.names(alert_id):
            return
        try:
            (await self._cache.read(store)).row(alert_id)
        except NotFound as error:
            if not seals:
                raise
            segment = seals[0].segment
            words = f"rows 1 to {segment.last_sequence} are in sealed files, up to {segment.file}"
            raise NotFound(error.reason, f"{error.message} here; {words}") from error

    async def export(self, after_sequence: int) -> AsyncIterator[str]:
        """Every row after one, oldest first, as JSON lines in portions."""
        async with self._cache.begin_reading() as store:
            async for rows in store.ledger.walk(after_sequence):
                yield await offload(len(rows) * PYTHON_ROW_COST, lines, rows)


async def _seals(store: Store, members: Sequence[int] | None) -> list[Seal]:
    """Of what left, newest first: everything, or only what holds one of these rows."""
    rows = await store.seals.last_few(_MOST_FILES, members[0] if members else 0)
    seals, _ = readable(rows)
    if members is None:
        return seals
    return [one for one in seals if _holds(one.segment, members)]


def _holds(segment: Segment, members: Sequence[int]) -> bool:
    place = bisect_left(members, segment.first_sequence)
    return place < len(members) and members[place] <= segment.last_sequence


async def _members(store: Store, digest_id: str) -> list[int]:
    sequence = digest_sequence(digest_id)
    members = None if sequence is None else await store.ledger.members(sequence)
    if members is None:
        raise NotFound("DIGEST_NOT_FOUND", f"no digest {digest_id[:80]!r}")
    return members
