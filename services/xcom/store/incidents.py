"""Incidents over several messages: acknowledged, put off, ended, and who heard. Every time is an
argument.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.xcom.domain.messages import Level
from services.xcom.domain.settings import Route
from services.xcom.escalation.domain.incidents import (
    Acknowledgement,
    Ended,
    IncidentUpdate,
    Recipient,
)
from services.xcom.escalation.domain.recalls import UNTOLD
from services.xcom.store.recalls import RecallStore
from shared import rows
from shared.database.statement import Statement

_OF_THESE = "message.incident_key = any(cast(:keys as text[])) and message.incident_key <> ''"
# Before the incident itself, by everybody: two cannot wait for each other.
_HOLD = Statement(f"select id from message where {_OF_THESE} order by id for update")
_MARK_ENDED = Statement("""
    insert into incident (key, ended_time, updated_time)
    select distinct key, cast(:now as timestamptz), cast(:now as timestamptz)
    from unnest(cast(:keys as text[])) as own(key) order by key
    on conflict (key) do update set updated_time = excluded.updated_time,
        ended_time = coalesce(incident.ended_time, excluded.ended_time)
""")
_STOP = Statement(f"""
    update message set escalation_due_time = null
    where {_OF_THESE} and escalation_due_time is not null
""")
# A try that was never answered may have been heard.
_SENT = """
    (delivery.state in (1, 2, 4, 6) or delivery.state = 5 and delivery.tries > 0
        and (delivery.provider_status = '' or coalesce(delivery.claimed_until > :now, false)))
"""
# A digest that waits says later what it carries.
_RECIPIENTS = Statement(f"""
    select delivery.channel, delivery.address, max(delivery.contact) as contact,
        max(greatest(carrier.due_time, carrier.claimed_until)) filter (where carrier.state = 1
            or carrier.state = 5 and carrier.claimed_until > :now) as waits_until,
        not bool_or({_SENT}) as untold
    from delivery join message on message.id = delivery.message_id
    join delivery as carrier on carrier.id =
        case when delivery.state = 4 and delivery.digest_id <> '' then delivery.digest_id
            else delivery.id end
    where {_OF_THESE} and not message.ends_incident
        and ({_SENT} or delivery.state = 5 and delivery.last_error = '{UNTOLD}')
    group by delivery.channel, delivery.address order by min(delivery.id)
""")
_QUIET = Statement("""
    insert into incident (key, quiet_level, quiet_until_time, updated_time)
    values (:key, :level, :until, :now)
    on conflict (key) do update set quiet_level = excluded.quiet_level,
        quiet_until_time = excluded.quiet_until_time, updated_time = excluded.updated_time
""")
# Beginnings of statements.
ACKNOWLEDGE: Final = """
    update message set acknowledged_time = coalesce(acknowledged_time, :now),
        acknowledged_by = case when acknowledged_time is null then :by else acknowledged_by end,
        escalation_due_time = null
"""
SNOOZE: Final = """
    update message set snoozed_until_time = cast(:until as timestamptz),
        escalation_due_time = case when escalation_due_time is null then null
            else cast(:until as timestamptz) end
"""
_UP_TO_LEVEL = """
    where message.incident_key = :key and message.incident_key <> '' and message.level <= :level
        and not ends_incident
"""
_ACKNOWLEDGE, _SNOOZE = (Statement(change + _UP_TO_LEVEL) for change in (ACKNOWLEDGE, SNOOZE))
_LOUD = Statement("update incident set quiet_level = 0, quiet_until_time = null where key = :key")
_NEWEST = Statement(f"""
    select id as message_id, escalation_step as step from message
    where incident_key = :key and incident_key <> '' and level = {Level.HIGH.value}
        and not ends_incident and suppressed_reason = ''
        and (acknowledged_time is not null or snoozed_until_time is not null)
        and not exists (select from incident where key = :key and ended_time is not null)
    order by id desc limit 1 for update
