"""The queue: looked at, claimed, settled, one statement a call. Every time is an argument."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from services.xcom.domain.documents import Attachment
from services.xcom.domain.messages import (
    MAX_TRIES,
    URGENT,
    Answer,
    AttemptOutcome,
    DeliveryAttempt,
    DeliveryReason,
    DeliveryState,
    Level,
    Verdict,
)
from services.xcom.domain.settings import Settings
from services.xcom.store.claimed import CLAIMED
from services.xcom.store.listener import NOTIFY_CHANNEL, SOUNDS
from services.xcom.store.settings import STORED, Fetches, parsed
from services.xcom.store.worst import worst_of
from shared import rows
from shared.database.statement import Statement

_HANDED_OVER = DeliveryState.HANDED_OVER.value
_CANCELLED = DeliveryState.CANCELLED.value
# Never tried, nobody's at this moment, for people, and no digest: one of digests would say nothing.
FRESH: Final = f"""
    state = 1 and urgency >= :least and urgency < :below and due_time <= :now and tries = 0
    and claimed_until is null and reason <> {DeliveryReason.DIGEST.value}
    and level < {Level.ACTION.value}
"""
# More than any budget holds.
_MOST_FRESH = 10_001
_USAGE = Statement(f"""
    select pg_try_advisory_xact_lock(hashtextextended('xcom pace ' || :name, 0)) as may,
        (select json_object_agg(channel, used_count) from (
            select delivery.channel, count(*) as used_count
            from attempt join delivery on delivery.id = attempt.delivery_id
            where attempt.attempt_time > :after and attempt.attempt_time <= :now
            group by delivery.channel) as used)::text as used,
        (select json_object_agg(wanted.channel, (select count(*) from (select 1 from delivery
            where delivery.channel = wanted.channel and {FRESH} limit {_MOST_FRESH}) as fresh))
            from unnest(cast(:channels as text[])) as wanted(channel))::text as fresh,
        {STORED} as settings
""")
# `busy` are those this process is still sending: a clock that jumps ahead must not send them twice.
# A claim that ran out is one whose worker died: it counts as a try and is taken again. The settings
# are those of the same moment: what was set before a message was accepted holds for it. What waits
# on the watched channels is seen as before the claim.
_CLAIM = Statement(f"""
    with watched as (
        select channel,
            bool_or(due_time <= :now and (claimed_until is null or claimed_until <= :now))
                as is_due,
            min(greatest(due_time, claimed_until))
                filter (where due_time > :now or claimed_until > :now) as next_time
        from delivery
        where state = 1 and channel = any(cast(:watched as text[])) and urgency >= :least
            and urgency < :below and id <> all(cast(:busy as text[]))
        group by channel),
    look as (
        select array_agg(channel) filter (where is_due) as due_channels,
            min(next_time) as next_time
        from watched),
    due as (
        select picked.id, capacity.claim_seconds
        from unnest(cast(:channels as text[]), cast(:free_counts as int[]),
            cast(:claim_seconds as float8[])) as capacity(channel, free_count, claim_seconds)
        cross join lateral (
            select id from delivery where state = 1 and delivery.channel = capacity.channel
            and urgency >= :least and urgency < :below and due_time <= :now
            and (claimed_until is null or claimed_until <= :now)
            and id <> all(cast(:busy as text[]))
            order by urgency desc, due_time, id limit capacity.free_count
            for update skip locked) as picked),
    claimed as (
        update delivery set tries = tries + 1,
            claimed_until = cast(:now as timestamptz) + make_interval(secs => due.claim_seconds)
        from due where delivery.id = due.id returning delivery.*),
    attempted as (
        insert into attempt (delivery_id, try_number, attempt_time, outcome, provider_status, error)
        select id, tries, :now, {AttemptOutcome.UNFINISHED.value}, '', '' from claimed
        where tries - spent_tries <= {MAX_TRIES})
    select {CLAIMED}, {STORED} as settings, look.due_channels, look.next_time
    from look left join claimed on true left join message on message.id = claimed.message_id
    order by claimed.urgency desc, claimed.due_time, claimed.id
