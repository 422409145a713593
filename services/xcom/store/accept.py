"""A message stored in one statement, if it was not sent just now and settings are as assumed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import timedelta

from services.xcom.domain.messages import DUPLICATE, URGENT, Draft, Kind, Message
from services.xcom.store.enqueue import INSERT_DELIVERY, EnqueueStore
from services.xcom.store.listener import HIGH, NOTIFY_CHANNEL, QUIET
from services.xcom.store.settings import STORED
from shared.database.statement import Statement

# In one order by everybody: two that send several cannot wait for each other.
_HOLD = Statement("""
    select pg_advisory_xact_lock(own.lock) from (
        select distinct hashtextextended(key, 0) as lock from unnest(cast(:keys as text[])) as key
        order by lock) as own
""")
# One chain an incident: a message of one that is over, quiet, or escalating already begins no
# other. What comes when the quiet is about to end comes because it ends, by another clock; a quiet
# that a clock gave which was ahead is none.
_ESCALATES = """
    cast(:incident_key as text) = ''
    or not exists (select from incident where key = :incident_key
        and (ended_time is not null or quiet_level >= :level
             and quiet_until_time > cast(:now as timestamptz) + interval '30 seconds'
             and updated_time < cast(:now as timestamptz) + interval '2 minutes'))
    and not exists (select from message where incident_key = :incident_key and incident_key <> ''
        and escalation_due_time is not null)
"""
# A duplicate both ways round now: a clock that was stepped back must not send everything again.
_ACCEPT = Statement(f"""
    with present as (select {STORED} as settings),
    fresh as (
        insert into request (request_id, fingerprint, message_id, level, dedupe_key,
            created_time, suppressed_reason, channels_reason)
        select :request_id, :fingerprint, :id, :level, :dedupe_key, :now,
            case when exists (select from request
                    where dedupe_key = :dedupe_key and dedupe_key <> ''
                    and suppressed_reason = '' and level >= :level
                    and created_time > :after and created_time < :before)
                then '{DUPLICATE}' else :suppressed_reason end,
            :channels_reason
        from present where settings is not distinct from cast(:settings as text)
        on conflict do nothing returning suppressed_reason),
    stored as (
        insert into message (id, request_id, level, subject, body, source, dedupe_key, facts, kind,
            urgency, created_time, suppressed_reason, channels_reason, incident_key,
            ends_incident, trace, escalation_due_time)
        select :id, :request_id, :level, :subject, :body, :source, :dedupe_key,
            cast(:facts as jsonb), :kind, :urgency, :now, suppressed_reason, :channels_reason,
            :incident_key, :ends_incident, :trace,
            case when suppressed_reason = '' and ({_ESCALATES})
                then cast(:escalation_due_time as timestamptz) end
        from fresh),
    queued as (
        {INSERT_DELIVERY}
        select own.id, :id, own.channel, own.address, own.contact, own.reason, :level, :urgency,
            own.due_time, :now, 1, 0, '', ''
        from fresh, unnest(cast(:delivery_id as text[]), cast(:delivery_channel as text[]),
            cast(:delivery_due_time as timestamptz[]), cast(:delivery_address as text[]),
            cast(:delivery_contact as text[]), cast(:delivery_reason as int2[]))
            as own(id, channel, due_time, address, contact, reason)
        where suppressed_reason = '' returning 1)
    select (select settings from present) as settings,
        (select suppressed_reason from fresh) as suppressed_reason,
        case when exists (select from queued) then pg_notify('{NOTIFY_CHANNEL}', :payload) end
""")
_OF_MESSAGE = (
    "id", "request_id", "level", "kind", "subject", "body", "source", "dedupe_key",
    "suppressed_reason", "channels_reason", "incident_key", "ends_incident", "escalation_due_time",
    "trace",
)  # fmt: skip
_OF_DELIVERY = ("id", "channel", "due_time", "address", "contact", "reason")


@dataclass(frozen=True, slots=True)
class AcceptResult:
    """Why it is not sent, if it was stored at all, and the settings of that moment."""

    suppressed_reason: str | None
    settings: str | None


def fingerprint(draft: Draft) -> str:
    """The same for the same content; another request under the same id has another one."""
    content: list[object] = [
        draft.level.value,
        draft.subject,
        draft.body,
        draft.source,
        draft.dedupe_key,
        sorted(set(draft.channels)),
        sorted(draft.facts.items()),
    ]
    # Left out where there is none: what was accepted by a release that knew less stays the same.
    if draft.incident_key or draft.ended_keys:
        content.append([draft.incident_key, draft.ends_incident, sorted(draft.ended_incident_keys)])
    if draft.destinations or draft.attachment:
        content.append([astuple(one) for one in draft.destinations])
        file = draft.attachment
        content.append("" if file is None else hashlib.sha256(file.content).hexdigest())
    if draft.kind is not Kind.DANGER:
        content.append(draft.kind.value)
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


class AcceptStore(EnqueueStore):
    """Stores messages within one transaction."""

    async def hold_keys(self, drafts: Sequence[Draft]) -> None:
        """Others that send with these keys, or end these incidents, wait until the end of the
        transaction: two cannot both be first.
        """
        keys = [f"xcom dedupe {draft.dedupe_key}" for draft in drafts if draft.dedupe_key]
        keys += [f"xcom incident {key}" for draft in drafts for key in draft.ended_keys]
        if keys:
            await self._transaction.execute(_HOLD, keys=keys)

    async def accept(
        self, draft: Draft, stored: Message, settings: str | None, window: timedelta, own_name: str
    ) -> AcceptResult:
        """Store request, message and deliveries; nothing when the request id is taken or settings
        differ.

        A key sent at this level or a higher one within the window is stored without deliveries.
        `hold_keys` comes first.
        """
        now = stored.created_time
        of_message = {name: getattr(stored, name) for name in _OF_MESSAGE}
        of_deliveries = {
            f"delivery_{name}": [getattr(one, name) for one in stored.deliveries]
            for name in _OF_DELIVERY
        }
        (row,) = await self._transaction.fetch(
            _ACCEPT,
            **of_message,
            **of_deliveries,
            fingerprint=fingerprint(draft),
            urgency=draft.urgency,
            facts=json.dumps(dict(stored.facts)),
            settings=settings,
            now=now,
            after=now - window,
            before=now + window,
            # Our own worker is woken by us.
            payload=f"{HIGH if draft.urgency >= URGENT else QUIET} {own_name}",
        )
        return AcceptResult(row["suppressed_reason"], row["settings"])
