"""The queue: deliveries claimed, settled, and when the next one is due. Every time is an argument."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import DateTime, select, text
from sqlalchemy.dialects.postgresql import JSONB

from services.xcom.domain.messages import (
    MAX_TRIES,
    Answer,
    AttemptOutcome,
    Delivery,
    DeliveryReason,
    Letter,
    Level,
    Verdict,
)
from services.xcom.store.queueing import QueueStore
from services.xcom.store.rows import BELL, to_delivery, to_letter
from services.xcom.tables import delivery, message

# A claim that ran out is one whose worker died: it counts as a try and is taken again.
# `busy` are those this process is still sending: a clock that jumps ahead must not send them twice.
_CLAIM = text(
    "with due as (select picked.id, lane.claim_seconds"
    " from unnest(cast(:channels as text[]), cast(:free_counts as int[]), cast(:claim_seconds as float8[]))"
    "  as lane(channel, free_count, claim_seconds)"
    " cross join lateral (select id from delivery where state = 1 and delivery.channel = lane.channel"
    "  and level between :lowest and :highest and due_time <= :now"
    "  and (claimed_until is null or claimed_until <= :now) and id <> all(cast(:busy as text[]))"
    "  order by level desc, due_time, id limit lane.free_count for update skip locked) as picked),"
    " claimed as (update delivery set tries = tries + 1,"
    "  claimed_until = cast(:now as timestamptz) + make_interval(secs => due.claim_seconds)"
    "  from due where delivery.id = due.id returning delivery.*),"
    " noted as (insert into attempt (delivery_id, try_number, attempt_time, outcome, provider_status, error)"
    f" select id, tries, :now, {AttemptOutcome.UNFINISHED.value}, '', '' from claimed"
    f" where tries - spent_tries <= {MAX_TRIES})"
    " select claimed.id, claimed.message_id, claimed.channel, claimed.level, claimed.tries,"
    " claimed.spent_tries, claimed.reason, claimed.address,"
    " message.subject, message.body, message.source, message.facts, message.created_time"
    " from claimed join message on message.id = claimed.message_id"
    " order by claimed.level desc, claimed.due_time, claimed.id"
).columns(facts=JSONB, created_time=DateTime(timezone=True))

_NEXT_DUE = text(
    "select min(greatest(due_time, claimed_until)) from delivery where state = 1"
    " and channel = any(cast(:channels as text[])) and level between :lowest and :highest"
    " and id <> all(cast(:busy as text[]))"
)

# A receipt counts whenever it comes; a failure only from the one who holds the claim.
_SETTLE = text(
    "with tried as (update attempt set outcome = :outcome, provider_status = :provider_status, error = :error"
    " where delivery_id = :id and try_number = :try_number),"
    " settled as (update delivery set state = :state, claimed_until = null,"
    f"  tries = least(tries, spent_tries + {MAX_TRIES}),"
    "  due_time = coalesce(cast(:due_time as timestamptz), due_time), sent_time = :sent_time,"
    "  provider_status = :provider_status,"
    "  last_error = coalesce(nullif(:error, ''), last_error)"
    "  where id = :id and state = 1 and (tries = :try_number or :state = 2) returning id),"
    # What a digest carries ends as it ends.
    " carried as (update delivery set state = :state, sent_time = :sent_time,"
    "  provider_status = :provider_status, last_error = coalesce(nullif(:error, ''), last_error)"
    "  where :state <> 1 and state = 4 and digest_id in (select id from settled)),"
    # A channel that was just used rests: what waits for the same person waits a little longer.
    " rested as (update delivery set due_time = greatest(due_time, cast(:rested_time as timestamptz))"
    "  where cast(:rested_time as timestamptz) is not null and state = 1 and channel = :channel"
    "  and address = (select address from delivery where id = :id) and id <> :id and claimed_until is null)"
    " insert into channel_record (channel, last_sent_time, last_error, last_error_time)"
    " values (:channel, :sent_time, :error, :error_time)"
    " on conflict (channel) do update set"
    " last_sent_time = coalesce(excluded.last_sent_time, channel_record.last_sent_time),"
    " last_error = case when excluded.last_error_time is null then channel_record.last_error"
    "  else excluded.last_error end,"
    " last_error_time = coalesce(excluded.last_error_time, channel_record.last_error_time)"
)

_DIED = text(
    "select tried.message_id, tried.channel from delivery as tried join delivery as dead"
    " on dead.message_id = tried.message_id"
    " where dead.state = 3 and dead.level = 3 and (dead.digest_id = :id"
    f"  or dead.id = :id and dead.reason <> {DeliveryReason.DIGEST.value})"
)
_HURRY = text(
    "update message set escalation_due_time = :now where id = any(cast(:ids as text[]))"
    " and escalation_due_time > :now and acknowledged_time is null and snoozed_until_time is null"
)
_RING = text(f"select pg_notify('{BELL}', '')")
_LINKS = text(
    "insert into link (token_hash, message_id, created_time, expires_time)"
    " select own.hash, own.id, :now, :expires_time"
    " from unnest(cast(:hashes as text[]), cast(:ids as text[])) as own(hash, id)"
)


@dataclass(frozen=True, slots=True)
class Lane:
    """Room on one channel: how many more at once, and how long a claim on it holds."""

    channel: str
    free_count: int
    claim_seconds: float


class DeliveryStore(QueueStore):
    """The queue of one transaction, levels `lowest` to `highest`."""

    async def claim(
        self, lanes: Sequence[Lane], lowest: Level, highest: Level, busy: Collection[str], now: datetime
    ) -> list[Letter]:
        """Take what is due, loudest and oldest first; nobody else gets it until the claim runs out."""
        rows = await self._connection.execute(
            _CLAIM,
            {
                "channels": [lane.channel for lane in lanes],
                "free_counts": [lane.free_count for lane in lanes],
                "claim_seconds": [lane.claim_seconds for lane in lanes],
                "lowest": lowest.value,
                "highest": highest.value,
                "busy": list(busy),
                "now": now,
            },
        )
        return [to_letter(row) for row in rows]

    async def next_due(
        self, channels: Sequence[str], lowest: Level, highest: Level, busy: Collection[str]
    ) -> datetime | None:
        """When the next delivery of these channels can be claimed."""
        found: datetime | None = await self._connection.scalar(
            _NEXT_DUE,
            {
                "channels": list(channels),
                "lowest": lowest.value,
                "highest": highest.value,
                "busy": list(busy),
            },
        )
        return found

    async def settle(
        self, letter: Letter, answer: Answer, verdict: Verdict, now: datetime, rested_time: datetime | None
    ) -> None:
        """Write down how the try ended, for the delivery, what it carries, the attempt and the channel.

        What waits on this channel for the same address is due after `rested_time`.
        """
        await self._connection.execute(
            _SETTLE,
            {
                "id": letter.delivery_id,
                "channel": letter.channel,
                "try_number": letter.try_number,
                "state": verdict.state.value,
                "outcome": verdict.outcome.value,
                "provider_status": answer.provider_status,
                "error": answer.error,
                "due_time": now + verdict.wait if verdict.wait is not None else None,
                "sent_time": now if answer.accepted else None,
                "error_time": None if answer.accepted else now,
                "rested_time": rested_time,
            },
        )
        if letter.channel == "sound" and answer.accepted:
            await self._connection.execute(_RING)

    async def died_loudly(self, delivery_id: str) -> dict[str, set[str]]:
        """Channels tried by message, for HIGH messages that a dead delivery carried; empty when it lives."""
        found: dict[str, set[str]] = {}
        for row in await self._connection.execute(_DIED, {"id": delivery_id}):
            found.setdefault(row.message_id, set()).add(row.channel)
        return found

    async def hurry(self, message_ids: Collection[str], now: datetime) -> None:
        """The next contact of these is due now, if one is to come."""
        await self._connection.execute(_HURRY, {"ids": list(message_ids), "now": now})

    async def add_links(
        self, hashes: Sequence[str], message_ids: Sequence[str], now: datetime, expires_time: datetime
    ) -> None:
        """One link a letter; only the hash of its token is kept."""
        words = {"hashes": list(hashes), "ids": list(message_ids), "now": now, "expires_time": expires_time}
        await self._connection.execute(_LINKS, words)

    async def sounds(self, after: datetime) -> list[Delivery]:
        """What was played after this moment, oldest first."""
        query = (
            select(delivery, message.c.subject)
            .join(message, message.c.id == delivery.c.message_id)
            .where(delivery.c.channel == "sound", delivery.c.state == 2, delivery.c.sent_time > after)
            .order_by(delivery.c.sent_time, delivery.c.id)
            .limit(200)
        )
        return [to_delivery(row) for row in await self._connection.execute(query)]
