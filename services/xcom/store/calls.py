"""Calls, each written down before it is placed. Every time is an argument."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.xcom.calls.domain import Call, CallState
from shared import rows
from shared.database.statement import Statement
from shared.database.transaction import Transaction

# In one order by everybody: two cannot wait for each other.
_HOLD = Statement("""
    select pg_advisory_xact_lock(own.lock) from (
        select distinct hashtextextended('xcom call ' || key, 0) as lock
        from unnest(cast(:keys as text[])) as key order by lock) as own
""")
_INCIDENT = Statement("""
    select coalesce(nullif(message.incident_key, ''), message.id) as incident
    from delivery join message on message.id = delivery.message_id where delivery.id = :delivery_id
""")
_SINCE = Statement("""
    select id, delivery_id, incident, contact, number_hash, planned_time, state, receipt_id
    from call where planned_time > :after and (number_hash = :number_hash
        or incident = :incident and contact = :contact)
    order by planned_time, id
""")
_PLAN = Statement("""
    insert into call (id, delivery_id, incident, contact, number_hash, planned_time, state)
    values (:id, :delivery_id, :incident, :contact, :number_hash, :planned_time, :state)
""")
_NAME = Statement(f"""
    update call set receipt_id = own.receipt_id,
        state = case when own.receipt_id = '' then {CallState.NOT_PLACED.value}
            else {CallState.PLACED.value} end
    from unnest(cast(:ids as text[]), cast(:receipt_ids as text[])) as own(id, receipt_id)
    where call.id = own.id and call.state = {CallState.PLANNED.value}
""")
_END = Statement(f"""
    update call set state = {CallState.ENDED.value}, outcome = :outcome
    where receipt_id = :receipt_id and receipt_id <> '' and state = {CallState.PLACED.value}
""")
# The last one, whatever is still to be written down of it.
_KEYED = Statement("""
    select call.id, delivery.message_id from call join delivery on delivery.id = call.delivery_id
    where call.delivery_id = :delivery_id and key_time is null and planned_time > :after
        and not exists (select from call as later where later.delivery_id = call.delivery_id
            and later.planned_time > call.planned_time)
""")
_KEY = Statement("update call set key_time = :now where id = :id")
_NEXT_CONTACT = Statement("""
    update message set escalation_due_time = least(escalation_due_time, cast(:now as timestamptz))
    from delivery where delivery.id = :delivery_id and message.id = delivery.message_id
        and escalation_due_time is not null
        and coalesce(snoozed_until_time <= :now, true)
""")


class CallStore:
    """Calls of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def hold(self, *keys: str) -> None:
        """Nobody else plans a call by one of these until the end of the transaction."""
        await self._transaction.execute(_HOLD, keys=list(keys))

    async def incident_of(self, delivery_id: str) -> str:
        """What its message is about; empty when it is gone."""
        found: str | None = await self._transaction.scalar(_INCIDENT, delivery_id=delivery_id)
        return found or ""

    async def since(self, wanted: Call, after: datetime) -> list[Call]:
        """Those to the same number, or to the same contact about the same incident, oldest
        first."""
        found = await self._transaction.fetch(
            _SINCE,
            after=after,
            number_hash=wanted.number_hash,
            incident=wanted.incident,
            contact=wanted.contact,
        )
        return [rows.read(Call, row) for row in found]

    async def plan(self, call: Call) -> None:
        """It is about to be placed."""
        await self._transaction.execute(
            _PLAN,
            id=call.id,
            delivery_id=call.delivery_id,
            incident=call.incident,
            contact=call.contact,
            number_hash=call.number_hash,
            planned_time=call.planned_time,
            state=call.state,
        )

    async def name(self, named: Sequence[tuple[str, str]]) -> None:
        """What the provider calls these; empty: they were never placed."""
        ids, receipt_ids = [one[0] for one in named], [one[1] for one in named]
        await self._transaction.execute(_NAME, ids=ids, receipt_ids=receipt_ids)

    async def end(self, receipt_id: str, outcome: str) -> None:
        """It is over."""
        await self._transaction.execute(_END, receipt_id=receipt_id, outcome=outcome)

    async def next_contact(self, delivery_id: str, now: datetime) -> None:
        """Whoever is next is notified now, if anybody is to be at all."""
        await self._transaction.execute(_NEXT_CONTACT, delivery_id=delivery_id, now=now)

    async def keyed(self, delivery_id: str, after: datetime) -> tuple[str, str] | None:
        """The last call of a delivery and its message; None without one since then, or when a key
        was pressed in it before.
        """
        row = await self._transaction.first(_KEYED, delivery_id=delivery_id, after=after)
        return (row["id"], row["message_id"]) if row else None

    async def key(self, id: str, now: datetime) -> None:
        """A key was pressed in this call."""
        await self._transaction.execute(_KEY, id=id, now=now)
