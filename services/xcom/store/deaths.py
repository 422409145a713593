"""What hangs on a delivery that was given up. Every time is an argument."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import text

from services.xcom.deliveries.domain.deaths import Sibling, Victim
from services.xcom.domain.messages import UNSURE, DeliveryReason, DeliveryState, Kind, Level
from services.xcom.domain.settings import Route
from services.xcom.store.accept import Acceptance
from services.xcom.store.recalls import RecallStore
from services.xcom.store.settings import STORED
from shared.database.engine import raw

_CARRIED = (
    "(select message_id from delivery as dead where dead.digest_id = :id and dead.digest_id <> ''"
    f" or dead.id = :id and dead.reason <> {DeliveryReason.DIGEST.value})"
)
_HOLD = text(f"select 1 from message where id in {_CARRIED} order by id for update")
_VICTIMS = text(
    "select message.id as message_id, message.level, message.kind, message.subject,"
    " message.channels_reason,"
    " message.created_time, message.acknowledged_time is not null"
    "  or coalesce(message.snoozed_until_time > :now, false)"
    "  or exists (select from incident where key = message.incident_key and message.incident_key"
    " <> ''"
    "   and ended_time is not null) as settled,"
    " delivery.id, delivery.channel, delivery.address, delivery.state"
    " from message join delivery on delivery.message_id = message.id"
    f" where message.id in {_CARRIED} order by message.id, delivery.id"
)
_REVIVE = text(
    "update delivery set state = 1, spent_tries = tries, due_time = :due_time, claimed_until ="
    " null,"
    " digest_id = '' where message_id = :id and state = 3 and channel <> all(cast(:unsure as"
    " text[]))"
)
_ALL_TOLD = text(
    "update message set escalation_step = greatest(escalation_step, :step),"
    " escalation_due_time = cast(:due_time as timestamptz) where id = :id"
    " and escalation_due_time is not null"
)
_SETTINGS = text(f"select {STORED}")


class DeathStore(RecallStore):
    """Deaths of one transaction."""

    async def hold(self, delivery_id: str) -> None:
        """The messages it carries are this transaction's: two deliveries must not each rely on the
        other.
        """
        await self._connection.execute(_HOLD, {"id": delivery_id})

    async def victims(self, delivery_id: str, now: datetime) -> list[Victim]:
        """The messages that it carried, each with all its deliveries."""
        rows = (await self._connection.execute(_VICTIMS, {"id": delivery_id, "now": now})).all()
        siblings: dict[str, list[Sibling]] = {}
        for row in rows:
            one = Sibling(row.id, Route(row.channel, row.address), DeliveryState(row.state))
            siblings.setdefault(row.message_id, []).append(one)
        firsts = {row.message_id: row for row in reversed(rows)}
        return [
            Victim(
                id=id,
                level=Level(firsts[id].level),
                kind=Kind(firsts[id].kind),
                subject=firsts[id].subject,
                channels_reason=firsts[id].channels_reason,
                created_time=firsts[id].created_time,
                settled=firsts[id].settled,
                siblings=found,
            )
            for id, found in siblings.items()
        ]

    async def revive(self, message_id: str, due_time: datetime) -> None:
        """Everything of it that was given up is tried anew from then on."""
        words = {"id": message_id, "due_time": due_time, "unsure": list(UNSURE)}
        await self._connection.execute(_REVIVE, words)

    async def all_told(self, message_ids: Collection[str], step: int, due_time: datetime) -> None:
        """So many contacts were told; what is left of the chain is due then."""
        for id in message_ids:
            await self._connection.execute(
                _ALL_TOLD, {"id": id, "step": step, "due_time": due_time}
            )

    async def stored_settings(self) -> str | None:
        """As Acceptance wants them."""
        found: str | None = await self._connection.scalar(_SETTINGS)
        return found

    async def way_in(self, dedupe_key: str) -> Acceptance:
        """Within this transaction, which holds the key until its end."""
        acceptance = Acceptance((await raw(self._connection)).fetch)
        await acceptance.hold(dedupe_key)
        return acceptance
