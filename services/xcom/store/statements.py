"""What the queue says to the driver; runs nothing. Every time is an argument."""

from __future__ import annotations

from services.xcom.domain.messages import (
    MAX_TRIES,
    URGENT,
    AttemptOutcome,
    DeliveryReason,
    DeliveryState,
    Level,
)
from services.xcom.store.rows import BELL, SOUNDS
from services.xcom.store.settings import STORED
from shared.database.statement import Statement

_HANDED_OVER = DeliveryState.HANDED_OVER.value
_WAITS = (
    " state = 1 and channel = any(cast(:channels as text[])) and urgency >= :least and urgency <"
    " :below"
    " and id <> all(cast(:busy as text[]))"
)
# `busy` are those this process is still sending: a clock that jumps ahead must not send them twice.
LOOK = Statement(
    "select channel,"
    " bool_or(due_time <= :now and (claimed_until is null or claimed_until <= :now)) as is_due,"
    " min(greatest(due_time, claimed_until)) filter (where due_time > :now or claimed_until > :now)"
    "  as next_time"
    f" from delivery where {_WAITS} group by channel"
)
# Never tried, nobody's at this moment, for people, and no digest: one of digests would tell
# nothing.
FRESH = (
    "state = 1 and urgency >= :least and urgency < :below and due_time <= :now and tries = 0"
    f" and claimed_until is null and reason <> {DeliveryReason.DIGEST.value} and level <"
    f" {Level.ACTION.value}"
)
# More than any budget holds.
_MOST_FRESH = 10_001
PACE = Statement(
    "select pg_try_advisory_xact_lock(hashtextextended('xcom pace ' || :name, 0)) as may,"
    " (select json_object_agg(channel, used_count) from (select delivery.channel, count(*) as"
    " used_count"
    "   from attempt join delivery on delivery.id = attempt.delivery_id"
    "   where attempt.attempt_time > :after and attempt.attempt_time <= :now group by"
    " delivery.channel)"
    "   as used)::text as used,"
    " (select json_object_agg(lane.channel, (select count(*) from (select 1 from delivery"
    f"   where delivery.channel = lane.channel and {FRESH} limit {_MOST_FRESH}) as fresh))"
    "   from unnest(cast(:channels as text[])) as lane(channel))::text as fresh,"
    f" {STORED} as settings"
)
_CLAIMED = (
    "claimed.id, claimed.message_id, claimed.channel, claimed.level, claimed.tries, "
    "claimed.spent_tries,"
    " claimed.reason, claimed.address, claimed.claimed_until, claimed.receipt_id,"
    " claimed.handed_over_time,"
    " message.subject, message.body, message.source, message.facts::text as facts,"
    " message.created_time,"
    " message.kind, claimed.contact,"
    # Refused for good before: the second time it is believed.
    " claimed.tries - claimed.spent_tries > 1 and exists (select from attempt where delivery_id ="
    " claimed.id"
    f"  and try_number > claimed.spent_tries and outcome = {AttemptOutcome.REFUSED.value}) as"
    " was_refused"
)
# A claim that ran out is one whose worker died: it counts as a try and is taken again.
CLAIM = Statement(
    "with due as (select picked.id, lane.claim_seconds"
    " from unnest(cast(:channels as text[]), cast(:free_counts as int[]), cast(:claim_seconds as"
    " float8[]))"
    "  as lane(channel, free_count, claim_seconds)"
    " cross join lateral (select id from delivery where state = 1 and delivery.channel ="
    " lane.channel"
    "  and urgency >= :least and urgency < :below and due_time <= :now"
    "  and (claimed_until is null or claimed_until <= :now) and id <> all(cast(:busy as text[]))"
    "  order by urgency desc, due_time, id limit lane.free_count for update skip locked) as"
    " picked),"
    " claimed as (update delivery set tries = tries + 1,"
    "  claimed_until = cast(:now as timestamptz) + make_interval(secs => due.claim_seconds)"
    "  from due where delivery.id = due.id returning delivery.*),"
    " noted as (insert into attempt (delivery_id, try_number, attempt_time, outcome,"
    " provider_status, error)"
    f" select id, tries, :now, {AttemptOutcome.UNFINISHED.value}, '', '' from claimed"
    f" where tries - spent_tries <= {MAX_TRIES})"
    f" select {_CLAIMED},"
    # Seen at the same moment: what was set before a message was accepted holds for it.
    f" {STORED} as settings"
    " from claimed join message on message.id = claimed.message_id"
    " order by claimed.urgency desc, claimed.due_time, claimed.id"
)
RENEW = Statement(
    "update delivery set claimed_until = :until"
    " where id = :id and state = 1 and tries = :try_number returning 1"
)
# A receipt counts whenever it comes; a failure only from the one who holds the claim.
SETTLE = Statement(
    "with told as (select * from unnest(cast(:ids as text[]), cast(:channels as text[]),"
    "  cast(:try_numbers as int[]), cast(:states as int2[]), cast(:outcomes as int2[]),"
    "  cast(:provider_statuses as text[]), cast(:errors as text[]), cast(:due_times as"
    " timestamptz[]),"
    "  cast(:sent_times as timestamptz[]), cast(:error_times as timestamptz[]),"
    "  cast(:rested_times as timestamptz[]), cast(:receipt_ids as text[]),"
    "  cast(:handed_over_times as timestamptz[]))"
    "  as own(id, channel, try_number, state, outcome, provider_status,"
    "  error, due_time, sent_time, error_time, rested_time, receipt_id, handed_over_time)),"
    " tried as (update attempt set outcome = told.outcome, provider_status = told.provider_status,"
    "  error = told.error from told where delivery_id = told.id and attempt.try_number ="
    " told.try_number),"
    " settled as (update delivery set state = told.state, claimed_until = null,"
    f"  tries = least(tries, spent_tries + {MAX_TRIES}),"
    "  due_time = coalesce(told.due_time, delivery.due_time),"
    "  sent_time = told.sent_time, provider_status = told.provider_status,"
    "  handed_over_time = coalesce(told.handed_over_time, delivery.handed_over_time),"
    "  receipt_id = coalesce(nullif(told.receipt_id, ''), delivery.receipt_id),"
    "  last_error = coalesce(nullif(told.error, ''), last_error) from told"
    # What was called back while it was sent has arrived all the same.
    f"  where delivery.id = told.id and (delivery.state in (1, {_HANDED_OVER})"
    f"   or delivery.state = {DeliveryState.CANCELLED.value} and told.state in (2, {_HANDED_OVER}))"
    f"  and (tries = told.try_number or told.state in (2, {_HANDED_OVER}))"
    "  returning delivery.id, told.channel, told.state, told.sent_time, told.provider_status,"
    " told.error),"
    # What a digest carries ends as it ends.
    " carried as (update delivery set state = settled.state, sent_time = settled.sent_time,"
    "  provider_status = settled.provider_status,"
    "  last_error = coalesce(nullif(settled.error, ''), last_error) from settled"
    "  where settled.state in (2, 3) and delivery.state in (4, 5) and digest_id = settled.id"
    "  and digest_id <> ''),"
    # A channel that was just used rests: what waits for the same person waits a little longer.
    " rested as (update delivery set due_time = greatest(delivery.due_time, told.rested_time)"
    "  from told join delivery as sent on sent.id = told.id where told.rested_time is not null"
    "  and delivery.state = 1 and delivery.channel = told.channel and delivery.address ="
    " sent.address"
    "  and delivery.id <> told.id and delivery.claimed_until is null"
    # Danger rests behind danger alone.
    f"  and (delivery.urgency < {URGENT} or sent.urgency >= {URGENT})),"
    " recorded as (insert into channel_record (channel, last_sent_time, last_error,"
    " last_error_time)"
    "  select channel, max(sent_time),"
    "   coalesce((array_agg(error order by error_time desc nulls last))[1], ''),"
    "   max(error_time) from told group by channel order by channel"
    "  on conflict (channel) do update set"
    "  last_sent_time = coalesce(excluded.last_sent_time, channel_record.last_sent_time),"
    "  last_error = case when excluded.last_error_time is null then channel_record.last_error"
    "   else excluded.last_error end,"
    "  last_error_time = coalesce(excluded.last_error_time, channel_record.last_error_time))"
    " select case when exists (select from settled where channel = 'sound'"
    f"  and state in (2, {_HANDED_OVER}))"
    f"  then pg_notify('{BELL}', '{SOUNDS}') end"
)
# What was handed over and is to be asked about, like a claim: nobody else asks meanwhile.
FOLLOW = Statement(
    "with due as (select id from delivery"
    f"  where state = {_HANDED_OVER} and due_time <= :now"
    "  and (claimed_until is null or claimed_until <= :now)"
    "  order by urgency desc, due_time, id limit :size for update skip locked),"
    " claimed as (update delivery set claimed_until = :until from due where delivery.id = due.id"
    "  returning delivery.*)"
    f" select {_CLAIMED} from claimed join message on message.id = claimed.message_id"
)
# Nothing new of it, or only a word: ask again later.
ASK_AGAIN = Statement(
    "update delivery set claimed_until = null, due_time = :due_time,"
    " provider_status = coalesce(nullif(:provider_status, ''), provider_status)"
    f" where id = :id and state = {_HANDED_OVER} and tries = :try_number"
)
NEXT_LOOK = Statement(
    f"select min(due_time) as due_time from delivery where state = {_HANDED_OVER}"
)
LINKS = Statement(
    "insert into link (token_hash, message_id, created_time, expires_time)"
    " select own.hash, own.id, :now, :expires_time"
    " from unnest(cast(:hashes as text[]), cast(:ids as text[])) as own(hash, id)"
)
