"""Rows as what the domain calls them, and the words said by NOTIFY; runs nothing."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Row

from services.xcom.domain.messages import (
    Attempt,
    AttemptOutcome,
    Delivery,
    DeliveryReason,
    DeliveryState,
    Kind,
    Level,
    Message,
)

# The channel of LISTEN / NOTIFY on which new deliveries are announced, and who may be rung there
# alone.
BELL: Final = "xcom_delivery"
HIGH: Final = "high"
QUIET: Final = "quiet"
SOUNDS: Final = "sounds"


def to_message(row: Row[Any]) -> Message:
    """A row of `message`, without deliveries."""
    return Message(
        id=row.id,
        request_id=row.request_id,
        level=Level(row.level),
        subject=row.subject,
        body=row.body,
        source=row.source,
        dedupe_key=row.dedupe_key,
        facts=row.facts,
        created_time=row.created_time,
        suppressed_reason=row.suppressed_reason,
        channels_reason=row.channels_reason,
        acknowledged_time=row.acknowledged_time,
        acknowledged_by=row.acknowledged_by,
        snoozed_until_time=row.snoozed_until_time,
        escalation_step=row.escalation_step,
        escalation_due_time=row.escalation_due_time,
        incident_key=row.incident_key,
        ends_incident=row.ends_incident,
        kind=Kind(row.kind),
    )


def to_delivery(row: Row[Any]) -> Delivery:
    """A row of `delivery` with the subject of its message."""
    return Delivery(
        id=row.id,
        message_id=row.message_id,
        channel=row.channel,
        state=DeliveryState(row.state),
        tries=row.tries,
        due_time=row.due_time,
        sent_time=row.sent_time,
        last_error=row.last_error,
        provider_status=row.provider_status,
        level=Level(row.level),
        subject=row.subject,
        created_time=row.created_time,
        reason=DeliveryReason(row.reason),
        contact=row.contact,
        address=row.address,
        digest_id=row.digest_id,
        urgency=row.urgency,
        handed_over_time=row.handed_over_time,
    )


def to_attempt(row: Row[Any]) -> Attempt:
    """A row of `attempt`."""
    return Attempt(
        try_number=row.try_number,
        attempt_time=row.attempt_time,
        outcome=AttemptOutcome(row.outcome),
        provider_status=row.provider_status,
        error=row.error,
    )
