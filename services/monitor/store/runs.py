"""The ledger of runs, and the badges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.monitor.domain.badges import Dismissal, KeptBadge
from services.monitor.domain.findings import Run
from services.monitor.store.check_runs import read_badge, read_run
from services.monitor.tables import badge, beat, dismissal, run
from shared.database.keyset import apply
from shared.database.statement import Row
from shared.paging import PageRequest

# Row numbers grow with time: the oldest few thousand are examined, no more.
_FORGET = text(
    "delete from run where id in (select id from (select id, started_time from run order by id"
    " limit 5000)"
    " oldest where started_time < :before)"
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

    _connection: AsyncConnection

    async def last_run_id(self) -> int:
        """Of all monitors; 0 without one."""
        return await self._connection.scalar(select(func.max(run.c.id))) or 0

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
        rows = (await self._connection.execute(query)).mappings()
        return [read_run(row, row["monitor"], row["metadata"]) for row in rows]

    async def has_runs(self, monitor: str) -> bool:
        """Whether the ledger knows a monitor of this name, installed or not."""
        return bool(
            await self._connection.scalar(select(run.c.id).where(run.c.monitor == monitor).limit(1))
        )

    async def forget_runs(self, before: datetime) -> int:
        """Delete some of the runs older than this, oldest first; how many, 0 when none is left."""
        return (await self._connection.execute(_FORGET, {"before": before})).rowcount

    async def badges(self) -> list[KeptBadge]:
        """Badges by name, the dismissed ones too."""
        rows = (
            (await self._connection.execute(select(badge).order_by(badge.c.name))).mappings().all()
        )
        dismissed: dict[str, list[Row]] = {}
        for one in (await self._connection.execute(select(dismissal))).mappings():
            dismissed.setdefault(one["badge"], []).append(one)
        demo = bool(await self._connection.scalar(select(beat.c.demo)))
        return [
            replace(read_badge(row, row["badge_time"], dismissed.get(row["name"], ())), demo=demo)
            for row in rows
        ]

    async def dismiss(self, name: str, dismissals: Iterable[Dismissal], now: datetime) -> None:
        """Keep that these were seen."""
        for one in dismissals:
            values = {"level": one.level.value, "badness": one.badness, "dismissed_time": now}
            statement = upsert(dismissal).values(badge=name, subject=one.subject, **values)
            await self._connection.execute(
                statement.on_conflict_do_update(index_elements=["badge", "subject"], set_=values)
            )

    async def clear(self) -> int:
        """Delete runs and badges; how many rows there were."""
        counted = await self._connection.scalar(select(func.count()).select_from(badge)) or 0
        await self._connection.execute(delete(badge))
        await self._connection.execute(delete(dismissal))
        return counted + (await self._connection.execute(delete(run))).rowcount
