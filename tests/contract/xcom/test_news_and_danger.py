"""News never rings and never stands in the way of danger; the worst goes first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sonic.xcom.v1 import xcom_pb2 as pb

from services.xcom.calls.service.calls import CallService
from services.xcom.deliveries.service.counts import DeliveryCounts
from services.xcom.deliveries.service.deliveries import DeliveryService, QueueRules
from services.xcom.domain.messages import Draft, Kind, Level
from services.xcom.domain.settings import LevelDefaults
from services.xcom.escalation.service.links import Links
from services.xcom.messages.service.messages import MessageService
from services.xcom.senders.registry import Channels, ChannelSettings
from services.xcom.store.calls import CallStore
from services.xcom.store.deliveries import DeliveryStore
from services.xcom.store.messages import MessageStore
from services.xcom.store.queue import Queue
from shared.clock import PushedClock
from shared.database.pool import Database
from shared.metrics import Metrics
from tests.contract.xcom.conftest import Xcom, hook_settings, mail_settings, twilio_settings
from tests.fakes.mail import FakeMailServer
from tests.fakes.twilio import FakeTwilio
from tests.fakes.webhook import FakeWebhook, Reply

NEWS = pb.KIND_NEWS


@pytest.mark.parametrize("level", ["LOW", "MEDIUM", "HIGH"])
async def test_a_profit_is_mailed_and_rings_nobody(
    xcom: Xcom, twilio: FakeTwilio, mail: FakeMailServer, level: str
) -> None:
    await xcom.start(**twilio_settings(twilio), **mail_settings(mail), xcom_sound=True)
    message = await xcom.send(level, kind=NEWS, subject=f"{level}: SOL long profit 60 USD")
    assert [one.channel for one in message.deliveries] == ["email"]
    assert message.kind == NEWS
    assert not message.HasField("escalation_due_time")
    await mail.wait_for(1)
    assert not twilio.received


async def test_news_that_reaches_nobody_wakes_nobody_either(
    xcom: Xcom, twilio: FakeTwilio, hook: FakeWebhook
) -> None:
    hook.answer = lambda _received: Reply(410)
    await xcom.start(**twilio_settings(twilio), **hook_settings(hook))
    message = await xcom.send("HIGH", kind=NEWS)
    dead = await xcom.refused(message.id, "webhook")
    assert dead.state == pb.DELIVERY_STATE_DEAD
    assert [*await xcom.deliveries(message.id)] == ["webhook"]
    assert not twilio.received


async def test_news_takes_a_phone_that_is_named(xcom: Xcom, twilio: FakeTwilio) -> None:
    await xcom.start(**twilio_settings(twilio))
    message = await xcom.send("LOW", kind=NEWS, channels=["sms"])
    await xcom.settled(message.id, "sms")
    assert len(twilio.texts) == 1


async def test_danger_is_claimed_before_news_and_the_nearest_to_liquidation_first(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock
) -> None:
    database = Database(xcom.database_url)
    channels = Channels(ChannelSettings.model_validate(hook_settings(hook)), clock).by_name
    accepting = MessageService(
        database.open(MessageStore),
        database.open(MessageStore),
        channels,
        LevelDefaults(dict.fromkeys(Level, ("webhook",))),
        timedelta(seconds=300),
        timedelta(seconds=300),
        lambda _urgent: None,
        clock,
        "elsewhere",
        kept=timedelta(days=90),
        accepted=lambda _level: None,
    )
    for name, level, kind, distance in (
        ("profit", Level.HIGH, Kind.NEWS, "0.1"),
        ("resolved", Level.LOW, Kind.DANGER, ""),
        ("far", Level.HIGH, Kind.DANGER, "6"),
        ("unknown", Level.HIGH, Kind.DANGER, ""),
        ("past", Level.HIGH, Kind.DANGER, "-1"),
        ("near", Level.HIGH, Kind.DANGER, "0.5"),
        ("medium", Level.MEDIUM, Kind.DANGER, "8"),
    ):
        facts = {"liquidation_distance_percent": distance} if distance else {}
        await accepting.send(Draft(name, level, name, "", "alerts", facts=facts, kind=kind))
    claimed = []
    for urgent in (True, False):
        sender = DeliveryService(
            database.open(DeliveryStore),
            Queue(database),
            channels,
            QueueRules(urgent=urgent),
            Links("", timedelta(days=1)),
            CallService(database.open(CallStore), channels, clock),
            DeliveryCounts(Metrics(), channels),
            clock,
        )
        claimed.append([attempt.subject for attempt in (await sender.claim({})).attempts])
    await database.stop()
    assert claimed == [["past", "near", "far", "unknown"], ["medium", "resolved", "profit"]]


async def test_what_waits_together_is_told_worst_first(xcom: Xcom, hook: FakeWebhook) -> None:
    await xcom.start(**hook_settings(hook), xcom_budget_count=10, xcom_budget_reserve=9)
    await xcom.send("LOW", channels=["webhook"])
    await hook.wait_for(1)
    for number in range(3):
        await xcom.send("HIGH", kind=NEWS, channels=["webhook"], subject=f"profit {number}")
    facts = {"event": "RAISED", "asset": "ETH", "side": "LONG", "liquidation_distance_percent": "9"}
    await xcom.send("MEDIUM", channels=["webhook"], subject="MEDIUM: ETH long travel", facts=facts)
    await xcom.push_until(lambda: len(hook.received) == 2, 5)
    digest = hook.received[1].body
    assert digest["subject"] == (
        "MEDIUM: 4 messages: ETH long 9 % to liquidation, check now; profit 0; profit 1; and 1 more"
    )
    assert digest["facts"]["message_count"] == "4"


async def test_simulated_data_is_called_so_in_every_text(
    xcom: Xcom, twilio: FakeTwilio, mail: FakeMailServer, hook: FakeWebhook
) -> None:
    ringing = {"xcom_demo_channels": ("sms", "voice")}
    await xcom.start(
        **twilio_settings(twilio), **mail_settings(mail), **hook_settings(hook), **ringing
    )
    message = await xcom.send(
        "HIGH",
        subject="HIGH: SOL long travel -80 %",
        facts={"demo": "true"},
        channels=["sms", "voice", "email", "webhook"],
    )
    for channel in ("sms", "voice", "email", "webhook"):
        await xcom.settled(message.id, channel)
    assert twilio.texts[0]["Body"].startswith("DEMO HIGH: SOL long")
    assert "Sonic. Demo, simulated data." in twilio.calls[0]["Twiml"]
    (received,) = mail.mails
    assert str(received.message["Subject"]).startswith("DEMO HIGH: ")
    assert received.text.startswith("DEMO: simulated data")
    assert hook.received[0].body["subject"].startswith("DEMO HIGH: ")
    assert hook.received[0].body["body"].startswith("DEMO: simulated data")
    assert message.subject.startswith("DEMO ")