""")
_RENEW = Statement("""
    update delivery set claimed_until = :until
    where id = :id and state = 1 and tries = :try_number returning 1
""")
# As if it had not been claimed: no try was made.
_PUT_OFF = Statement("""
    with put_off as (
        update delivery set tries = tries - 1, claimed_until = null, due_time = :until
        where id = :id and state = 1 and tries = :try_number returning id)
    delete from attempt using put_off
    where delivery_id = put_off.id and attempt.try_number = :try_number
""")
# A receipt counts whenever it comes; a failure only from the one who holds the claim. What was
# cancelled while it was sent has arrived all the same; what a digest carries ends as it ends. A
# channel that was just used rests: what waits for the same person waits a little longer, danger
# only behind danger.
_SETTLE = Statement(f"""
    with receipt as (
        select * from unnest(cast(:ids as text[]), cast(:channels as text[]),
            cast(:try_numbers as int[]), cast(:states as int2[]), cast(:outcomes as int2[]),
            cast(:provider_statuses as text[]), cast(:errors as text[]),
            cast(:due_times as timestamptz[]), cast(:sent_times as timestamptz[]),
            cast(:error_times as timestamptz[]), cast(:rested_times as timestamptz[]),
            cast(:receipt_ids as text[]), cast(:handed_over_times as timestamptz[]),
            cast(:posted_ids as text[]))
            as own(id, channel, try_number, state, outcome, provider_status, error, due_time,
                sent_time, error_time, rested_time, receipt_id, handed_over_time, posted_id)),
    tried as (
        update attempt set outcome = receipt.outcome, provider_status = receipt.provider_status,
            error = receipt.error
        from receipt where delivery_id = receipt.id and attempt.try_number = receipt.try_number),
    settled as (
        update delivery set state = receipt.state, claimed_until = null,
            tries = least(tries, spent_tries + {MAX_TRIES}),
            due_time = coalesce(receipt.due_time, delivery.due_time),
            sent_time = receipt.sent_time, provider_status = receipt.provider_status,
            handed_over_time = coalesce(receipt.handed_over_time, delivery.handed_over_time),
            receipt_id = coalesce(nullif(receipt.receipt_id, ''), delivery.receipt_id),
            posted_id = coalesce(nullif(receipt.posted_id, ''), delivery.posted_id),
            last_error = coalesce(nullif(receipt.error, ''), last_error)
        from receipt
        where delivery.id = receipt.id
            and (delivery.state in (1, {_HANDED_OVER})
                or delivery.state = {_CANCELLED} and receipt.state in (2, {_HANDED_OVER}))
            and (tries = receipt.try_number or receipt.state in (2, {_HANDED_OVER}))
        returning delivery.id, receipt.channel, receipt.state, receipt.sent_time,
            receipt.provider_status, receipt.error),
    carried as (
        update delivery set state = settled.state, sent_time = settled.sent_time,
            provider_status = settled.provider_status,
            last_error = coalesce(nullif(settled.error, ''), last_error)
        from settled
        where settled.state in (2, 3) and delivery.state in (4, 5) and digest_id = settled.id
            and digest_id <> ''),
    rested as (
        update delivery set due_time = greatest(delivery.due_time, receipt.rested_time)
        from receipt join delivery as sent on sent.id = receipt.id
        where receipt.rested_time is not null and delivery.state = 1
            and delivery.channel = receipt.channel and delivery.address = sent.address
            and delivery.id <> receipt.id and delivery.claimed_until is null
            and (delivery.urgency < {URGENT} or sent.urgency >= {URGENT})),
    recorded as (
        insert into channel_record (channel, last_sent_time, last_error, last_error_time)
        select channel, max(sent_time),
            coalesce((array_agg(error order by error_time desc nulls last))[1], ''),
            max(error_time)
        from receipt group by channel order by channel
        on conflict (channel) do update set
            last_sent_time = coalesce(excluded.last_sent_time, channel_record.last_sent_time),
            last_error = case when excluded.last_error_time is null
                then channel_record.last_error else excluded.last_error end,
            last_error_time = coalesce(excluded.last_error_time, channel_record.last_error_time))
    select case when exists (select from settled where channel = 'sound'
        and state in (2, {_HANDED_OVER})) then pg_notify('{NOTIFY_CHANNEL}', '{SOUNDS}') end
