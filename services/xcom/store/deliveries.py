"""Deliveries beyond the queue's own statements: loud deaths, sounds. Every time is an argument."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, text

from services.xcom.domain.messages import Delivery
from services.xcom.store.deaths import DeathStore
from services.xcom.store.queue import Queue
from services.xcom.store.rows import to_delivery
from services.xcom.tables import delivery, message
from shared.database.engine import raw

_OFFERED_TIME = func.coalesce(delivery.c.handed_over_time, delivery.c.sent_time)
_HEARD = text(
    "with heard as (update delivery set state = 2, sent_time = :now, claimed_until = null,"
    "  provider_status = 'heard by a page' where id = :id and state = 6 returning id, tries,"
    " channel),"
    " tried as (update attempt set outcome = 2, provider_status = 'heard by a page' from heard"
    "  where attempt.delivery_id = heard.id and attempt.try_number = heard.tries),"
    " carried as (update delivery set state = 2, sent_time = :now, provider_status = 'heard by a"
    " page'"
    "  from heard where delivery.state = 4 and digest_id = heard.id)"
    " insert into channel_record (channel, last_sent_time, last_error) select channel, :now, ''"
    " from heard"
    " on conflict (channel) do update set last_sent_time = excluded.last_sent_time"
)


class DeliveryStore(DeathStore):
    """Deliveries of one transaction."""

    async def waiting(self) -> Queue:
        """The queue within this transaction."""
        return Queue((await raw(self._connection)).fetch)

    async def heard(self, id: str, now: datetime) -> None:
        """A page got this sound."""
        await self._connection.execute(_HEARD, {"id": id, "now": now})

    async def sounds(self, after: datetime) -> list[Delivery]:
        """What was played or offered after this moment, oldest first."""
        query = (
            select(delivery, message.c.subject)
            .join(message, message.c.id == delivery.c.message_id)
            .where(
                delivery.c.channel == "sound", delivery.c.state.in_((2, 6)), after < _OFFERED_TIME
            )
            .order_by(_OFFERED_TIME, delivery.c.id)
            .limit(200)
        )
        return [to_delivery(row) for row in await self._connection.execute(query)]
