"""Messages and their deliveries as people see them: accepted, listed, cleared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
from sqlalchemy import select

from services.xcom.domain.documents import Attachment
from services.xcom.domain.messages import (
    Attempt,
    Delivery,
    DeliveryState,
    Message,
    MessageFilter,
)
from services.xcom.store.enqueue import REQUEUE
from services.xcom.store.incidents import IncidentStore
from services.xcom.store.listener import NOTIFY_CHANNEL
from services.xcom.tables import delivery, message
from shared import rows
from shared.database.keyset import apply
from shared.database.statement import Statement
from shared.paging import PageRequest

DELIVERY: Final = (
    "select delivery.*, message.subject from delivery"
    " join message on message.id = delivery.message_id"
)
_ONE_DELIVERY = Statement(f"{DELIVERY} where delivery.id = :id")
_DELIVERIES_OF = Statement(
    f"{DELIVERY} where delivery.message_id = any(cast(:ids as text[])) order by delivery.id"
)
_DELIVERIES = select(delivery, message.c.subject).join(
    message, message.c.id == delivery.c.message_id
)
_REQUEST = Statement("select * from request where request_id = :request_id")
_MESSAGE = Statement("select * from message where id = :id")
_ATTEMPTS = Statement("""
    select attempt.* from attempt join delivery on delivery.id = attempt.delivery_id
    where delivery.message_id = :message_id order by attempt.delivery_id, attempt.try_number
""")
_ATTACH = Statement(
    "insert into attachment (message_id, name, media_type, content)"
    " values (:message_id, :name, :media_type, :content)"
)
_RESEND = Statement(
    f"{REQUEUE} where id = :id and state = 3 returning pg_notify('{NOTIFY_CHANNEL}', '')"
)
_CLEAR = Statement("""
    with gone as (
        delete from message where escalation_due_time is null and not exists (select from delivery
            where delivery.message_id = message.id and delivery.state in (1, 4, 6))
        returning id)
    select (select count(*) from gone)
        + (select count(*) from delivery where message_id in (select id from gone))
""")


def to_delivery(row: asyncpg.Record) -> Delivery:
    """A delivery with the subject of its message; its tries are read apart."""
    return rows.read(Delivery, row, attempts=(), quiet_until_time=None)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What is kept of a request, also when its message was cleared."""

    message_id: str
    created_time: datetime
    suppressed_reason: str
    channels_reason: str
    fingerprint: str = ""


class MessageStore(IncidentStore):
    """Messages of one transaction."""

    async def accepted(self, request_id: str) -> Accepted | None:
        """What was answered to this request."""
        row = await self._transaction.first(_REQUEST, request_id=request_id)
        return rows.read(Accepted, row) if row else None

    async def message(self, id: str) -> Message | None:
        """One message with its deliveries."""
        found = await self._with_deliveries(await self._transaction.fetch(_MESSAGE, id=id))
        return found[0] if found else None

    async def attach(self, message_id: str, file: Attachment | None) -> None:
        """Keep the file of a message, if it has one, as long as the message."""
        if file is None:
            return
        await self._transaction.execute(
            _ATTACH,
            message_id=message_id,
            name=file.name,
            media_type=file.media_type,
            content=file.content,
        )

    async def attempts(self, message_id: str) -> dict[str, list[Attempt]]:
        """Every try of the message's deliveries by delivery id, oldest first."""
        found: dict[str, list[Attempt]] = {}
        for row in await self._transaction.fetch(_ATTEMPTS, message_id=message_id):
            found.setdefault(row["delivery_id"], []).append(rows.read(Attempt, row))
        return found

    async def list_messages(self, page: PageRequest, wanted: MessageFilter) -> list[Message]:
        """Messages, newest first, one more than the page holds."""
        query = select(message)
        if wanted.start_time is not None:
            query = query.where(message.c.created_time >= wanted.start_time)
        if wanted.end_time is not None:
            query = query.where(message.c.created_time < wanted.end_time)
        if wanted.level is not None:
            query = query.where(message.c.level == wanted.level.value)
        if wanted.source:
            query = query.where(message.c.source == wanted.source)
        if wanted.incident_keys:
            # An index holds those that are not empty.
            query = query.where(message.c.incident_key.in_(wanted.incident_keys))
            query = query.where(message.c.incident_key != "")
        query = apply(query, [(message.c.id, "desc")], page.after, page.size)
        return await self._with_deliveries(await self._transaction.fetch(query))

    async def list_deliveries(
        self, page: PageRequest, channel: str, state: DeliveryState | None, message_id: str
    ) -> list[Delivery]:
        """Deliveries, newest first, one more than the page holds."""
        query = _DELIVERIES
        if channel:
            query = query.where(delivery.c.channel == channel)
        if state is not None:
            query = query.where(delivery.c.state == state.value)
        if message_id:
            query = query.where(delivery.c.message_id == message_id)
        query = apply(query, [(delivery.c.id, "desc")], page.after, page.size)
        return list(map(to_delivery, await self._transaction.fetch(query)))

    async def resend(self, id: str, now: datetime) -> Delivery | None:
        """Queue it again if it was given up; what it is afterwards, None when there is none."""
        await self._transaction.execute(_RESEND, id=id, due_time=now)
        row = await self._transaction.first(_ONE_DELIVERY, id=id)
        return to_delivery(row) if row else None

    async def clear(self) -> int:
        """Delete messages that wait for no delivery and no contact; messages and deliveries
        counted.
        """
        return int(await self._transaction.scalar(_CLEAR))

    async def _with_deliveries(self, messages: Sequence[asyncpg.Record]) -> list[Message]:
        deliveries: dict[str, list[Delivery]] = {row["id"]: [] for row in messages}
        if messages:
            for row in await self._transaction.fetch(_DELIVERIES_OF, ids=list(deliveries)):
                deliveries[row["message_id"]].append(to_delivery(row))
        return [rows.read(Message, row, deliveries=deliveries[row["id"]]) for row in messages]
