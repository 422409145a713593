"""Replies that were read, who reads them, and what they may answer. Every time is an argument."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from services.xcom.calls.domain import CallState
from services.xcom.domain.messages import Level
from services.xcom.domain.settings import Route
from services.xcom.replies.domain import Reply, ReplyOutcome, Target
from services.xcom.store.escalation import EscalationStore
from shared import rows
from shared.database.statement import Statement

# One reader a channel over all processes; where it stopped outlives it.
_LEASE = Statement("""
    insert into reader (channel, owner, expires_time, position)
    values (:channel, :owner, cast(:expires_time as timestamptz), '')
    on conflict (channel) do update set owner = excluded.owner,
        expires_time = excluded.expires_time
    where reader.owner = excluded.owner or reader.expires_time <= :now
    returning position
""")
_ADVANCE = Statement(
    "update reader set position = :position where channel = :channel and owner = :owner"
)
_NOTE = Statement("""
    insert into reply (channel, provider_id, message_id, verdict, created_time)
    values (:channel, :provider_id, :message_id, :verdict, :now)
    on conflict do nothing returning 1
""")
_SEEN = Statement("select 1 from reply where channel = :channel and provider_id = :provider_id")
_OPEN = f"""
    message.acknowledged_time is null and not message.ends_incident
    and message.level in ({Level.MEDIUM.value}, {Level.HIGH.value})
    and not exists (select from incident where key = message.incident_key
        and message.incident_key <> '' and ended_time is not null)
"""
# Of several calls the first: who answers it is not too early for the next. Calls that nobody took
# are seen all the same.
_CALLED = f"""
    (select min(planned_time) from call where call.delivery_id = delivery.id
        and call.state in ({CallState.PLACED.value}, {CallState.ENDED.value}))
"""
_TOLD = f"coalesce({_CALLED}, delivery.handed_over_time, delivery.sent_time)"
_WAS_TOLD = f"(delivery.state in (2, 6) or delivery.state in (1, 3) and {_CALLED} is not null)"
_TARGETS = Statement(f"""
    select message.id as message_id, {_TOLD} as told_time
    from delivery join message on message.id = delivery.message_id
    join unnest(cast(:channels as text[]), cast(:addresses as text[]))
        as own(channel, address)
        on own.channel = delivery.channel and own.address = delivery.address
    where {_WAS_TOLD} and {_TOLD} > :after and {_OPEN}
    order by told_time desc limit 20
""")
_POSTED = Statement(f"""
    select message.id as message_id, {_TOLD} as told_time
    from delivery join message on message.id = delivery.message_id
    where delivery.channel = :channel and delivery.posted_id = :posted_id
        and delivery.posted_id <> ''
""")
_AWAITED = Statement(f"""
    select exists (select from delivery join message on message.id = delivery.message_id
        where delivery.channel = any(cast(:channels as text[])) and {_WAS_TOLD}
            and delivery.created_time > :after and {_OPEN})
""")


class ReplyStore(EscalationStore):
    """Replies of one transaction."""

    async def lease(self, channel: str, owner: str, now: datetime, ttl: timedelta) -> str | None:
        """Where to go on reading; None while another process reads."""
        row = await self._transaction.first(
            _LEASE, channel=channel, owner=owner, now=now, expires_time=now + ttl
        )
        return row["position"] if row else None

    async def advance(self, channel: str, owner: str, position: str) -> None:
        """Everything before was read."""
        await self._transaction.execute(_ADVANCE, channel=channel, owner=owner, position=position)

    async def is_seen(self, channel: str, reply: Reply) -> bool:
        """Whether it was read before."""
        values = {"channel": channel, "provider_id": reply.provider_id}
        return await self._transaction.first(_SEEN, **values) is not None

    async def note(
        self, channel: str, reply: Reply, message_id: str, verdict: ReplyOutcome, now: datetime
    ) -> bool:
        """It was read; False when another one did meanwhile."""
        row = await self._transaction.first(
            _NOTE,
            channel=channel,
            provider_id=reply.provider_id,
            message_id=message_id,
            verdict=verdict.value,
            now=now,
        )
        return row is not None

    async def targets(self, routes: Collection[Route], after: datetime) -> list[Target]:
        """What was told by these routes since then and is open, newest first."""
        found = await self._transaction.fetch(
            _TARGETS,
            channels=[one.channel for one in routes],
            addresses=[one.address for one in routes],
            after=after,
        )
        return [rows.read(Target, row) for row in found]

    async def posted(self, channel: str, posted_id: str) -> list[Target]:
        """The message that was posted as this."""
        found = await self._transaction.fetch(_POSTED, channel=channel, posted_id=posted_id)
        return [rows.read(Target, row) for row in found]

    async def is_awaited(self, channels: Collection[str], after: datetime) -> bool:
        """Whether anything told by these channels since then may still be answered."""
        return bool(await self._transaction.scalar(_AWAITED, channels=list(channels), after=after))
