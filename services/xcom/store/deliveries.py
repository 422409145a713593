"""Deliveries beyond the queue's own statements: dead ones, sounds. Every time is an argument."""

from __future__ import annotations

from datetime import datetime

from services.xcom.domain.messages import Delivery
from services.xcom.store.dead_deliveries import DeadDeliveryStore
from services.xcom.store.messages import DELIVERY, to_delivery
from services.xcom.store.queue import Queue
from shared.database.statement import Statement
from shared.database.transaction import Transaction

_CONFIRM = Statement("""
    with heard as (
        update delivery set state = 2, sent_time = :now, claimed_until = null,
            provider_status = 'heard by a page'
        where id = :id and state = 6 returning id, tries, channel),
    tried as (
        update attempt set outcome = 2, provider_status = 'heard by a page' from heard
        where attempt.delivery_id = heard.id and attempt.try_number = heard.tries),
    carried as (
        update delivery set state = 2, sent_time = :now, provider_status = 'heard by a page'
        from heard where delivery.state = 4 and digest_id = heard.id)
    insert into channel_record (channel, last_sent_time, last_error)
    select channel, :now, '' from heard
    on conflict (channel) do update set last_sent_time = excluded.last_sent_time
""")
_SOUNDS = Statement(f"""
    {DELIVERY} where delivery.channel = 'sound' and delivery.state in (2, 6)
        and coalesce(delivery.handed_over_time, delivery.sent_time) > :after
    order by coalesce(delivery.handed_over_time, delivery.sent_time), delivery.id limit 200
""")


class DeliveryStore(DeadDeliveryStore):
    """Deliveries of one transaction, with the queue within it."""

    def __init__(self, transaction: Transaction) -> None:
        super().__init__(transaction)
        self.waiting = Queue(transaction)

    async def confirm_sound(self, id: str, now: datetime) -> None:
        """A page got this sound."""
        await self._transaction.execute(_CONFIRM, id=id, now=now)

    async def sounds(self, after: datetime) -> list[Delivery]:
        """What was played or offered after this moment, oldest first."""
        return list(map(to_delivery, await self._transaction.fetch(_SOUNDS, after=after)))
