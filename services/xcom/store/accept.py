"""The way in: a message stored in one statement, if it was not told just now and settings are as
assumed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta

from services.xcom.domain.messages import DUPLICATE, URGENT, Draft, Message
from services.xcom.store.queue import Fetch
from services.xcom.store.rows import BELL, HIGH, QUIET
from services.xcom.store.settings import STORED
from shared.database.statement import Statement

_HOLD = Statement(
    "select pg_advisory_xact_lock(hashtextextended('xcom dedupe ' || :dedupe_key, 0))"
)
# One chain an incident: a message of one that is over, quiet, or escalating already begins no
# other. What comes when the quiet is about to end comes because it ends, by another clock.
_ESCALATES = (
    "cast(:incident_key as text) = '' or not exists (select from incident where key = :incident_key"
    "  and (ended_time is not null or quiet_level >= :level"
    "  and quiet_until_time > cast(:now as timestamptz) + interval '30 seconds'))"
    " and not exists (select from message where incident_key = :incident_key and incident_key <> ''"
    "  and escalation_due_time is not null)"
)
_ACCEPT = Statement(
    f"with present as (select {STORED} as settings),"
    # Both ways round now: a clock that was stepped back must not tell everything again.
    " told as (select exists (select from request where dedupe_key = :dedupe_key and dedupe_key <>"
    " ''"
    "  and suppressed_reason = '' and level >= :level"
    "  and created_time > :after and created_time < :before) as already),"
    " fresh as (insert into request (request_id, fingerprint, message_id, level, dedupe_key,"
    "  created_time, suppressed_reason, channels_reason)"
    " select :request_id, :fingerprint, :id, :level, :dedupe_key, :now,"
    f"  case when already then '{DUPLICATE}' else :suppressed_reason end, :channels_reason"
    "  from present, told where settings is not distinct from cast(:settings as text)"
    " on conflict do nothing returning suppressed_reason),"
    " stored as (insert into message (id, request_id, level, subject, body, source, dedupe_key,"
    " facts,"
    "  kind, urgency, created_time, suppressed_reason, channels_reason, incident_key,"
    " ends_incident,"
    "  escalation_due_time)"
    " select :id, :request_id, :level, :subject, :body, :source, :dedupe_key, cast(:facts as"
    " jsonb),"
    "  :kind, :urgency, :now, suppressed_reason, :channels_reason, :incident_key, :ends_incident,"
    f"  case when suppressed_reason = '' and ({_ESCALATES})"
    "  then cast(:escalation_due_time as timestamptz) end from fresh),"
    " queued as (insert into delivery (id, message_id, channel, state, level, urgency, tries,"
    " due_time,"
    "  last_error, provider_status, created_time, address, contact, reason)"
    " select own.id, :id, own.channel, 1, :level, :urgency, 0, own.due_time, '', '', :now,"
    " own.address,"
    "   own.contact, own.reason"
    "  from fresh, unnest(cast(:delivery_ids as text[]), cast(:channels as text[]),"
    "   cast(:due_times as timestamptz[]), cast(:addresses as text[]), cast(:contacts as text[]),"
    "   cast(:reasons as int2[]))"
    "  as own(id, channel, due_time, address, contact, reason) where suppressed_reason = ''"
    " returning 1)"
    " select (select settings from present) as settings,"
    " (select suppressed_reason from fresh) as suppressed_reason,"
    f" case when exists (select from queued) then pg_notify('{BELL}', :ring) end"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of it: why it is not told, if it was stored at all, and the settings of that
    moment.
    """

    suppressed_reason: str | None
    settings: str | None


class Acceptance:
    """Lets messages in, without SQLAlchemy."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    async def hold(self, dedupe_key: str) -> None:
        """Others with this key wait until the end of the transaction."""
        await self._fetch(_HOLD.sql, *_HOLD.arguments({"dedupe_key": dedupe_key}))

    async def accept(
        self, draft: Draft, stored: Message, settings: str | None, window: timedelta, own_name: str
    ) -> Entry:
        """Store request, message and deliveries; nothing when the request id is taken or settings
        differ.

        A key told at this level or a higher one within the window is stored without deliveries.
        """
        now = stored.created_time
        (row,) = await self._fetch(
            _ACCEPT.sql,
            *_ACCEPT.arguments(
                {
                    "request_id": draft.request_id,
                    "fingerprint": draft.fingerprint,
                    "id": stored.id,
                    "level": draft.level.value,
                    "kind": draft.kind.value,
                    "urgency": draft.urgency,
                    "dedupe_key": draft.dedupe_key,
                    "now": now,
                    "after": now - window,
                    "before": now + window,
                    "settings": settings,
                    # Our own worker is woken by us.
                    "ring": f"{HIGH if draft.urgency >= URGENT else QUIET} {own_name}",
                    "suppressed_reason": stored.suppressed_reason,
                    "channels_reason": stored.channels_reason,
                    "subject": draft.subject,
                    "body": draft.body,
                    "source": draft.source,
                    "facts": json.dumps(dict(draft.facts)),
                    "delivery_ids": [one.id for one in stored.deliveries],
                    "channels": [one.channel for one in stored.deliveries],
                    "due_times": [one.due_time for one in stored.deliveries],
                    "addresses": [one.address for one in stored.deliveries],
                    "contacts": [one.contact for one in stored.deliveries],
                    "reasons": [one.reason.value for one in stored.deliveries],
                    "incident_key": draft.incident_key,
                    "ends_incident": draft.ends_incident,
                    "escalation_due_time": stored.escalation_due_time,
                }
            ),
        )
        return Entry(row["suppressed_reason"], row["settings"])
