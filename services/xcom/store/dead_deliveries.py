"""What hangs on a delivery that was given up. Every time is an argument."""

from __future__ import annotations

from datetime import datetime

from services.xcom.deliveries.domain.dead_deliveries import FailedMessage, Sibling
from services.xcom.domain.messages import UNSURE, DeliveryReason, DeliveryState
from services.xcom.domain.settings import Route
from services.xcom.store.enqueue import REQUEUE
from services.xcom.store.recalls import RecallStore
from shared import rows
from shared.database.statement import Statement

_CARRIED = f"""
    (select message_id from delivery as dead where dead.digest_id = :id and dead.digest_id <> ''
        or dead.id = :id and dead.reason <> {DeliveryReason.DIGEST.value})
"""
_HOLD = Statement(f"select 1 from message where id in {_CARRIED} order by id for update")
_FAILED = Statement(f"""
    select message.id, message.level, message.kind, message.subject, message.channels_reason,
        message.created_time,
        message.acknowledged_time is not null
            or coalesce(message.snoozed_until_time > :now, false)
            or exists (select from incident where key = message.incident_key
                and message.incident_key <> '' and ended_time is not null) as settled,
        message.escalation_due_time is not null as escalates,
        delivery.id as sibling_id, delivery.channel, delivery.address, delivery.state
    from message join delivery on delivery.message_id = message.id
    where message.id in {_CARRIED} order by message.id, delivery.id
""")
_REVIVE = Statement(
    f"{REQUEUE} where message_id = :id and state = 3 and channel <> all(cast(:unsure as text[]))"
)
_ALL_NOTIFIED = Statement("""
    update message set escalation_step = greatest(escalation_step, :step),
        escalation_due_time = cast(:due_time as timestamptz)
    where id = :id and escalation_due_time is not null
""")


class DeadDeliveryStore(RecallStore):
    """Dead deliveries of one transaction."""

    async def hold(self, delivery_id: str) -> None:
        """The messages it carries are this transaction's: two deliveries must not each rely on the
        other.
        """
        await self._transaction.execute(_HOLD, id=delivery_id)

    async def failed_messages(self, delivery_id: str, now: datetime) -> list[FailedMessage]:
        """The messages that it carried, each with all its deliveries."""
        found: dict[str, FailedMessage] = {}
        for row in await self._transaction.fetch(_FAILED, id=delivery_id, now=now):
            route, state = Route(row["channel"], row["address"]), DeliveryState(row["state"])
            before = found.get(row["id"])
            siblings = [
                *(before.siblings if before else ()),
                Sibling(row["sibling_id"], route, state),
            ]
            found[row["id"]] = rows.read(FailedMessage, row, siblings=siblings)
        return list(found.values())

    async def revive(self, message_id: str, due_time: datetime) -> None:
        """Everything of it that was given up is tried anew from then on."""
        values = {"id": message_id, "due_time": due_time, "unsure": list(UNSURE)}
        await self._transaction.execute(_REVIVE, **values)

    async def all_notified(self, message_id: str, step: int, due_time: datetime) -> None:
        """So many contacts were notified; what is left of the chain is due then."""
        await self._transaction.execute(_ALL_NOTIFIED, id=message_id, step=step, due_time=due_time)
