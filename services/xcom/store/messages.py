"""Messages and their deliveries as people see them: accepted, listed, cleared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, select, text

from services.xcom.domain.messages import Attempt, Delivery, DeliveryState, Level, Message
from services.xcom.store.accept import Acceptance
from services.xcom.store.incidents import IncidentStore
from services.xcom.store.rows import BELL, to_attempt, to_delivery, to_message
from services.xcom.tables import attempt, delivery, message, request
from shared.database.engine import raw
from shared.database.keyset import apply
from shared.paging import PageRequest

_RESEND = text(
    "update delivery set state = 1, spent_tries = tries, due_time = :now, claimed_until = null,"
    " digest_id = '' where id = :id and state = 3"
    f" returning pg_notify('{BELL}', '')"
)
_CLEAR = text(
    "with gone as (delete from message where escalation_due_time is null and not exists"
    " (select from delivery where delivery.message_id = message.id and delivery.state in (1, 4, 6))"
    " returning id)"
    " select (select count(*) from gone)"
    " + (select count(*) from delivery where message_id in (select id from gone))"
)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What is kept of a request for ever."""

    fingerprint: str
    message_id: str
    created_time: datetime
    suppressed_reason: str
    channels_reason: str


class MessageStore(IncidentStore):
    """Messages of one transaction."""

    async def acceptance(self, dedupe_key: str) -> Acceptance:
        """The way in within this transaction, which holds the key until its end: two cannot both be
        first.
        """
        found = Acceptance((await raw(self._connection)).fetch)
        if dedupe_key:
            await found.hold(dedupe_key)
        return found

    async def accepted(self, request_id: str) -> Accepted | None:
        """What was answered to this request."""
        row = (
            await self._connection.execute(
                select(request).where(request.c.request_id == request_id)
            )
        ).one_or_none()
        if row is None:
            return None
        return Accepted(
            row.fingerprint,
            row.message_id,
            row.created_time,
            row.suppressed_reason,
            row.channels_reason,
        )

    async def message(self, id: str) -> Message | None:
        """One message with its deliveries."""
        row = (
            await self._connection.execute(select(message).where(message.c.id == id))
        ).one_or_none()
        return (await self._with_deliveries([to_message(row)]))[0] if row else None

    async def attempts(self, message_id: str) -> dict[str, list[Attempt]]:
        """Every try of the message's deliveries by delivery id, oldest first."""
        query = (
            select(attempt)
            .join(delivery, delivery.c.id == attempt.c.delivery_id)
            .where(delivery.c.message_id == message_id)
            .order_by(attempt.c.delivery_id, attempt.c.try_number)
        )
        found: dict[str, list[Attempt]] = {}
        for row in await self._connection.execute(query):
            found.setdefault(row.delivery_id, []).append(to_attempt(row))
        return found

    async def list_messages(
        self, page: PageRequest, level: Level | None, source: str
    ) -> list[Message]:
        """Messages, newest first, one more than the page holds."""
        query = select(message)
        if level is not None:
            query = query.where(message.c.level == level.value)
        if source:
            query = query.where(message.c.source == source)
        query = apply(query, [(message.c.id, "desc")], page.after, page.size)
        return await self._with_deliveries(
            [to_message(row) for row in await self._connection.execute(query)]
        )

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
        return [to_delivery(row) for row in await self._connection.execute(query)]

    async def resend(self, id: str, now: datetime) -> Delivery | None:
        """Queue it again if it was given up; what it is afterwards, None when there is none."""
        await self._connection.execute(_RESEND, {"id": id, "now": now})
        row = (await self._connection.execute(_DELIVERIES.where(delivery.c.id == id))).one_or_none()
        return to_delivery(row) if row else None

    async def clear(self) -> int:
        """Delete messages that wait for no delivery and no contact; messages and deliveries
        counted.
        """
        return int(await self._connection.scalar(_CLEAR) or 0)

    async def _with_deliveries(self, messages: Sequence[Message]) -> list[Message]:
        ids = [one.id for one in messages]
        query = _DELIVERIES.where(delivery.c.message_id == func.any(ids)).order_by(delivery.c.id)
        found: dict[str, list[Delivery]] = {}
        for row in await self._connection.execute(query) if ids else ():
            found.setdefault(row.message_id, []).append(to_delivery(row))
        return [replace(one, deliveries=found.get(one.id, [])) for one in messages]


_DELIVERIES = select(delivery, message.c.subject).join(
    message, message.c.id == delivery.c.message_id
)