""")
# What was handed over and is to be asked about, like a claim: nobody else asks meanwhile.
_FOLLOW = Statement(f"""
    with due as (
        select id from delivery where state = {_HANDED_OVER} and due_time <= :now
        and (claimed_until is null or claimed_until <= :now)
        order by urgency desc, due_time, id limit :size for update skip locked),
    claimed as (
        update delivery set claimed_until = :until from due where delivery.id = due.id
        returning delivery.*)
    select {CLAIMED} from claimed join message on message.id = claimed.message_id
""")
# Nothing new of it, or only a word: ask again later.
_ASK_AGAIN = Statement(f"""
    update delivery set claimed_until = null, due_time = :due_time,
        provider_status = coalesce(nullif(:provider_status, ''), provider_status)
    where id = :id and state = {_HANDED_OVER} and tries = :try_number
""")
_NEXT_FOLLOW = Statement(
    f"select min(due_time) as due_time from delivery where state = {_HANDED_OVER}"
)
_LINKS = Statement("""
    insert into link (token_hash, message_id, created_time, expires_time)
    select own.hash, own.id, :now, :expires_time
    from unnest(cast(:hashes as text[]), cast(:ids as text[])) as own(hash, id)
""")


_FILES = Statement(
    "select message_id, name, media_type, content from attachment"
    " where message_id = any(cast(:ids as text[]))"
)


@dataclass(frozen=True, slots=True)
class LevelRange:
    """The urgent ones, or all the others, at one moment."""

    urgent: bool
    now: datetime

    @property
    def values(self) -> dict[str, object]:
        """Of the statements: the least urgency, one that is too much, and the moment."""
        least, below = (URGENT, math.inf) if self.urgent else (0.0, URGENT)
        return {"least": least, "below": below, "now": self.now}


@dataclass(frozen=True, slots=True)
class Capacity:
    """Room on one channel: how many more at once, and how long a claim on it holds."""

    channel: str
    free_count: int
    claim_seconds: float


@dataclass(frozen=True, slots=True)
class Usage:
    """What decides how much may be sent now; `may`: nobody else decides meanwhile."""

    may: bool
    used_counts: Mapping[str, int]
    fresh_counts: Mapping[str, int]
    settings: Settings


@dataclass(frozen=True, slots=True)
class Claim:
    """What was claimed, and the settings of that moment. Of the watched channels: on which
    something was due, and when the next one on any of them is.
    """

    attempts: Sequence[DeliveryAttempt]
    settings: Settings
    due_channels: Sequence[str]
    next_time: datetime | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """How a try ended. What waits on this channel for the same address is due after
    `rested_time`."""

    attempt: DeliveryAttempt
    answer: Answer
    verdict: Verdict
    now: datetime
    rested_time: datetime | None = None


class Queue:
    """Deliveries that wait. `source`: a Database, or a Transaction to work within it."""

    def __init__(self, source: Fetches) -> None:
        self._source = source

    async def usage(
        self, name: str, channels: Sequence[str], level_range: LevelRange, after: datetime
    ) -> Usage:
        """Tries by channel since `after`, what was never tried; never waits for one that hangs."""
        values = {"name": name, "channels": channels, "after": after}
        (row,) = await self._source.fetch(_USAGE, **values, **level_range.values)
        used, fresh = (Counter(json.loads(row[name] or "{}")) for name in ("used", "fresh"))
        return Usage(row["may"], used, fresh, parsed(row["settings"]))

    async def claim(
        self,
        capacities: Sequence[Capacity],
        level_range: LevelRange,
        busy: Collection[str],
        watched: Sequence[str] = (),
    ) -> Claim:
        """Take what is due, most urgent and oldest first; nobody else gets it until the claim runs
        out.
        """
        found = await self._source.fetch(
            _CLAIM,
            channels=[capacity.channel for capacity in capacities],
            free_counts=[capacity.free_count for capacity in capacities],
            claim_seconds=[capacity.claim_seconds for capacity in capacities],
            busy=list(busy),
            watched=watched,
            **level_range.values,
        )
        attempts = [_attempt(row) for row in found if row["delivery_id"] is not None]
        due_channels = found[0]["due_channels"] or ()
        return Claim(attempts, parsed(found[0]["settings"]), due_channels, found[0]["next_time"])

    async def files(self, message_ids: Sequence[str]) -> dict[str, Attachment]:
        """The files of messages that have one, by message."""
        found = await self._source.fetch(_FILES, ids=list(message_ids))
        return {row["message_id"]: rows.read(Attachment, row) for row in found}

    async def renew(self, attempt: DeliveryAttempt, until: datetime) -> bool:
        """Hold a claim longer; False when another one has it by now."""
        values = {"id": attempt.delivery_id, "try_number": attempt.try_number, "until": until}
        return bool(await self._source.fetch(_RENEW, **values))

    async def put_off(self, attempt: DeliveryAttempt, until: datetime) -> None:
        """What was claimed is not tried now; nothing when another one has it by now."""
        values = {"id": attempt.delivery_id, "try_number": attempt.try_number, "until": until}
        await self._source.fetch(_PUT_OFF, **values)

    async def settle(self, receipts: Sequence[Receipt]) -> None:
        """Write down how tries ended, for the deliveries, what they carry, the attempts and the
        channels.
        """
        states = [one.verdict.state for one in receipts]

        def times(state: DeliveryState) -> list[datetime | None]:
            return [
                one.now if found is state else None
                for one, found in zip(receipts, states, strict=True)
            ]

        waits = [one.verdict.wait for one in receipts]
        await self._source.fetch(
            _SETTLE,
            ids=[one.attempt.delivery_id for one in receipts],
            channels=[one.attempt.channel for one in receipts],
            try_numbers=[one.attempt.try_number for one in receipts],
            states=states,
            outcomes=[one.verdict.outcome for one in receipts],
            provider_statuses=[one.answer.provider_status for one in receipts],
            errors=[one.answer.error for one in receipts],
            due_times=[
                None if wait is None else one.now + wait
                for one, wait in zip(receipts, waits, strict=True)
            ],
            sent_times=times(DeliveryState.SENT),
            error_times=[
                None if one.answer.accepted or one.answer.unanswered else one.now
                for one in receipts
            ],
            rested_times=[one.rested_time for one in receipts],
            receipt_ids=[one.answer.receipt_id for one in receipts],
            posted_ids=[one.answer.posted_id for one in receipts],
            handed_over_times=times(DeliveryState.HANDED_OVER),
        )

    async def follow(self, now: datetime, until: datetime, size: int) -> list[DeliveryAttempt]:
        """Take what was handed over and is to be asked about now; nobody else gets it before
        `until`.
        """
        return list(
            map(_attempt, await self._source.fetch(_FOLLOW, now=now, until=until, size=size))
        )

    async def ask_again(
        self, attempt: DeliveryAttempt, due_time: datetime, provider_status: str
    ) -> None:
        """It is still not known whether this one arrived."""
        values = {"id": attempt.delivery_id, "try_number": attempt.try_number}
        await self._source.fetch(
            _ASK_AGAIN, due_time=due_time, provider_status=provider_status, **values
        )

    async def next_follow(self) -> datetime | None:
        """When the next one that was handed over is to be asked about."""
        (row,) = await self._source.fetch(_NEXT_FOLLOW)
        found: datetime | None = row["due_time"]
        return found

    async def add_links(
        self,
        hashes: Sequence[str],
        message_ids: Sequence[str],
        now: datetime,
        expires_time: datetime,
    ) -> None:
        """One link an attempt; only the hash of its token is kept."""
        await self._source.fetch(
            _LINKS, hashes=hashes, ids=message_ids, now=now, expires_time=expires_time
        )


def _attempt(row: asyncpg.Record) -> DeliveryAttempt:
    """A claimed delivery with what its message says."""
    facts = json.loads(row["facts"])
    own = {"link": "", "is_own": False, "is_off": False, "attachment": None}
    return rows.read(DeliveryAttempt, row, facts=facts, worst=worst_of(facts), **own)
