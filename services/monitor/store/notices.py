"""Open incidents, and what must be told."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.monitor.domain.findings import Level, Notice
from services.monitor.tables import incident, outbox


class NoticeRows:
    """Incidents and the outbox."""

    _connection: AsyncConnection

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
                channels=list(notice.channels),
                created_time=now,
            )
        )

    async def notices(self) -> list[Notice]:
        """What was not told yet, oldest first."""
        rows = await self._connection.execute(
            select(outbox).order_by(outbox.c.created_time, outbox.c.id).limit(100)
        )
        return [Notice(row.id, Level(row.level), row.subject, row.body, tuple(row.channels)) for row in rows]

    async def waiting_count(self) -> int:
        """How much was not told yet."""
        return await self._connection.scalar(select(func.count()).select_from(outbox)) or 0

    async def drop_notice(self, id: str) -> None:
        """It was told."""
        await self._connection.execute(delete(outbox).where(outbox.c.id == id))
