"""Incidents over several messages: ended, and who heard of them. Every time is an argument."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import text

from services.xcom.domain.incidents import Ended, Heard
from services.xcom.domain.messages import DeliveryReason, DeliveryState
from services.xcom.domain.settings import Route
from services.xcom.store.queueing import QueueStore

# Longer than any message of an incident may still be on its way.
_KEPT = timedelta(days=30)
_OF_THESE = "message.incident_key = any(cast(:keys as text[])) and message.incident_key <> ''"
# What is being sent at this moment cannot be called back.
CANCEL = (
    f"update delivery set state = {DeliveryState.CANCELLED.value}, claimed_until = null, last_error = :why"
    " from message where message.id = delivery.message_id and delivery.state = 1"
    f" and delivery.reason in ({DeliveryReason.FALLBACK.value}, {DeliveryReason.ESCALATION.value})"
    " and (delivery.claimed_until is null or delivery.claimed_until <= :now)"
)
_MARK_ENDED = text(
    "with old as (delete from incident where updated_time < :before)"
    " insert into incident (key, ended_time, updated_time)"
    " select distinct key, cast(:now as timestamptz), cast(:now as timestamptz)"
    " from unnest(cast(:keys as text[])) as own(key) order by key"
    " on conflict (key) do update set ended_time = coalesce(incident.ended_time, excluded.ended_time),"
    " updated_time = excluded.updated_time"
)
_STOP = text(
    f"update message set escalation_due_time = null where {_OF_THESE} and escalation_due_time is not null"
)
_CANCEL = text(f"{CANCEL} and {_OF_THESE}")
_IS_KNOWN = text(f"select exists (select from message where {_OF_THESE})")
# A try that was never answered may have been heard.
_HEARD = text(
    "select delivery.channel, delivery.address, max(delivery.contact) as contact,"
    " max(greatest(delivery.due_time, delivery.claimed_until)) filter (where delivery.state = 1)"
    "  as waits_until"
    f" from delivery join message on message.id = delivery.message_id where {_OF_THESE}"
    " and (delivery.state in (1, 2, 4) or delivery.state = 5 and delivery.tries > 0"
    "  and delivery.provider_status = '')"
    " group by delivery.channel, delivery.address order by min(delivery.id)"
)


class IncidentStore(QueueStore):
    """Incidents of one transaction."""

    async def end(self, keys: Collection[str], now: datetime) -> Ended:
        """Nothing of these escalates any more; who heard of them."""
        words = {"keys": list(keys), "now": now}
        await self._connection.execute(_MARK_ENDED, {**words, "before": now - _KEPT})
        await self._connection.execute(_STOP, words)
        await self._connection.execute(_CANCEL, {**words, "why": "over before its turn"})
        known = bool(await self._connection.scalar(_IS_KNOWN, words))
        rows = await self._connection.execute(_HEARD, words) if known else ()
        heard = [Heard(Route(row.channel, row.address), row.contact, row.waits_until) for row in rows]
        return Ended(known, heard)
