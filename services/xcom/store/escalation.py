"""Acknowledgements, links and messages whose next contact is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text

from services.xcom.domain.messages import Level, Message
from services.xcom.store.messages import MessageStore
from services.xcom.store.rows import to_message
from services.xcom.tables import link, message

_DUE = (
    select(message)
    .where(message.c.escalation_due_time <= text(":now"))
    .order_by(message.c.escalation_due_time)
    .limit(100)
    .with_for_update(skip_locked=True)
)
_NEXT = text("select min(escalation_due_time) from message where escalation_due_time is not null")
_STEP = text(
    "update message set escalation_step = :step, escalation_due_time = cast(:due_time as"
    " timestamptz)"
    " where id = :id"
)
_ACKNOWLEDGE = text(
    "update message set acknowledged_time = coalesce(acknowledged_time, :now),"
    " acknowledged_by = case when acknowledged_time is null then :by else acknowledged_by end,"
    " escalation_due_time = null where id = :id"
)
_SNOOZE = text(
    "update message set snoozed_until_time = cast(:until as timestamptz),"
    " escalation_due_time = case when escalation_due_time is null then null"
    "  else cast(:until as timestamptz) end where id = :id"
)
_CARRIED = text(
    "select distinct message.id, message.incident_key, message.level from message"
    " join delivery on delivery.message_id = message.id"
    " join delivery as digest on digest.id = delivery.digest_id"
    " where digest.message_id = :id order by message.id"
)
_USE_LINK = text(
    "update link set used_time = :now where token_hash = :token_hash and used_time is null"
    " and expires_time > :now returning message_id"
)


@dataclass(frozen=True, slots=True)
class Carried:
    """A message, itself or within a digest."""

    id: str
    incident_key: str
    level: Level


@dataclass(frozen=True, slots=True)
class StoredLink:
    """A link by the hash of its token."""

    message_id: str
    expires_time: datetime
    used_time: datetime | None


class EscalationStore(MessageStore):
    """Escalations of one transaction."""

    async def due(self, now: datetime) -> list[Message]:
        """Messages whose next contact is due, held until the end of the transaction."""
        rows = await self._connection.execute(_DUE, {"now": now})
        return await self._with_deliveries([to_message(row) for row in rows])

    async def next_due(self) -> datetime | None:
        """When the next one is."""
        found: datetime | None = await self._connection.scalar(_NEXT)
        return found

    async def step(self, id: str, step: int, due_time: datetime | None) -> None:
        """So many contacts were told; None: no other follows."""
        await self._connection.execute(_STEP, {"id": id, "step": step, "due_time": due_time})

    async def acknowledge(self, id: str, by: str, now: datetime) -> None:
        """The first one counts; nothing escalates any more."""
        await self._connection.execute(_ACKNOWLEDGE, {"id": id, "by": by, "now": now})

    async def snooze(self, id: str, until: datetime) -> None:
        """No contact before this."""
        await self._connection.execute(_SNOOZE, {"id": id, "until": until})

    async def carried(self, id: str) -> list[Carried]:
        """The messages whose deliveries a digest carries; none for any other message."""
        rows = await self._connection.execute(_CARRIED, {"id": id})
        return [Carried(row.id, row.incident_key, Level(row.level)) for row in rows]

    async def link(self, token_hash: str) -> StoredLink | None:
        """The link of this token."""
        row = (
            await self._connection.execute(select(link).where(link.c.token_hash == token_hash))
        ).one_or_none()
        return StoredLink(row.message_id, row.expires_time, row.used_time) if row else None

    async def use_link(self, token_hash: str, now: datetime) -> bool:
        """Whether it was this call that used it."""
        words = {"token_hash": token_hash, "now": now}
        return (await self._connection.execute(_USE_LINK, words)).first() is not None
