"""Open incidents, and the outbox of notifications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Text, all_, cast, delete, func, insert, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from services.monitor.domain.incidents import Incident, Notification
from services.monitor.store.check_runs import read_incident
from services.monitor.tables import incident, outbox
from shared import rows
from shared.database.statement import Statement
from shared.database.transaction import Transaction

_LOCK = Statement("select pg_advisory_xact_lock(hashtext('monitor incidents'))")


class NotificationRows:
    """Incidents and the outbox."""

    _transaction: Transaction

    async def incidents(self) -> dict[str, Incident]:
        """Open incidents by monitor, locked until the end of the transaction."""
        await self._transaction.execute(_LOCK)
        found = await self._transaction.fetch(select(incident))
        return {row["monitor"]: read_incident(row, row["id"]) for row in found}

    async def keep_incident(self, monitor: str, one: Incident | None, now: datetime) -> None:
        """Keep it as it is now, since `now` when it is new; None ends it."""
        if one is None:
            await self._transaction.execute(delete(incident).where(incident.c.monitor == monitor))
            return
        members = {
            name: None if since is None else since.isoformat()
            for name, since in one.members.items()
        }
        kept = {
            "members": members,
            "notified": one.notified,
            "tellings": [asdict(told) for told in one.tellings],
        }
        await self._transaction.execute(
            upsert(incident)
            .values(monitor=monitor, id=one.id, since_time=now, **kept)
            .on_conflict_do_update(index_elements=["monitor"], set_=kept)
        )

    async def add_notification(self, notification: Notification, now: datetime) -> None:
        """Keep it until it was sent."""
        values = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(notification).items()
        }
        await self._transaction.execute(insert(outbox).values(created_time=now, **values))

    async def notifications(self, tried: Sequence[str]) -> list[Notification]:
        """Of what was not sent yet a hundred that are not among the ids `tried`: the loudest first,
        of one level the oldest. An end is LOW: it comes after its beginning.
        """
        found = await self._transaction.fetch(
            select(outbox)
            .where(outbox.c.id != all_(cast(list(tried), ARRAY(Text))))
            .order_by(outbox.c.level.desc(), outbox.c.created_time, outbox.c.id)
            .limit(100)
        )
        return [rows.read(Notification, row) for row in found]

    async def waiting(self) -> tuple[int, datetime | None]:
        """How many were not sent yet, and since when the oldest of them waits."""
        ((count, oldest_time),) = await self._transaction.fetch(
            select(func.count(), func.min(outbox.c.created_time))
        )
        return int(count), oldest_time

    async def drop_notification(self, id: str) -> None:
        """It was sent."""
        await self._transaction.execute(delete(outbox).where(outbox.c.id == id))
