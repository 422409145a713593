"""What waits is called back by what is known of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.xcom.domain.messages import RINGING, DeliveryReason
from services.xcom.escalation.domain.recalls import CarriedMessage, Recall, WaitingDelivery, recall

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
LATER, LATEST = NOW + timedelta(minutes=15), NOW + timedelta(hours=1)
OVER, KNOWN, OPEN = CarriedMessage(is_over=True), CarriedMessage(known_by="jane"), CarriedMessage()
SNOOZED = CarriedMessage(snoozed_until_time=LATER)


def decided(channel: str, reason: DeliveryReason, *carried: CarriedMessage) -> Recall | None:
    return recall(WaitingDelivery("d", channel, reason, carried), NOW)


@pytest.mark.parametrize("channel", ["email", "webhook", "sms", "voice", "sound"])
def test_what_is_over_is_sent_nowhere(channel: str) -> None:
    assert decided(channel, DeliveryReason.ACCEPTED, OVER) == Recall("d", "over before it was told")
    assert decided(channel, DeliveryReason.ESCALATION, OVER) == Recall("d", "over before its turn")


@pytest.mark.parametrize("channel", ["email", "webhook", "sms", "voice", "sound"])
def test_what_is_known_rings_nobody_and_goes_to_nobody_else_but_is_on_record(channel: str) -> None:
    gone = Recall("d", "acknowledged by jane")
    assert decided(channel, DeliveryReason.ACCEPTED, KNOWN) == (
        gone if channel in RINGING else None
    )
    assert decided(channel, DeliveryReason.ESCALATION, KNOWN) == gone
    assert decided(channel, DeliveryReason.FALLBACK, KNOWN) == gone


def test_a_digest_goes_on_as_long_as_one_of_what_it_carries_does() -> None:
    digest = DeliveryReason.DIGEST
    assert decided("sms", digest, OVER, OPEN) is None
    assert decided("sms", digest, KNOWN, OPEN) is None
    assert decided("sms", digest, SNOOZED, OPEN) is None
    assert decided("sms", digest, OVER, KNOWN) == Recall("d", "acknowledged by jane")
    assert decided("email", digest, OVER, KNOWN) is None
    assert decided("sms", digest, KNOWN, SNOOZED) == Recall("d", until_time=LATER)
    assert decided("sms", digest, SNOOZED, CarriedMessage(snoozed_until_time=LATEST)) == Recall(
        "d", until_time=LATER
    )


def test_a_snooze_that_is_over_holds_nothing() -> None:
    assert decided("voice", DeliveryReason.ACCEPTED, CarriedMessage(snoozed_until_time=NOW)) is None
    assert decided("email", DeliveryReason.ACCEPTED, SNOOZED) is None