""")
_RESUME = Statement("""
    update message set acknowledged_time = null, acknowledged_by = '', snoozed_until_time = null,
        escalation_due_time = least(escalation_due_time, cast(:due_time as timestamptz))
    where id = :id
""")
# One after the other: whoever reads them in order must not miss one that commits late.
_ORDER = Statement("select pg_advisory_xact_lock(hashtextextended('xcom acknowledgements', 0))")
_RECORD = Statement("""
    insert into acknowledgement (incident_key, source, level, said_by, snoozed_until_time,
        created_time)
    select :key, source, :level, :by, cast(:snoozed_until_time as timestamptz), :now
    from message where incident_key = :key and incident_key <> '' order by id desc limit 1
""")
_LIST = Statement("""
    select sequence, incident_key, level, said_by as by, snoozed_until_time, created_time
    from acknowledgement
    where source = :source and sequence > :after order by sequence limit :size
""")
_LAST = Statement("select coalesce(max(sequence), 0) from acknowledgement")


@dataclass(frozen=True, slots=True)
class Halted:
    """A message whose escalation was stopped or put off, and how many contacts were notified."""

    message_id: str
    step: int


class IncidentStore(RecallStore):
    """Incidents of one transaction."""

    async def hold_incidents(self, keys: Collection[str]) -> list[str]:
        """Ids of their messages, which are this transaction's until its end."""
        return [row["id"] for row in await self._transaction.fetch(_HOLD, keys=list(keys))]

    async def mark_ended(self, keys: Collection[str], now: datetime) -> None:
        """They are over for good, and nothing of them escalates any more."""
        values = {"keys": list(keys), "now": now}
        await self._transaction.execute(_MARK_ENDED, **values)
        await self._transaction.execute(_STOP, **values)

    async def ended(self, keys: Collection[str], now: datetime) -> Ended:
        """Who heard of these, or would have; to be asked after what waits was called back."""
        found = await self._transaction.fetch(_RECIPIENTS, keys=list(keys), now=now)
        recipients = [
            rows.read(Recipient, row, route=Route(row["channel"], row["address"])) for row in found
        ]
        return Ended(known=True, recipients=recipients)

    async def quieten_incident(self, update: IncidentUpdate) -> None:
        """Its messages up to the level escalate no more, or not before the end of the snooze."""
        await self._transaction.execute(_QUIET, **values_of(update))
        change = _SNOOZE if update.is_snooze else _ACKNOWLEDGE
        await self._transaction.execute(change, **values_of(update))

    async def release_incident(self, key: str) -> Halted | None:
        """It is quiet no more; the message whose escalation is to go on, None without one."""
        await self._transaction.execute(_LOUD, key=key)
        row = await self._transaction.first(_NEWEST, key=key)
        return rows.read(Halted, row) if row else None

    async def resume(self, message_id: str, due_time: datetime) -> None:
        """Nobody acknowledged it after all; its next contact is notified then, or earlier if that
        was planned.
        """
        await self._transaction.execute(_RESUME, id=message_id, due_time=due_time)

    async def record_update(self, update: IncidentUpdate) -> None:
        """For the source of the incident's messages, in order."""
        await self._transaction.execute(_ORDER)
        until = update.until if update.is_snooze else None
        await self._transaction.execute(_RECORD, snoozed_until_time=until, **values_of(update))

    async def acknowledgements(self, source: str, after: int, size: int) -> list[Acknowledgement]:
        """Oldest first."""
        found = await self._transaction.fetch(_LIST, source=source, after=after, size=size)
        return [rows.read(Acknowledgement, row) for row in found]

    async def last_sequence(self) -> int:
        """Of all acknowledgements; 0 without one."""
        return int(await self._transaction.scalar(_LAST))


def values_of(update: IncidentUpdate) -> dict[str, object]:
    """Of the statements."""
    return {
        "key": update.incident_key,
        "level": update.level,
        "by": update.by,
        "now": update.now,
        "until": update.until,
    }
