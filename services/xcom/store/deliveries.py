"""Deliveries beyond the queue's own statements: loud deaths, sounds. Every time is an argument."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select, text

from services.xcom.domain.messages import Delivery, DeliveryReason
from services.xcom.store.queue import Queue
from services.xcom.store.queueing import QueueStore
from services.xcom.store.rows import to_delivery
from services.xcom.tables import delivery, message
from shared.database.engine import raw

_DIED = text(
    "select tried.message_id, tried.channel from delivery as tried join delivery as dead"
    " on dead.message_id = tried.message_id"
    " where dead.state = 3 and dead.level = 3 and (dead.digest_id = :id"
    f"  or dead.id = :id and dead.reason <> {DeliveryReason.DIGEST.value})"
)
_HURRY = text(
    "update message set escalation_due_time = :now where id = any(cast(:ids as text[]))"
    " and escalation_due_time > :now and acknowledged_time is null and snoozed_until_time is null"
)


class DeliveryStore(QueueStore):
    """Deliveries of one transaction."""

    async def waiting(self) -> Queue:
        """The queue within this transaction."""
        return Queue((await raw(self._connection)).fetch)

    async def died_loudly(self, delivery_id: str) -> dict[str, set[str]]:
        """Channels tried by message, for HIGH messages that a dead delivery carried; empty when it lives."""
        found: dict[str, set[str]] = {}
        for row in await self._connection.execute(_DIED, {"id": delivery_id}):
            found.setdefault(row.message_id, set()).add(row.channel)
        return found

    async def hurry(self, message_ids: Collection[str], now: datetime) -> None:
        """The next contact of these is due now, if one is to come."""
        await self._connection.execute(_HURRY, {"ids": list(message_ids), "now": now})

    async def sounds(self, after: datetime) -> list[Delivery]:
        """What was played after this moment, oldest first."""
        query = (
            select(delivery, message.c.subject)
            .join(message, message.c.id == delivery.c.message_id)
            .where(delivery.c.channel == "sound", delivery.c.state == 2, delivery.c.sent_time > after)
            .order_by(delivery.c.sent_time, delivery.c.id)
            .limit(200)
        )
        return [to_delivery(row) for row in await self._connection.execute(query)]
