"""More deliveries for messages that are stored already: fallbacks, contacts, digests; and how full
it is.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from services.xcom.deliveries.domain.digests import NAMED_COUNT, Digest, Member
from services.xcom.domain.messages import URGENT, DeliveryReason, Kind, Level
from services.xcom.store.queue import LevelRange
from services.xcom.store.rows import BELL
from services.xcom.store.settings import SettingStore
from services.xcom.store.statements import FRESH

_CROWDS = text(
    f"select address from delivery where channel = :channel and {FRESH} group by address having"
    " count(*) > 1"
)
_GROUP = text(
    "with grouped as (update delivery set state = 4, digest_id = :digest_id"
    f" where id in (select id from delivery where channel = :channel and {FRESH}"
    "  and address = :address order by id for update skip locked)"
    " returning message_id),"
    " told as (select message.* from message join grouped on grouped.message_id = message.id),"
    f" worst as (select * from told order by urgency desc, id limit {NAMED_COUNT})"
    " select (select count(*) from told) as member_count, (select max(urgency) from told) as"
    " urgency,"
    " (select min(kind) from told) as kind,"
    " coalesce((select bool_or(facts ->> 'demo' = 'true') from told), false) as is_demo,"
    " (select json_agg(json_build_object('level', level, 'subject', subject, 'facts', facts)"
    "  order by urgency desc, id) from worst) as worst"
)
_DIGEST = text(
    "with told as (insert into message (id, request_id, level, kind, urgency, subject, body,"
    " source,"
    "  dedupe_key, facts, created_time, suppressed_reason, channels_reason)"
    " values (:message_id, :message_id, :level, :kind, :urgency, :subject, :body, 'xcom', '',"
    "  cast(:facts as jsonb), :now, '', 'DIGEST'))"
    " insert into delivery (id, message_id, channel, state, level, urgency, tries, due_time,"
    " last_error,"
    "  provider_status, created_time, reason, address)"
    " values (:id, :message_id, :channel, 1, :level, :urgency, 0, :now, '', '', :now,"
    f"  {DeliveryReason.DIGEST.value}, :address)"
)
_QUEUE = text(
    "with queued as (insert into delivery (id, message_id, channel, state, level, urgency, tries,"
    "  due_time, last_error, provider_status, created_time, reason, contact, address)"
    " select own.id, own.message_id, own.channel, 1, message.level, message.urgency, 0,"
    " own.due_time, '', '',"
    "  :now, :reason, :contact, own.address"
    " from unnest(cast(:ids as text[]), cast(:message_ids as text[]), cast(:channels as text[]),"
    "  cast(:addresses as text[]), cast(:due_times as timestamptz[]))"
    "  as own(id, message_id, channel, address, due_time)"
    " join message on message.id = own.message_id on conflict do nothing returning 1)"
    f" select case when exists (select from queued) then pg_notify('{BELL}', '') end"
)
# Urgent ones rest only behind urgent ones.
_LAST_SENT = text(
    "select greatest("
    " (select max(sent_time) from delivery where state = 2 and channel = :channel and address ="
    " :address"
    "  and urgency >= :least),"
    " (select max(handed_over_time) from delivery where state = 6 and channel = :channel"
    "  and address = :address and urgency >= :least))"
)
# What was accepted while another was being sent could not know of it.
_REST = text(
    "update delivery as waiting set due_time = rest.until"
    " from (select address, (select greatest("
    "   (select max(sent_time) from delivery where state = 2 and channel = :channel"
    "    and address = next.address and urgency >= :least),"
    "   (select max(handed_over_time) from delivery where state = 6 and channel = :channel"
    "    and address = next.address and urgency >= :least)))"
    "  + make_interval(secs => :cooldown_seconds) as until"
    "  from (select distinct address from delivery where channel = :channel and state = 1"
    "   and urgency >= :least and urgency < :below and due_time <= :now) as next) as rest"
    " where waiting.channel = :channel and waiting.state = 1 and waiting.address = rest.address"
    " and waiting.urgency >= :least and waiting.urgency < :below and waiting.due_time <= :now"
    " and waiting.claimed_until is null and rest.until > :now"
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
    """What was taken together: how many, and the most urgent ones, worst first."""

    member_count: int
    kind: Kind
    urgency: float
    is_demo: bool
    worst: Sequence[Member]


class QueueStore(SettingStore):
    """Adds to the queue within one transaction."""

    async def crowds(self, channel: str, level_range: LevelRange) -> list[str]:
        """Addresses for which more than one waits that was never tried."""
        return [
            row.address
            for row in await self._connection.execute(
                _CROWDS, {**level_range.words, "channel": channel}
            )
        ]

    async def group(
        self, channel: str, address: str, level_range: LevelRange, digest_id: str
    ) -> Group | None:
        """Take what waits together; None when nothing does any more."""
        words = {
            **level_range.words,
            "channel": channel,
            "address": address,
            "digest_id": digest_id,
        }
        row = (await self._connection.execute(_GROUP, words)).one()
        if not row.member_count:
            return None
        worst = [Member(Level(one["level"]), one["subject"], one["facts"]) for one in row.worst]
        return Group(row.member_count, Kind(row.kind), row.urgency, row.is_demo, worst)

    async def add_digest(self, extra: Extra, group: Group, digest: Digest, now: datetime) -> None:
        """The message that stands for a group, with its one delivery."""
        await self._connection.execute(
            _DIGEST,
            {
                "id": extra.id,
                "message_id": extra.message_id,
                "channel": extra.channel,
                "address": extra.address,
                "level": digest.level.value,
                "kind": group.kind.value,
                "urgency": group.urgency,
                "subject": digest.subject,
                "body": digest.body,
                "facts": json.dumps(digest.facts),
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

    async def rest(self, channel: str, level_range: LevelRange, cooldown_seconds: float) -> None:
        """What is due too soon after the last one for its address is put off."""
        words = {**level_range.words, "channel": channel, "cooldown_seconds": cooldown_seconds}
        await self._connection.execute(_REST, words)

    async def last_sent(
        self, channel: str, address: str, *, urgent: bool = True
    ) -> datetime | None:
        """When the channel last took something for this address, as far as it holds up what is
        `urgent`.
        """
        least = URGENT if urgent else 0.0
        found: datetime | None = await self._connection.scalar(
            _LAST_SENT, {"channel": channel, "address": address, "least": least}
        )
        return found
