"""Incidents over several messages: acknowledged, put off, ended, and who heard. Every time is an
argument.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from services.xcom.domain.messages import Level
from services.xcom.domain.settings import Route
from services.xcom.escalation.domain.incidents import Acknowledgement, Ended, Heard, Word
from services.xcom.escalation.domain.recalls import UNTOLD
from services.xcom.store.recalls import RecallStore

# Longer than any message of an incident may still be on its way.
_KEPT = timedelta(days=30)
_OF_THESE = "message.incident_key = any(cast(:keys as text[])) and message.incident_key <> ''"
# Before the incident itself, by everybody: two cannot wait for each other.
_HOLD = text(f"select id from message where {_OF_THESE} order by id for update")
_MARK_ENDED = text(
    "with old as (delete from incident where updated_time < :before)"
    " insert into incident (key, ended_time, updated_time)"
    " select distinct key, cast(:now as timestamptz), cast(:now as timestamptz)"
    " from unnest(cast(:keys as text[])) as own(key) order by key"
    " on conflict (key) do update set ended_time = coalesce(incident.ended_time,"
    " excluded.ended_time),"
    " updated_time = excluded.updated_time"
)
_STOP = text(
    f"update message set escalation_due_time = null where {_OF_THESE} and escalation_due_time is"
    " not null"
)
# A try that was never answered may have been heard.
_TOLD = (
    "(delivery.state in (1, 2, 4, 6) or delivery.state = 5 and delivery.tries > 0"
    " and (delivery.provider_status = '' or coalesce(delivery.claimed_until > :now, false)))"
)
# A digest that waits tells of what it carries later.
_HEARD = text(
    "select delivery.channel, delivery.address, max(delivery.contact) as contact,"
    " max(greatest(teller.due_time, teller.claimed_until))"
    "  filter (where teller.state = 1 or teller.state = 5 and teller.claimed_until > :now)"
    "  as waits_until,"
    f" not bool_or({_TOLD}) as untold"
    " from delivery join message on message.id = delivery.message_id"
    " join delivery as teller on teller.id = case when delivery.state = 4 and delivery.digest_id"
    " <> ''"
    "  then delivery.digest_id else delivery.id end"
    f" where {_OF_THESE}"
    f" and not message.ends_incident and ({_TOLD} or delivery.state = 5"
    f"  and delivery.last_error = '{UNTOLD}')"
    " group by delivery.channel, delivery.address order by min(delivery.id)"
)

_QUIET = text(
    "insert into incident (key, quiet_level, quiet_until_time, updated_time)"
    " values (:key, :level, :until, :now)"
    " on conflict (key) do update set quiet_level = excluded.quiet_level,"
    " quiet_until_time = excluded.quiet_until_time, updated_time = excluded.updated_time"
)
_UP_TO = "message.incident_key = :key and message.incident_key <> '' and message.level <= :level"
_ACKNOWLEDGE = text(
    "update message set acknowledged_time = coalesce(acknowledged_time, :now),"
    " acknowledged_by = case when acknowledged_time is null then :by else acknowledged_by end,"
    f" escalation_due_time = null where {_UP_TO} and not ends_incident"
)
_SNOOZE = text(
    "update message set snoozed_until_time = cast(:until as timestamptz),"
    " escalation_due_time = case when escalation_due_time is null then null"
    f"  else cast(:until as timestamptz) end where {_UP_TO} and not ends_incident"
)
_LOUD = text("update incident set quiet_level = 0, quiet_until_time = null where key = :key")
_NEWEST = text(
    "select id, escalation_step from message where incident_key = :key and incident_key <> ''"
    f" and level = {Level.HIGH.value} and not ends_incident and suppressed_reason = ''"
    " and (acknowledged_time is not null or snoozed_until_time is not null)"
    " and not exists (select from incident where key = :key and ended_time is not null)"
    " order by id desc limit 1 for update"
)
_RESUME = text(
    "update message set acknowledged_time = null, acknowledged_by = '', snoozed_until_time = null,"
    " escalation_due_time = least(escalation_due_time, cast(:due_time as timestamptz)) where id ="
    " :id"
)
# One after the other: whoever reads them in order must not miss one that commits late.
_ORDER = text("select pg_advisory_xact_lock(hashtextextended('xcom acknowledgements', 0))")
_SAID = text(
    "insert into acknowledgement (incident_key, source, level, said_by, snoozed_until_time,"
    " created_time)"
    " select :key, source, :level, :by, cast(:snoozed_until_time as timestamptz), :now"
    " from message where incident_key = :key and incident_key <> '' order by id desc limit 1"
)
_FORGET = text("delete from acknowledgement where created_time < :before")
_LIST = text(
    "select sequence, incident_key, level, said_by, snoozed_until_time, created_time from"
    " acknowledgement"
    " where source = :source and sequence > :after order by sequence limit :size"
)
_LAST = text("select coalesce(max(sequence), 0) from acknowledgement")


@dataclass(frozen=True, slots=True)
class Halted:
    """A message whose escalation was stopped or put off, and how many contacts were told."""

    message_id: str
    step: int


class IncidentStore(RecallStore):
    """Incidents of one transaction."""

    async def hold_incidents(self, keys: Collection[str]) -> list[str]:
        """Ids of their messages, which are this transaction's until its end."""
        return list(await self._connection.scalars(_HOLD, {"keys": list(keys)}))

    async def mark_ended(self, keys: Collection[str], now: datetime) -> None:
        """They are over for good, and nothing of them escalates any more."""
        words = {"keys": list(keys), "now": now}
        await self._connection.execute(_MARK_ENDED, {**words, "before": now - _KEPT})
        await self._connection.execute(_STOP, words)

    async def ended(self, keys: Collection[str], now: datetime) -> Ended:
        """Who heard of these, or would have; to be asked after what waits was called back."""
        rows = await self._connection.execute(_HEARD, {"keys": list(keys), "now": now})
        heard = [
            Heard(Route(row.channel, row.address), row.contact, row.waits_until, row.untold)
            for row in rows
        ]
        return Ended(known=True, heard=heard)

    async def acknowledge_incident(self, word: Word) -> None:
        """Somebody knows: its messages up to the level escalate no more."""
        words = _words(word)
        await self._connection.execute(_QUIET, words)
        await self._connection.execute(_ACKNOWLEDGE, words)

    async def snooze_incident(self, word: Word) -> None:
        """No contact of its messages up to the level before the end of this."""
        words = _words(word)
        await self._connection.execute(_QUIET, words)
        await self._connection.execute(_SNOOZE, words)

    async def release_incident(self, key: str) -> Halted | None:
        """It is quiet no more; the message whose escalation is to go on, None without one."""
        await self._connection.execute(_LOUD, {"key": key})
        row = (await self._connection.execute(_NEWEST, {"key": key})).one_or_none()
        return Halted(row.id, row.escalation_step) if row else None

    async def resume(self, message_id: str, due_time: datetime) -> None:
        """Nobody acknowledged it after all; its next contact is told then, or earlier if that was
        planned.
        """
        await self._connection.execute(_RESUME, {"id": message_id, "due_time": due_time})

    async def note_word(self, word: Word) -> None:
        """For the source of the incident's messages, in order."""
        await self._connection.execute(_ORDER)
        await self._connection.execute(_FORGET, {"before": word.now - _KEPT})
        until = word.until if word.is_snooze else None
        await self._connection.execute(_SAID, {**_words(word), "snoozed_until_time": until})

    async def acknowledgements(self, source: str, after: int, size: int) -> list[Acknowledgement]:
        """Oldest first."""
        rows = await self._connection.execute(
            _LIST, {"source": source, "after": after, "size": size}
        )
        return [Acknowledgement(row[0], row[1], Level(row[2]), *row[3:]) for row in rows]

    async def last_sequence(self) -> int:
        """Of all acknowledgements; 0 without one."""
        return int(await self._connection.scalar(_LAST) or 0)


def _words(word: Word) -> dict[str, object]:
    return {
        "key": word.incident_key,
        "level": word.level.value,
        "by": word.by,
        "now": word.now,
        "until": word.until,
    }
