"""More deliveries for messages that are stored already: fallbacks, contacts, digests; and how full it is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from services.xcom.domain.messages import DeliveryReason, Level
from services.xcom.store.queue import Band
from services.xcom.store.rows import BELL
from services.xcom.store.settings import SettingStore
from services.xcom.store.statements import FRESH

_CROWDS = text(
    f"select address from delivery where channel = :channel and {FRESH} group by address having count(*) > 1"
)
_GROUP = text(
    "with grouped as (update delivery set state = 4, digest_id = :digest_id"
    f" where id in (select id from delivery where channel = :channel and {FRESH}"
    "  and address = :address order by id for update skip locked)"
    " returning message_id, level),"
    " loudest as (select message.subject from message join grouped on grouped.message_id = message.id"
    "  order by message.level desc, message.id limit 20)"
    " select (select count(*) from grouped) as member_count, (select max(level) from grouped) as level,"
    " (select array_agg(subject) from loudest) as subjects"
)
_DIGEST = text(
    "with told as (insert into message (id, request_id, level, subject, body, source, dedupe_key, facts,"
    "  created_time, suppressed_reason, channels_reason)"
    " values (:message_id, :message_id, :level, :subject, :body, 'xcom', '', '{}', :now, '', 'DIGEST'))"
    " insert into delivery (id, message_id, channel, state, level, tries, due_time, last_error,"
    "  provider_status, created_time, reason, address)"
    f" values (:id, :message_id, :channel, 1, :level, 0, :now, '', '', :now, {DeliveryReason.DIGEST.value},"
    "  :address)"
)
_QUEUE = text(
    "with queued as (insert into delivery (id, message_id, channel, state, level, tries, due_time,"
    "  last_error, provider_status, created_time, reason, contact, address)"
    " select own.id, own.message_id, own.channel, 1, message.level, 0, own.due_time, '', '', :now,"
    "  :reason, :contact, own.address"
    " from unnest(cast(:ids as text[]), cast(:message_ids as text[]), cast(:channels as text[]),"
    "  cast(:addresses as text[]), cast(:due_times as timestamptz[]))"
    "  as own(id, message_id, channel, address, due_time)"
    " join message on message.id = own.message_id on conflict do nothing returning 1)"
    f" select case when exists (select from queued) then pg_notify('{BELL}', '') end"
)
_LAST_SENT = text(
    "select max(sent_time) from delivery where state = 2 and channel = :channel and address = :address"
)


@dataclass(frozen=True, slots=True)
class Extra:
    """One more delivery of a stored message."""

    id: str
    message_id: str
    channel: str
    due_time: datetime
    address: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """What was taken together: how many, how loud, and the first subjects."""

    member_count: int
    level: Level
    subjects: Sequence[str]


class QueueStore(SettingStore):
    """Adds to the queue within one transaction."""

    async def crowds(self, channel: str, band: Band) -> list[str]:
        """Addresses for which more than one waits that was never tried."""
        return [
            row.address for row in await self._connection.execute(_CROWDS, {**band.words, "channel": channel})
        ]

    async def group(self, channel: str, address: str, band: Band, digest_id: str) -> Group | None:
        """Take what waits together; None when nothing does any more."""
        words = {**band.words, "channel": channel, "address": address, "digest_id": digest_id}
        row = (await self._connection.execute(_GROUP, words)).one()
        return Group(row.member_count, Level(row.level), row.subjects) if row.member_count else None

    async def add_digest(self, extra: Extra, level: Level, subject: str, body: str, now: datetime) -> None:
        """The message that stands for a group, with its one delivery."""
        await self._connection.execute(
            _DIGEST,
            {
                "id": extra.id,
                "message_id": extra.message_id,
                "channel": extra.channel,
                "address": extra.address,
                "level": level.value,
                "subject": subject,
                "body": body,
                "now": now,
            },
        )

    async def queue(
        self, extras: Collection[Extra], reason: DeliveryReason, contact: str, now: datetime
    ) -> None:
        """Add deliveries; one that the message has already stays as it is. Rings the bell."""
        await self._connection.execute(
            _QUEUE,
            {
                "ids": [extra.id for extra in extras],
                "message_ids": [extra.message_id for extra in extras],
                "channels": [extra.channel for extra in extras],
                "addresses": [extra.address for extra in extras],
                "due_times": [extra.due_time for extra in extras],
                "reason": reason.value,
                "contact": contact,
                "now": now,
            },
        )

    async def last_sent(self, channel: str, address: str) -> datetime | None:
        """When the channel was last accepted for this address."""
        found: datetime | None = await self._connection.scalar(
            _LAST_SENT, {"channel": channel, "address": address}
        )
        return found
