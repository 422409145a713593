"""Messages and their deliveries as people see them: accepted, listed, cleared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, select, text

from services.xcom.domain.messages import Attempt, Delivery, DeliveryState, Draft, Level, Message
from services.xcom.store.queueing import QueueStore
from services.xcom.store.rows import BELL, to_attempt, to_delivery, to_message
from services.xcom.tables import attempt, delivery, message, request
from shared.database.keyset import apply
from shared.paging import PageRequest

_LOCK_KEY = text("select pg_advisory_xact_lock(hashtextextended('xcom dedupe ' || :dedupe_key, 0))")
# Both ways round now: a clock that was stepped back must not tell everything again.
_TOLD = text(
    "select exists (select from request where dedupe_key = :dedupe_key and dedupe_key <> ''"
    " and suppressed_reason = '' and level >= :level"
    " and created_time > :after and created_time < :before)"
)
# One statement, so that a request id taken meanwhile inserts nothing at all.
_ACCEPT = text(
    "with fresh as (insert into request (request_id, fingerprint, message_id, level, dedupe_key,"
    "  created_time, suppressed_reason, channels_reason)"
    " values (:request_id, :fingerprint, :id, :level, :dedupe_key,"
    "  :now, :suppressed_reason, :channels_reason)"
    " on conflict do nothing returning 1),"
    " stored as (insert into message (id, request_id, level, subject, body, source, dedupe_key, facts,"
    "  created_time, suppressed_reason, channels_reason, escalation_due_time)"
    " select :id, :request_id, :level, :subject, :body, :source, :dedupe_key, cast(:facts as jsonb),"
    "  :now, :suppressed_reason, :channels_reason, cast(:escalation_due_time as timestamptz)"
    "  from fresh returning 1),"
    " queued as (insert into delivery (id, message_id, channel, state, level, tries, due_time, last_error,"
    "  provider_status, created_time)"
    " select own.id, :id, own.channel, 1, :level, 0, own.due_time, '', '', :now from stored,"
    "  unnest(cast(:delivery_ids as text[]), cast(:channels as text[]), cast(:due_times as timestamptz[]))"
    "  as own(id, channel, due_time) returning 1)"
    f" select (select count(*) from stored),"
    f" case when exists (select from queued) then pg_notify('{BELL}', '') end"
)
_RESEND = text(
    "update delivery set state = 1, spent_tries = tries, due_time = :now, claimed_until = null,"
    " digest_id = '' where id = :id and state = 3"
    f" returning pg_notify('{BELL}', '')"
)
_CLEAR = text(
    "with gone as (delete from message where not exists"
    " (select from delivery where delivery.message_id = message.id and delivery.state in (1, 4))"
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


class MessageStore(QueueStore):
    """Messages of one transaction."""

    async def was_told(self, dedupe_key: str, level: Level, now: datetime, window: timedelta) -> bool:
        """Whether this key was told at this level or a higher one within the window.

        Holds the key until the end of the transaction: two at once cannot both be the first.
        """
        if not dedupe_key:
            return False
        await self._connection.execute(_LOCK_KEY, {"dedupe_key": dedupe_key})
        found = await self._connection.scalar(
            _TOLD,
            {
                "dedupe_key": dedupe_key,
                "level": level.value,
                "after": now - window,
                "before": now + window,
            },
        )
        return bool(found)

    async def accept(self, draft: Draft, stored: Message) -> bool:
        """Store request, message and deliveries; False, storing nothing, when the request id is taken."""
        row = (
            await self._connection.execute(
                _ACCEPT,
                {
                    "request_id": draft.request_id,
                    "fingerprint": draft.fingerprint,
                    "id": stored.id,
                    "level": draft.level.value,
                    "dedupe_key": draft.dedupe_key,
                    "now": stored.created_time,
                    "suppressed_reason": stored.suppressed_reason,
                    "channels_reason": stored.channels_reason,
                    "subject": draft.subject,
                    "body": draft.body,
                    "source": draft.source,
                    "facts": json.dumps(dict(draft.facts)),
                    "delivery_ids": [one.id for one in stored.deliveries],
                    "channels": [one.channel for one in stored.deliveries],
                    "due_times": [one.due_time for one in stored.deliveries],
                    "escalation_due_time": stored.escalation_due_time,
                },
            )
        ).one()
        return bool(row[0])

    async def accepted(self, request_id: str) -> Accepted | None:
        """What was answered to this request."""
        row = (
            await self._connection.execute(select(request).where(request.c.request_id == request_id))
        ).one_or_none()
        if row is None:
            return None
        return Accepted(
            row.fingerprint, row.message_id, row.created_time, row.suppressed_reason, row.channels_reason
        )

    async def message(self, id: str) -> Message | None:
        """One message with its deliveries."""
        row = (await self._connection.execute(select(message).where(message.c.id == id))).one_or_none()
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

    async def list_messages(self, page: PageRequest, level: Level | None, source: str) -> list[Message]:
        """Messages, newest first, one more than the page holds."""
        query = select(message)
        if level is not None:
            query = query.where(message.c.level == level.value)
        if source:
            query = query.where(message.c.source == source)
        query = apply(query, [(message.c.id, "desc")], page.after, page.size)
        return await self._with_deliveries([to_message(row) for row in await self._connection.execute(query)])

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
        """Delete messages without a waiting delivery; messages and deliveries counted."""
        return int(await self._connection.scalar(_CLEAR) or 0)

    async def _with_deliveries(self, messages: Sequence[Message]) -> list[Message]:
        ids = [one.id for one in messages]
        query = _DELIVERIES.where(delivery.c.message_id == func.any(ids)).order_by(delivery.c.id)
        found: dict[str, list[Delivery]] = {}
        for row in await self._connection.execute(query) if ids else ():
            found.setdefault(row.message_id, []).append(to_delivery(row))
        return [replace(one, deliveries=found.get(one.id, [])) for one in messages]


_DELIVERIES = select(delivery, message.c.subject).join(message, message.c.id == delivery.c.message_id)
