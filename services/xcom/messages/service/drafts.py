"""The message that becomes of a draft, with its deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.xcom.domain.messages import (
    NO_CHANNEL,
    ChannelsReason,
    Choice,
    Delivery,
    DeliveryReason,
    Draft,
    Message,
)
from services.xcom.escalation.domain.incidents import NOBODY_TOLD, Recipient
from services.xcom.store.messages import Accepted
from shared.names import new_id
from shared.rpc import call

_AFTERWARDS = timedelta(seconds=1)


def message_of(
    draft: Draft, choice: Choice, recipients: Sequence[Recipient], now: datetime
) -> Message:
    """With a delivery to each of these, each route once."""
    message_id = new_id("msg")
    by_route = {one.route: one for one in reversed(recipients)}
    nobody = NOBODY_TOLD if choice.reason is ChannelsReason.WHO_HEARD else NO_CHANNEL
    deliveries = [_delivery(draft, message_id, one, now) for one in reversed(by_route.values())]
    kept = Accepted(message_id, now, "" if by_route else nobody, choice.reason.value)
    return message_as_kept(draft, kept, deliveries)


def message_as_kept(draft: Draft, kept: Accepted, deliveries: Sequence[Delivery] = ()) -> Message:
    """The message of a draft under the name that it was accepted by."""
    return Message(
        id=kept.message_id,
        request_id=draft.request_id,
        level=draft.level,
        subject=draft.subject,
        body=draft.body,
        source=draft.source,
        dedupe_key=draft.dedupe_key,
        facts=draft.facts,
        created_time=kept.created_time,
        suppressed_reason=kept.suppressed_reason,
        channels_reason=kept.channels_reason,
        incident_key=draft.incident_key,
        ends_incident=draft.ends_incident,
        kind=draft.kind,
        trace=call.trace(),
        deliveries=deliveries,
    )


def _delivery(draft: Draft, message_id: str, recipient: Recipient, now: datetime) -> Delivery:
    """Due now, or after what still waits there: nobody hears of an end first."""
    waits_until = recipient.waits_until
    return Delivery(
        id=new_id("dlv"),
        message_id=message_id,
        channel=recipient.route.channel,
        due_time=now if waits_until is None else max(now, waits_until + _AFTERWARDS),
        level=draft.level,
        subject=draft.subject,
        created_time=now,
        address=recipient.route.address,
        contact=recipient.contact,
        urgency=draft.urgency,
        reason=DeliveryReason.ENDED_UNTOLD if recipient.untold else DeliveryReason.ACCEPTED,
    )
