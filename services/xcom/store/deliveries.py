"""Deliveries beyond the queue's own statements: loud deaths, sounds. Every time is an argument."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select, text

from services.xcom.domain.messages import UNSURE, Delivery, DeliveryReason
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
_REACHED = text(
    "select distinct message_id from delivery where message_id = any(cast(:ids as text[]))"
    " and channel <> all(cast(:unsure as text[])) and (state in (2, 6) or state = 4 and exists"
    "  (select from delivery as digest where digest.id = delivery.digest_id and digest.state = 6))"
)
_HURRY = text(
    "update message set escalation_due_time = :now where id = any(cast(:ids as text[]))"
    " and escalation_due_time > :now and acknowledged_time is null and snoozed_until_time is null"
)


_OFFERED_TIME = func.coalesce(delivery.c.handed_over_time, delivery.c.sent_time)
_HEARD = text(
    "with heard as (update delivery set state = 2, sent_time = :now, claimed_until = null,"
    "  provider_status = 'heard by a page' where id = :id and state = 6 returning id, tries, channel),"
    " tried as (update attempt set outcome = 2, provider_status = 'heard by a page' from heard"
    "  where attempt.delivery_id = heard.id and attempt.try_number = heard.tries),"
    " carried as (update delivery set state = 2, sent_time = :now, provider_status = 'heard by a page'"
    "  from heard where delivery.state = 4 and digest_id = heard.id)"
    " insert into channel_record (channel, last_sent_time, last_error) select channel, :now, '' from heard"
    " on conflict (channel) do update set last_sent_time = excluded.last_sent_time"
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

    async def reached(self, message_ids: Collection[str]) -> set[str]:
        """Those of these that a channel on which somebody is has taken."""
        words = {"ids": list(message_ids), "unsure": sorted(UNSURE)}
        return {row.message_id for row in await self._connection.execute(_REACHED, words)}

    async def hurry(self, message_ids: Collection[str], now: datetime) -> None:
        """The next contact of these is due now, if one is to come."""
        await self._connection.execute(_HURRY, {"ids": list(message_ids), "now": now})

    async def heard(self, id: str, now: datetime) -> None:
        """A page got this sound."""
        await self._connection.execute(_HEARD, {"id": id, "now": now})

    async def sounds(self, after: datetime) -> list[Delivery]:
        """What was played or offered after this moment, oldest first."""
        query = (
            select(delivery, message.c.subject)
            .join(message, message.c.id == delivery.c.message_id)
            .where(delivery.c.channel == "sound", delivery.c.state.in_((2, 6)), after < _OFFERED_TIME)
            .order_by(_OFFERED_TIME, delivery.c.id)
            .limit(200)
        )
        return [to_delivery(row) for row in await self._connection.execute(query)]
