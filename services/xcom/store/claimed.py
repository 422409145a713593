"""Columns of a claimed delivery with what its message says; part of statements."""

from __future__ import annotations

from typing import Final

from services.xcom.domain.messages import AttemptOutcome, DeliveryReason

CLAIMED: Final = f"""
    claimed.id as delivery_id, claimed.message_id, claimed.channel, claimed.level,
    claimed.tries as try_number, claimed.tries - claimed.spent_tries as fresh_try_number,
    claimed.reason, claimed.address, claimed.contact, claimed.claimed_until, claimed.receipt_id,
    claimed.handed_over_time, message.subject, message.body, message.source, message.facts,
    message.created_time, message.kind, message.trace,
    -- Refused for good before: the second time it is believed.
    claimed.tries - claimed.spent_tries > 1 and exists (select from attempt
        where delivery_id = claimed.id and try_number > claimed.spent_tries
        and outcome = {AttemptOutcome.REFUSED.value}) as was_refused,
    case when message.ends_incident then 'RESOLVED'
        when claimed.tries = 1 and :now - message.created_time > interval '5 minutes'
            and claimed.reason <> {DeliveryReason.ESCALATION.value} then 'HELD_UNTIL_NOW'
        when message.incident_key = '' then 'RAISED'
        else coalesce((select case when max(level) < message.level then 'WORSE' else 'REPEATED' end
            from message as before
            where before.incident_key = message.incident_key and before.id < message.id
            and not before.ends_incident and before.suppressed_reason = ''
            having count(*) > 0), 'RAISED')
        end as reason_code
"""
