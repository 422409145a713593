"""What the domain says as messages of the protocol; decides nothing."""

from __future__ import annotations

from sonic.xcom.v1 import xcom_pb2 as pb

from services.xcom.channels.service.channels import ChannelStatus
from services.xcom.domain.messages import Attempt, Delivery, Message
from shared.codec import to_timestamp


def wire_message(message: Message) -> pb.Message:
    """With its deliveries."""
    return pb.Message(
        id=message.id,
        request_id=message.request_id,
        level=pb.Level.ValueType(message.level.value),
        subject=message.subject,
        body=message.body,
        source=message.source,
        dedupe_key=message.dedupe_key,
        facts=message.facts,
        created_time=to_timestamp(message.created_time),
        deliveries=map(wire_delivery, message.deliveries),
        suppressed_reason=message.suppressed_reason,
        channels_reason=message.channels_reason,
        acknowledged_time=to_timestamp(message.acknowledged_time),
        acknowledged_by=message.acknowledged_by,
        snoozed_until_time=to_timestamp(message.snoozed_until_time),
        escalation_step=message.escalation_step,
        escalation_due_time=to_timestamp(message.escalation_due_time),
        incident_key=message.incident_key,
        ends_incident=message.ends_incident,
        kind=pb.Kind.ValueType(message.kind.value),
    )


def wire_delivery(delivery: Delivery) -> pb.Delivery:
    """With its tries, if they were read."""
    return pb.Delivery(
        id=delivery.id,
        message_id=delivery.message_id,
        channel=delivery.channel,
        state=pb.DeliveryState.ValueType(delivery.state.value),
        tries=delivery.tries,
        due_time=to_timestamp(delivery.due_time),
        sent_time=to_timestamp(delivery.sent_time),
        last_error=delivery.last_error,
        provider_status=delivery.provider_status,
        level=pb.Level.ValueType(delivery.level.value),
        subject=delivery.subject,
        created_time=to_timestamp(delivery.created_time),
        reason=pb.DeliveryReason.ValueType(delivery.reason.value),
        contact=delivery.contact,
        destination=delivery.address,
        digest_id=delivery.digest_id,
        attempts=map(_to_attempt, delivery.attempts),
        quiet_until_time=to_timestamp(delivery.quiet_until_time),
        handed_over_time=to_timestamp(delivery.handed_over_time),
    )


def _to_attempt(attempt: Attempt) -> pb.Attempt:
    return pb.Attempt(
        try_number=attempt.try_number,
        attempt_time=to_timestamp(attempt.attempt_time),
        outcome=pb.AttemptOutcome.ValueType(attempt.outcome.value),
        provider_status=attempt.provider_status,
        error=attempt.error,
    )


def to_channel(status: ChannelStatus) -> pb.Channel:
    """A channel with its settings and its record."""
    record, setting, hours = status.record, status.setting, status.setting.quiet_hours
    return pb.Channel(
        name=status.name,
        configured=not status.missing_settings,
        missing_settings=status.missing_settings,
        destination=status.destination,
        last_sent_time=to_timestamp(record.last_sent_time),
        last_error=record.last_error,
        last_error_time=to_timestamp(record.last_error_time),
        verified_time=to_timestamp(record.verified_time),
        queued_count=record.queued_count,
        dead_count=record.dead_count,
        enabled=setting.enabled,
        destination_source=pb.SettingSource.ValueType(status.source.value),
        quiet_hours=None
        if hours is None
        else pb.QuietHours(
            start_minute=hours.start_minute, end_minute=hours.end_minute, time_zone=hours.time_zone
        ),
        quiet_budget_count=setting.quiet_budget_count,
        etag=status.etag,
        quiet_now=status.quiet_now,
        health=pb.ChannelHealth.ValueType(status.health.value),
    )
