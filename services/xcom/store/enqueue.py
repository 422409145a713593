"""More deliveries of messages that are stored already: fallbacks, contacts, digests."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.xcom.deliveries.domain.digests import NAMED_COUNT, Digest, Member
from services.xcom.domain.messages import URGENT, DeliveryReason, Kind, Level
from services.xcom.store.listener import NOTIFY_CHANNEL
from services.xcom.store.queue import FRESH, LevelRange
from services.xcom.store.settings import SettingStore
from services.xcom.store.worst import FACT, fact_of
from shared.database.statement import Statement

INSERT_DELIVERY: Final = (
    "insert into delivery (id, message_id, channel, address, contact, reason, level, urgency,"
    " due_time, created_time, state, tries, last_error, provider_status)"
)
# Beginning of a statement: everything that this delivery tried counts no more.
REQUEUE: Final = (
    "update delivery set state = 1, spent_tries = tries, due_time = :due_time,"
    " claimed_until = null, digest_id = ''"
)
_BURSTS = Statement(
    f"select address from delivery where channel = :channel and {FRESH}"
    " group by address having count(*) > 1"
)
_GROUP = Statement(f"""
    with grouped as (
        update delivery set state = 4, digest_id = :digest_id
        where id in (select id from delivery where channel = :channel and {FRESH}
            and address = :address order by id for update skip locked)
        returning message_id),
    member as (select message.* from message join grouped on grouped.message_id = message.id),
    worst as (select * from member order by urgency desc, id limit {NAMED_COUNT})
    select count(*) as member_count, max(urgency) as urgency, min(kind) as kind,
        coalesce(bool_or(facts ->> 'demo' = 'true'), false) as is_demo,
        (select json_agg(json_build_object('level', level, 'subject', subject, 'facts', facts)
            order by urgency desc, id) from worst) as worst
    from member
""")
_DIGEST = Statement(f"""
    with stored as (
        insert into message (id, request_id, level, kind, urgency, subject, body, source,
            dedupe_key, facts, created_time, suppressed_reason, channels_reason)
        values (:message_id, :message_id, :level, :kind, :urgency, :subject, :body, 'xcom', '',
            cast(:facts as jsonb), :now, '', 'DIGEST'))
    {INSERT_DELIVERY}
    values (:id, :message_id, :channel, :address, '', {DeliveryReason.DIGEST.value}, :level,
        :urgency, :now, :now, 1, 0, '', '')
""")
_QUEUE = Statement(f"""
    with queued as (
        {INSERT_DELIVERY}
        select own.id, own.message_id, own.channel, own.address, :contact, :reason, message.level,
            message.urgency, own.due_time, :now, 1, 0, '', ''
        from unnest(cast(:ids as text[]), cast(:message_ids as text[]), cast(:channels as text[]),
            cast(:addresses as text[]), cast(:due_times as timestamptz[]))
            as own(id, message_id, channel, address, due_time)
        join message on message.id = own.message_id on conflict do nothing returning 1)
    select case when exists (select from queued) then pg_notify('{NOTIFY_CHANNEL}', '') end
""")
# Urgent ones rest only behind urgent ones, and none behind a send of the future, which a clock that
# was ahead left.
_LAST_TIME = """
    greatest(
        (select max(sent_time) from delivery where state = 2 and channel = :channel
            and address = {address} and urgency >= :least and sent_time <= :now),
        (select max(handed_over_time) from delivery where state = 6 and channel = :channel
            and address = {address} and urgency >= :least and handed_over_time <= :now))
"""
_LAST_SENT = Statement(f"select {_LAST_TIME.format(address=':address')}")
# What was accepted while another was being sent could not know of it.
_REST = Statement(f"""
    update delivery as waiting set due_time = rest.until
    from (select address, {_LAST_TIME.format(address="next.address")}
            + make_interval(secs => :cooldown_seconds) as until
        from (select distinct address from delivery where channel = :channel and state = 1
            and urgency >= :least and urgency < :below and due_time <= :now) as next) as rest
    where waiting.channel = :channel and waiting.state = 1 and waiting.address = rest.address
        and waiting.urgency >= :least and waiting.urgency < :below and waiting.due_time <= :now
        and waiting.claimed_until is null and rest.until > :now
""")


@dataclass(frozen=True, slots=True)
class ExtraDelivery:
    """One more delivery of a stored message."""

    id: str
    message_id: str
    channel: str
    due_time: datetime
    address: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """What was taken together: how many, and the most urgent ones, worst first."""

    member_count: int
    kind: Kind
    urgency: float
    is_demo: bool
    worst: Sequence[Member]


class EnqueueStore(SettingStore):
    """Adds to the queue within one transaction."""

    async def bursts(self, channel: str, level_range: LevelRange) -> list[str]:
        """Addresses for which more than one waits that was never tried."""
        found = await self._transaction.fetch(_BURSTS, channel=channel, **level_range.values)
        return [row["address"] for row in found]

    async def group(
        self, channel: str, address: str, level_range: LevelRange, digest_id: str
    ) -> Group | None:
        """Take what waits together; None when nothing does any more."""
        values = {"channel": channel, "address": address, "digest_id": digest_id}
        (row,) = await self._transaction.fetch(_GROUP, **values, **level_range.values)
        if not row["member_count"]:
            return None
        worst = [
            Member(Level(one["level"]), one["subject"], one["facts"])
            for one in json.loads(row["worst"])
        ]
        kind = Kind(row["kind"])
        return Group(row["member_count"], kind, row["urgency"], row["is_demo"], worst)

    async def add_digest(
        self, extra: ExtraDelivery, group: Group, digest: Digest, now: datetime
    ) -> None:
        """The message that stands for a group, with its one delivery."""
        await self._transaction.execute(
            _DIGEST,
            id=extra.id,
            message_id=extra.message_id,
            channel=extra.channel,
            address=extra.address,
            level=digest.level,
            kind=group.kind,
            urgency=group.urgency,
            subject=digest.subject,
            body=digest.body,
            facts=json.dumps({**digest.facts, FACT: fact_of(digest.worst)}),
            now=now,
        )

    async def queue(
        self, extras: Collection[ExtraDelivery], reason: DeliveryReason, contact: str, now: datetime
    ) -> None:
        """Add deliveries, and NOTIFY; one that the message has already stays as it is."""
        await self._transaction.execute(
            _QUEUE,
            ids=[extra.id for extra in extras],
            message_ids=[extra.message_id for extra in extras],
            channels=[extra.channel for extra in extras],
            addresses=[extra.address for extra in extras],
            due_times=[extra.due_time for extra in extras],
            reason=reason,
            contact=contact,
            now=now,
        )

    async def rest(self, channel: str, level_range: LevelRange, cooldown_seconds: float) -> None:
        """What is due too soon after the last one for its address is put off."""
        values = {"channel": channel, "cooldown_seconds": cooldown_seconds}
        await self._transaction.execute(_REST, **values, **level_range.values)

    async def last_sent(
        self, channel: str, address: str, now: datetime, *, urgent: bool = True
    ) -> datetime | None:
        """When the channel last took something for this address, as far as it holds up what is
        `urgent`.
        """
        least = URGENT if urgent else 0.0
        values = {"channel": channel, "address": address, "now": now, "least": least}
        found: datetime | None = await self._transaction.scalar(_LAST_SENT, **values)
        return found
