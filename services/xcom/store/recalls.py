"""Cancels what waits, and puts it off. Every time is an argument."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from services.xcom.domain.messages import Delivery, DeliveryReason, DeliveryState, Draft
from services.xcom.escalation.domain.recalls import CarriedMessage, Recall, WaitingDelivery
from services.xcom.store.accept import AcceptStore
from shared import rows
from shared.database.statement import Statement

_DIGEST = DeliveryReason.DIGEST.value
_CANCELLED = DeliveryState.CANCELLED.value
_OF_MESSAGES = """
    select id from delivery where message_id = any(cast(:ids as text[])) and state = 1
    union select digest_id from delivery where message_id = any(cast(:ids as text[]))
        and state = 4 and digest_id <> ''
"""
_WAITING = f"""
    select waiting.id, waiting.channel, waiting.reason,
        case when message.acknowledged_time is null then ''
            else coalesce(nullif(message.acknowledged_by, ''), '?') end as known_by,
        message.snoozed_until_time,
        not message.ends_incident and message.incident_key <> '' and exists (select from incident
            where key = message.incident_key and ended_time is not null) as is_over
    from delivery as waiting
    cross join lateral (
        select message_id from delivery where digest_id = waiting.id
            and waiting.reason = {_DIGEST} and digest_id <> ''
        union all select waiting.message_id where waiting.reason <> {_DIGEST}) as carried
    join message on message.id = carried.message_id
    where waiting.state = 1 and waiting.id in ({{ids}}) order by waiting.id
"""
_WAITING_OF_MESSAGES = Statement(_WAITING.format(ids=_OF_MESSAGES))
_WAITING_ITSELF = Statement(_WAITING.format(ids="cast(:id as text)"))
# What is being sent at this moment counts as sent when it arrives, and is not tried again when it
# does not. As it was tried, so was what it carried.
_CANCEL = Statement(f"""
    with gone as (
        update delivery set state = {_CANCELLED}, last_error = own.why
        from unnest(cast(:ids as text[]), cast(:whys as text[])) as own(id, why)
        where delivery.id = own.id and state = 1
        returning delivery.id, delivery.last_error, delivery.tries, delivery.provider_status)
    update delivery set state = {_CANCELLED}, last_error = gone.last_error, tries = gone.tries,
        provider_status = gone.provider_status
    from gone where delivery.state = 4 and digest_id = gone.id and digest_id <> ''
""")
_PUT_OFF = Statement("""
    update delivery set due_time = greatest(delivery.due_time, own.until)
    from unnest(cast(:ids as text[]), cast(:untils as timestamptz[])) as own(id, until)
    where delivery.id = own.id and state = 1 and claimed_until is null
""")
# Nobody hears of an end first: it waits behind a digest that holds the beginning and is being sent,
# is tried again, or is due and not yet claimed.
_ENDS_BEHIND = Statement(f"""
    update delivery as later
    set due_time = greatest(later.due_time,
        greatest(digest.due_time, digest.claimed_until, cast(:now as timestamptz))
            + interval '1 second')
    from delivery as digest, message as ending
    where digest.channel = :channel and digest.state = 1 and digest.reason = {_DIGEST}
        and later.state = 1 and later.claimed_until is null
        and later.channel = digest.channel and later.address = digest.address
        and ending.id = later.message_id and ending.ends_incident
        and exists (select from delivery as carried
            join message on message.id = carried.message_id
            where carried.digest_id = digest.id and message.incident_key = ending.incident_key)
""")
# Whoever hears last that it is over must not take it for the present state.
_SUPERSEDE = Statement(f"""
    update delivery set state = {_CANCELLED}, last_error = 'it has begun again'
    from message,
        unnest(cast(:channels as text[]), cast(:addresses as text[])) as own(channel, address)
    where message.id = delivery.message_id and delivery.state = 1
        and message.id in (
            select id from message
            where incident_key = :key and incident_key <> '' and ends_incident
            union all select id from message
            where request_id = any(cast(:request_ids as text[])) and source = :source)
        and delivery.channel = own.channel and delivery.address = own.address
""")


class RecallStore(AcceptStore):
    """Deliveries that wait, in one transaction."""

    async def waiting_of(self, message_ids: Collection[str]) -> list[WaitingDelivery]:
        """Deliveries of these messages that wait, and digests that carry one of them."""
        return await self._waiting(_WAITING_OF_MESSAGES, ids=list(message_ids))

    async def waiting_itself(self, delivery_id: str) -> list[WaitingDelivery]:
        """This delivery, if it waits."""
        return await self._waiting(_WAITING_ITSELF, id=delivery_id)

    async def call_back(self, recalls: Sequence[Recall]) -> None:
        """Those with a time are put off, the others are not sent, nor what they carry."""
        gone = [one for one in recalls if one.until_time is None]
        later = [one for one in recalls if one.until_time is not None]
        if gone:
            whys = [one.why for one in gone]
            await self._transaction.execute(_CANCEL, ids=[one.id for one in gone], whys=whys)
        if later:
            untils = [one.until_time for one in later]
            await self._transaction.execute(_PUT_OFF, ids=[one.id for one in later], untils=untils)

    async def supersede(self, draft: Draft, instead: Sequence[Delivery]) -> None:
        """The ends that this takes the place of are not sent any more where these deliveries go."""
        if not (draft.follows_incident_key or draft.superseded_request_ids):
            return
        await self._transaction.execute(
            _SUPERSEDE,
            key=draft.follows_incident_key,
            request_ids=list(draft.superseded_request_ids),
            source=draft.source,
            channels=[one.channel for one in instead],
            addresses=[one.address for one in instead],
        )

    async def put_ends_behind(self, channel: str, now: datetime) -> None:
        """The ends of what its digests carry are sent after their next or present try."""
        await self._transaction.execute(_ENDS_BEHIND, channel=channel, now=now)

    async def _waiting(self, statement: Statement, **values: object) -> list[WaitingDelivery]:
        found: dict[str, WaitingDelivery] = {}
        for row in await self._transaction.fetch(statement, **values):
            carried = [rows.read(CarriedMessage, row)]
            if before := found.get(row["id"]):
                carried = [*before.messages, *carried]
            found[row["id"]] = rows.read(WaitingDelivery, row, messages=carried)
        return list(found.values())
