"""Open incidents, and the outbox of notifications."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.monitor.domain.findings import Level
from services.monitor.domain.incidents import Incident, Notification
from services.monitor.store.check_runs import read_incident
from services.monitor.tables import incident, outbox


class NotificationRows:
    """Incidents and the outbox."""

    _connection: AsyncConnection

    async def incidents(self) -> dict[str, Incident]:
        """Open incidents by monitor, locked until the end of the transaction."""
        await self._connection.exec_driver_sql(
            "select pg_advisory_xact_lock(hashtext('monitor incidents'))"
        )
        rows = await self._connection.execute(select(incident))
        return {row.monitor: read_incident(row.id, row.members, row.notified) for row in rows}

    async def keep_incident(self, monitor: str, one: Incident | None, now: datetime) -> None:
        """Keep it as it is now, since `now` when it is new; None ends it."""
        if one is None:
            await self._connection.execute(delete(incident).where(incident.c.monitor == monitor))
            return
        members = {
            name: None if since is None else since.isoformat()
            for name, since in one.members.items()
        }
        kept = {"members": members, "notified": one.notified}
        statement = upsert(incident).values(monitor=monitor, id=one.id, since_time=now, **kept)
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=["monitor"], set_=kept)
        )

    async def add_notification(self, notification: Notification, now: datetime) -> None:
        """Keep it until it was sent."""
        await self._connection.execute(
            insert(outbox).values(
                id=notification.id,
                level=notification.level.value,
                subject=notification.subject,
                body=notification.body,
                channels=list(notification.channels),
                demo=notification.demo,
                incident_key=notification.incident_key,
                ends_incident=notification.ends_incident,
                created_time=now,
            )
        )

    async def notifications(self) -> list[Notification]:
        """What was not sent yet, oldest first."""
        rows = await self._connection.execute(
            select(outbox).order_by(outbox.c.created_time, outbox.c.id).limit(100)
        )
        return [
            Notification(
                row.id,
                Level(row.level),
                row.subject,
                row.body,
                tuple(row.channels),
                row.demo,
                row.incident_key,
                row.ends_incident,
            )
            for row in rows
        ]

    async def waiting_count(self) -> int:
        """How many were not sent yet."""
        return await self._connection.scalar(select(func.count()).select_from(outbox)) or 0

    async def drop_notification(self, id: str) -> None:
        """It was sent."""
        await self._connection.execute(delete(outbox).where(outbox.c.id == id))
