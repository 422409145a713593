"""Rows of monitor in and out; the only SQL of this service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.monitor.domain import Badge, Level, Notice, Run, Runs, RunStatus
from services.monitor.tables import badge, incident, outbox, run
from shared.database import fence
from shared.database.fence import Step
from shared.database.keyset import apply
from shared.paging import PageRequest

_LAST = text(
    "select distinct on (monitor) * from run where status <> :skipped and monitor = any(:names)"
    " order by monitor, id desc"
)


class Store:
    """The monitors' rows of one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def enter(self, step: Step) -> Runs | None:
        """See shared.database.fence.enter."""
        return await fence.enter(self._connection, step, Runs)

    async def record(self, step: Step, answer: Runs, now: datetime) -> None:
        """See shared.database.fence.record."""
        await fence.record(self._connection, step, Runs, answer, now)

    async def last_runs(self, names: Sequence[str]) -> dict[str, Run]:
        """The last run of each monitor that was not SKIPPED."""
        rows = await self._connection.execute(
            _LAST, {"skipped": RunStatus.SKIPPED.value, "names": list(names)}
        )
        return {row.monitor: _run(row) for row in rows}

    async def add_runs(self, runs: Sequence[Run]) -> list[int]:
        """Append rows to the ledger; their numbers in order."""
        values = [_values(one) for one in runs]
        return list(
            await self._connection.scalars(
                insert(run).returning(run.c.id, sort_by_parameter_order=True), values
            )
        )

    async def set_badges(self, badges: Mapping[str, Mapping[str, Badge | None]], now: datetime) -> None:
        """Write the badges (by monitor and name) that have a value, remove those whose cause is gone."""
        gone = [name for values in badges.values() for name, one in values.items() if one is None]
        if gone:
            await self._connection.execute(delete(badge).where(badge.c.name.in_(gone)))
        rows = [
            asdict(one) | {"monitor": monitor, "badge_time": now}
            for monitor, values in badges.items()
            for one in values.values()
            if one is not None
        ]
        if rows:
            statement = upsert(badge).values(rows)
            new = {name: statement.excluded[name] for name in rows[0] if name != "name"}
            await self._connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=new))

    async def badges(self) -> list[tuple[Badge, str, datetime]]:
        """Badges with their monitor and time, by name."""
        rows = await self._connection.execute(select(badge).order_by(badge.c.name))
        return [
            (Badge(row.name, row.value, Level(row.level), row.stale), row.monitor, row.badge_time)
            for row in rows
        ]

    async def incidents(self) -> dict[str, str]:
        """Open incidents by monitor, locked until the end of the transaction."""
        await self._connection.exec_driver_sql("select pg_advisory_xact_lock(hashtext('monitor incidents'))")
        rows = await self._connection.execute(select(incident.c.monitor, incident.c.id))
        return {row.monitor: row.id for row in rows}

    async def open_incident(self, monitor: str, id: str, now: datetime) -> None:
        """Begin an incident."""
        await self._connection.execute(insert(incident).values(monitor=monitor, id=id, since_time=now))

    async def close_incident(self, monitor: str) -> None:
        """End an incident."""
        await self._connection.execute(delete(incident).where(incident.c.monitor == monitor))

    async def add_notice(self, notice: Notice, now: datetime) -> None:
        """Keep something to tell until it was told."""
        await self._connection.execute(
            insert(outbox).values(
                id=notice.id,
                level=notice.level.value,
                subject=notice.subject,
                body=notice.body,
                created_time=now,
            )
        )

    async def notices(self) -> list[Notice]:
        """What was not told yet, oldest first."""
        rows = await self._connection.execute(
            select(outbox).order_by(outbox.c.created_time, outbox.c.id).limit(100)
        )
        return [Notice(row.id, Level(row.level), row.subject, row.body) for row in rows]

    async def drop_notice(self, id: str) -> None:
        """It was told."""
        await self._connection.execute(delete(outbox).where(outbox.c.id == id))

    async def list_runs(self, page: PageRequest, monitor: str, status: int) -> list[Run]:
        """Runs, newest first, one more than the page holds."""
        query = select(run)
        if monitor:
            query = query.where(run.c.monitor == monitor)
        if status:
            query = query.where(run.c.status == status)
        query = apply(query, [(run.c.id, "desc")], page.after, page.size)
        return [_run(row) for row in await self._connection.execute(query)]

    async def clear(self) -> int:
        """Delete runs and badges; how many rows there were."""
        counted = await self._connection.scalar(select(func.count()).select_from(badge)) or 0
        await self._connection.execute(delete(badge))
        return counted + (await self._connection.execute(delete(run))).rowcount


def _values(one: Run) -> dict[str, Any]:
    return {
        "monitor": one.monitor,
        "started_time": one.started_time,
        "duration_seconds": one.duration_seconds,
        "status": one.status.value,
        "metadata": dict(one.metadata),
        "error": one.error,
        "cycle_id": one.cycle_id,
    }


def _run(row: Row[Any]) -> Run:
    return Run(
        id=row.id,
        monitor=row.monitor,
        started_time=row.started_time,
        duration_seconds=row.duration_seconds,
        status=RunStatus(row.status),
        metadata=row.metadata,
        error=row.error,
        cycle_id=row.cycle_id,
    )
