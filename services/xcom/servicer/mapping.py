"""What the domain says as messages of the protocol; decides nothing."""

from __future__ import annotations

from sonic.xcom.v1 import xcom_pb2 as pb

from services.xcom.channels.service.channels import ChannelStatus
from services.xcom.domain.messages import Delivery, Message
from shared.codec import fill


def wire_message(message: Message) -> pb.Message:
    """With its deliveries."""
    return fill(pb.Message, message, deliveries=map(wire_delivery, message.deliveries))


def wire_delivery(delivery: Delivery) -> pb.Delivery:
    """With its tries, if they were read."""
    attempts = [fill(pb.Attempt, attempt) for attempt in delivery.attempts]
    return fill(pb.Delivery, delivery, destination=delivery.address, attempts=attempts)


def to_channel(status: ChannelStatus) -> pb.Channel:
    """A channel with its settings and its record."""
    setting, hours = status.setting, status.setting.quiet_hours
    return fill(
        pb.Channel,
        status.record,
        name=status.name,
        configured=not status.missing_settings,
        missing_settings=status.missing_settings,
        destination=status.destination,
        destination_source=status.source,
        enabled=setting.enabled,
        quiet_hours=None if hours is None else fill(pb.QuietHours, hours),
        quiet_budget_count=setting.quiet_budget_count,
        quiet_now=status.quiet_now,
        etag=status.etag,
        health=status.health,
    )
