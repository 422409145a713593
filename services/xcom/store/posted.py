"""Messages that a channel shows and whose incident stands otherwise by now. Every time is an
argument.
"""

from __future__ import annotations

import json
from datetime import datetime

import asyncpg

from services.xcom.deliveries.domain.standing import Posted, Standing
from services.xcom.domain.messages import DeliveryAttempt, Level
from services.xcom.store.settings import Fetches
from services.xcom.store.worst import worst_of
from shared import rows
from shared.database.statement import Statement

# What a digest carries is not shown by itself.
_CHANGED = Statement(f"""
    with shown as (
        select delivery.id as delivery_id, delivery.message_id, delivery.channel, delivery.level,
            delivery.address, delivery.contact, delivery.reason, delivery.posted_id,
            delivery.shown_standing, message.subject, message.body, message.source, message.facts,
            message.kind, message.created_time, message.acknowledged_by,
            message.acknowledged_time, incident.ended_time,
            (select max(later.level) from message as later
                where later.incident_key = message.incident_key and message.incident_key <> ''
                and later.id > message.id and later.level > message.level
                and not later.ends_incident and later.suppressed_reason = '') as worse_level
        from delivery join message on message.id = delivery.message_id
        left join incident on incident.key = message.incident_key and message.incident_key <> ''
        where delivery.posted_id <> '' and delivery.created_time > :after
            and not message.ends_incident
            and delivery.shown_standing < {Standing.RESOLVED.value}),
    standing as (
        select shown.*, case when ended_time is not null then {Standing.RESOLVED.value}
            when acknowledged_time is not null then {Standing.ACKNOWLEDGED.value}
            when worse_level is not null then {Standing.WORSE.value}
            else {Standing.RAISED.value} end as standing
        from shown)
    select * from standing where standing > shown_standing order by delivery_id limit 50
""")
_SHOWN = Statement("""
    update delivery set shown_standing = greatest(shown_standing, :standing) where id = :id
""")
_ANY = Statement(f"""
    select exists (select from delivery where posted_id <> '' and created_time > :after
        and shown_standing < {Standing.RESOLVED.value})
""")


class PostedStore:
    """Each statement is committed by itself."""

    def __init__(self, source: Fetches) -> None:
        self._source = source

    async def changed(self, after: datetime) -> list[Posted]:
        """What was posted since then and reads otherwise by now."""
        return [_posted(row) for row in await self._source.fetch(_CHANGED, after=after)]

    async def shown(self, delivery_id: str, standing: Standing) -> None:
        """It reads so by now, or cannot be changed any more."""
        await self._source.fetch(_SHOWN, id=delivery_id, standing=standing.value)

    async def is_any(self, after: datetime) -> bool:
        """Whether anything posted since then may change."""
        (row,) = await self._source.fetch(_ANY, after=after)
        return bool(row["exists"])


def _posted(row: asyncpg.Record) -> Posted:
    facts = json.loads(row["facts"])
    own = {
        "try_number": 1,
        "fresh_try_number": 1,
        "link": "",
        "claimed_until": None,
        "receipt_id": "",
        "handed_over_time": None,
        "was_refused": False,
        "is_own": False,
        "is_off": False,
        "reason_code": "",
        "attachment": None,
        "trace": "",
    }
    attempt = rows.read(DeliveryAttempt, row, facts=facts, worst=worst_of(facts), **own)
    worse = row["worse_level"]
    return rows.read(
        Posted,
        row,
        attempt=attempt,
        standing=Standing(row["standing"]),
        worse_level=Level(worse) if worse is not None else None,
    )
