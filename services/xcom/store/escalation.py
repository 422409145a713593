"""Acknowledgements, links and messages whose next contact is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.xcom.domain.messages import Level, Message
from services.xcom.escalation.domain.incidents import IncidentUpdate
from services.xcom.store.incidents import ACKNOWLEDGE, SNOOZE, values_of
from services.xcom.store.messages import MessageStore
from shared import rows
from shared.database.statement import Statement

# What a message waits for since a moment that is still to come, left by a clock that was ahead, is
# due: too early is better than as much too late.
_LEFT = """
    (created_time > cast(:now as timestamptz) + interval '2 minutes'
        and escalation_due_time >= created_time)
"""
_DUE = Statement(f"""
    select * from message
    where escalation_due_time is not null and (escalation_due_time <= :now or {_LEFT})
    order by escalation_due_time limit 100 for update skip locked
""")
_NEXT = Statement(f"""
    select min(case when {_LEFT} then cast(:now as timestamptz) else escalation_due_time end)
    from message where escalation_due_time is not null
""")
_STEP = Statement("""
    update message set escalation_step = :step,
        escalation_due_time = cast(:due_time as timestamptz)
    where id = :id
""")
_ACKNOWLEDGE, _SNOOZE = (Statement(f"{change} where id = :id") for change in (ACKNOWLEDGE, SNOOZE))
_CARRIED = Statement("""
    select distinct message.id, message.incident_key, message.level from message
    join delivery on delivery.message_id = message.id
    join delivery as digest on digest.id = delivery.digest_id
    where digest.message_id = :id order by message.id
""")
_LINK = Statement("select * from link where token_hash = :token_hash")
_USE_LINK = Statement("""
    update link set used_time = :now
    where token_hash = :token_hash and used_time is null and expires_time > :now
""")


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
        return await self._with_deliveries(await self._transaction.fetch(_DUE, now=now))

    async def next_due(self, now: datetime) -> datetime | None:
        """When the next one is."""
        found: datetime | None = await self._transaction.scalar(_NEXT, now=now)
        return found

    async def step(self, id: str, step: int, due_time: datetime | None) -> None:
        """So many contacts were notified; None: no other follows."""
        await self._transaction.execute(_STEP, id=id, step=step, due_time=due_time)

    async def quieten(self, id: str, update: IncidentUpdate) -> None:
        """Nothing escalates any more, or not before the end of the snooze; the first
        acknowledgement counts.
        """
        change = _SNOOZE if update.is_snooze else _ACKNOWLEDGE
        await self._transaction.execute(change, id=id, **values_of(update))

    async def carried(self, id: str) -> list[Carried]:
        """The messages whose deliveries a digest carries; none for any other message."""
        return [rows.read(Carried, row) for row in await self._transaction.fetch(_CARRIED, id=id)]

    async def link(self, token_hash: str) -> StoredLink | None:
        """The link of this token."""
        row = await self._transaction.first(_LINK, token_hash=token_hash)
        return rows.read(StoredLink, row) if row else None

    async def use_link(self, token_hash: str, now: datetime) -> bool:
        """Whether it was this call that used it."""
        return bool(await self._transaction.execute(_USE_LINK, token_hash=token_hash, now=now))
