"""Removes what has its age, a portion a call. Every time is an argument."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from shared.database.statement import Statement
from shared.database.transaction import Transaction

# Rows a call: nobody waits long for what it holds.
PORTION_ROWS: Final = 500
# With their deliveries, tries and links. Not what waits for a delivery or a contact, nor what is
# said of an incident that is open: whoever heard of it must hear its end.
_MESSAGES = Statement(f"""
    with old as (
        select id, request_id from message
        where created_time < :before and escalation_due_time is null
            and not exists (select from delivery
                where delivery.message_id = message.id and delivery.state in (1, 4, 6))
            and (incident_key = ''
                or exists (select from incident
                    where key = message.incident_key and ended_time is not null)
                or exists (select from message as ending
                    where ending.incident_key = message.incident_key and ending.ends_incident))
        order by created_time, id limit {PORTION_ROWS} for update skip locked),
    forgotten as (delete from request where request_id in (select request_id from old))
    delete from message where id in (select id from old)
""")
# Those whose messages were cleared.
_REQUESTS = Statement(f"""
    delete from request where request_id in (select request_id from request
        where created_time < :before
            and not exists (select from message where message.request_id = request.request_id)
        order by created_time limit {PORTION_ROWS})
""")
# As long as anything that was said of it: by the row it is known to be over.
_INCIDENTS = Statement(f"""
    delete from incident where key in (select key from incident
        where updated_time < :before and coalesce(quiet_until_time < :before, true)
            and not exists (select from message
                where message.incident_key = key and message.incident_key <> '')
        order by updated_time limit {PORTION_ROWS})
""")
_ACKNOWLEDGEMENTS = Statement(f"""
    delete from acknowledgement where sequence in (select sequence from acknowledgement
        where created_time < :before order by sequence limit {PORTION_ROWS})
""")
_CALLS = Statement(f"""
    delete from call where id in (select id from call
        where planned_time < :before order by planned_time limit {PORTION_ROWS})
""")
_REPLIES = Statement(f"""
    delete from reply where (channel, provider_id) in (select channel, provider_id from reply
        where created_time < :before order by created_time limit {PORTION_ROWS})
""")


class RetentionStore:
    """One portion in one transaction; each answers how many rows it removed."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def forget_messages(self, before: datetime) -> int:
        """Settled messages with all that belongs to them, their request ids too."""
        return await self._transaction.execute(_MESSAGES, before=before)

    async def forget_requests(self, before: datetime) -> int:
        """Request ids whose messages are gone."""
        return await self._transaction.execute(_REQUESTS, before=before)

    async def forget_incidents(self, before: datetime) -> int:
        """Incidents of which no message is left."""
        return await self._transaction.execute(_INCIDENTS, before=before)

    async def forget_acknowledgements(self, before: datetime) -> int:
        """What people said here; who sent the messages has read it long ago."""
        return await self._transaction.execute(_ACKNOWLEDGEMENTS, before=before)

    async def forget_calls(self, before: datetime) -> int:
        """Calls that no limit counts any more."""
        return await self._transaction.execute(_CALLS, before=before)

    async def forget_replies(self, before: datetime) -> int:
        """Replies to what nobody can answer any more."""
        return await self._transaction.execute(_REPLIES, before=before)
