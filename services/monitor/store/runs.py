"""The ledger of runs, and the badges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.monitor.domain.badges import Dismissal, KeptBadge
from services.monitor.domain.findings import Run, RunStatus
from services.monitor.store.check_runs import KEPT_BADGES, read_badges
from services.monitor.tables import dismissal, run
from shared import rows
from shared.database.keyset import apply
from shared.database.statement import Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

_CLEAR = Statement(
    "with badges as (delete from badge returning 1), seen as (delete from dismissal),"
    " runs as (delete from run returning 1)"
    " select (select count(*) from badges) + (select count(*) from runs)"
)
# Row numbers grow with time: the oldest few thousand are examined, no more.
_BADGES = Statement(f"select {KEPT_BADGES} from badge")
_FORGET = Statement(
    "delete from run where id in (select id from (select id, started_time from run order by id"
    " limit 5000)"
    " oldest where started_time < :before)"
)
# What a monitor found last is what it stands on, however long it has not run.
_FORGET_QUIET = Statement(
    f"delete from run where id in (select id from run where status = {RunStatus.SUCCESS:d}"
    " and started_time < :before and exists (select from run newer where"
    " newer.monitor = run.monitor and newer.status <> 3 and newer.id > run.id) limit 5000)"
)


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs: empty, 0 and None = all; `end_time` is left out."""

    monitor: str = ""
    status: int = 0
    cycle_id: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None


class RunRows:
    """Runs and badges."""

    _transaction: Transaction

    async def last_run_id(self) -> int:
        """Of all monitors; 0 without one."""
        return await self._transaction.scalar(select(func.max(run.c.id))) or 0

    async def list_runs(self, page: PageRequest, wanted: RunFilter) -> list[Run]:
        """Runs, newest first, one more than the page holds."""
        query = select(run)
        if wanted.monitor:
            query = query.where(run.c.monitor == wanted.monitor)
        if wanted.status:
            query = query.where(run.c.status == wanted.status)
        if wanted.cycle_id:
            query = query.where(run.c.cycle_id == wanted.cycle_id, run.c.cycle_id != "")
        if wanted.start_time is not None:
            query = query.where(run.c.started_time >= wanted.start_time)
        if wanted.end_time is not None:
            query = query.where(run.c.started_time < wanted.end_time)
        query = apply(query, [(run.c.id, "desc")], page.after, page.size)
        return [rows.read(Run, row) for row in await self._transaction.fetch(query)]

    async def has_runs(self, monitor: str) -> bool:
        """Whether the ledger knows a monitor of this name, installed or not."""
        return bool(
            await self._transaction.first(select(run.c.id).where(run.c.monitor == monitor).limit(1))
        )

    async def forget_runs(self, before: datetime) -> int:
        """Delete some of the runs older than this, oldest first; how many, 0 when none is left."""
        return await self._transaction.execute(_FORGET, before=before)

    async def forget_quiet_runs(self, before: datetime) -> int:
        """The same for runs that found nothing, but for the last that a monitor has."""
        return await self._transaction.execute(_FORGET_QUIET, before=before)

    async def badges(self) -> tuple[KeptBadge, ...]:
        """Badges by name, the dismissed ones too."""
        return read_badges(await self._transaction.scalar(_BADGES))

    async def dismiss(self, name: str, dismissals: Iterable[Dismissal], now: datetime) -> None:
        """Keep that these were seen."""
        for one in dismissals:
            values = asdict(one) | {"dismissed_time": now}
            await self._transaction.execute(
                upsert(dismissal)
                .values(badge=name, **values)
                .on_conflict_do_update(index_elements=["badge", "subject"], set_=values)
            )

    async def clear(self) -> int:
        """Delete runs and badges; how many rows there were."""
        return int(await self._transaction.scalar(_CLEAR))
