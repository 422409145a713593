"""Incidents over several messages: who hears that one is over, and that nothing of it goes on."""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from sonic.xcom.v1 import xcom_pb2 as pb

from shared.clock import PushedClock
from shared.errors import InvalidArgument
from tests.contract.xcom.conftest import House, hook_settings, mail_settings, twilio_settings
from tests.contract.xcom.test_escalating import by_reason, contact, set_chain
from tests.fakes.mail import FakeMailServer
from tests.fakes.twilio import FakeTwilio
from tests.fakes.webhook import FakeWebhook, Reply

KEY = "alert-5.1"


async def over(house: House, key: str = KEY, **fields: object) -> pb.Message:
    words = {
        "subject": "RESOLVED: SOL long travel 5 %",
        "incident_key": key,
        "ends_incident": True,
    } | fields
    return await house.send("LOW", **words)


def ways(message: pb.Message) -> list[tuple[str, str]]:
    return sorted((one.channel, one.contact) for one in message.deliveries)


async def test_the_end_goes_to_everybody_who_heard_and_to_nobody_else(
    house: House, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    await house.start(**hook_settings(hook), **mail_settings(mail))
    await set_chain(
        house,
        contact("jane", 60, email="one@example.org"),
        contact("joe", 600, email="two@example.org"),
    )
    raised = await house.send("HIGH", channels=["webhook"], incident_key=KEY)
    await house.push_until(lambda: len(mail.mails) == 1, 10)
    assert mail.mails[0].recipients == ["one@example.org"]
    # Level LOW is told by mail to the owner, who never heard of it.
    end = await over(house)
    assert (ways(end), end.channels_reason) == ([("email", "jane"), ("webhook", "")], "WHO_HEARD")
    await mail.wait_for(2)
    await hook.wait_for(2)
    assert mail.mails[1].recipients == ["one@example.org"]
    assert [one.body["subject"][:8] for one in hook.received] == ["SOL long", "RESOLVED"]
    for _ in range(20):
        await house.push(60)
        await house.channel("email")
    assert (len(mail.mails), len(hook.received)) == (2, 2)
    later = await house.stub.GetMessage(pb.GetMessageRequest(id=raised.id))
    assert not later.HasField("escalation_due_time")


async def test_the_end_of_what_nobody_heard_is_told_to_nobody_that_of_an_unknown_incident_as_ever(
    house: House, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    hook.answer = lambda _received: Reply(410)
    await house.start(**hook_settings(hook), **mail_settings(mail))
    # A LOW that dies on its way goes by no other.
    raised = await house.send("LOW", channels=["webhook"], incident_key=KEY)
    await house.push_until(lambda: len(hook.received) >= 1)
    while (await house.deliveries(raised.id))["webhook"].state != pb.DELIVERY_STATE_DEAD:
        await house.push(10)
    end = await over(house)
    assert (ways(end), end.suppressed_reason) == ([], "NOBODY_TOLD")
    unknown = await over(house, "alert-6.1")
    assert (ways(unknown), unknown.channels_reason) == ([("email", "")], "LEVEL_MAP")
    with pytest.raises(InvalidArgument, match="INVALID_FIELD"):
        await over(house, "")


async def test_an_escalation_that_waits_is_not_sent_after_the_end(
    house: House, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    mail.reply = "451 later"
    await house.start(**hook_settings(hook), **mail_settings(mail))
    await set_chain(
        house,
        contact("jane", 60, email="one@example.org"),
        contact("joe", 600, email="two@example.org"),
    )
    raised = await house.send("HIGH", channels=["webhook"], incident_key=KEY)
    while not (told := await by_reason(house, raised.id, "ESCALATION")) or not told[0].last_error:
        await house.push(5)
    assert ways(await over(house)) == [("webhook", "")]
    mail.reply = "250 OK"
    for _ in range(20):
        await house.push(60)
        await house.channel("email")
    (told,) = await by_reason(house, raised.id, "ESCALATION")
    assert (told.state, mail.mails) == (pb.DELIVERY_STATE_CANCELLED, [])


async def test_the_end_comes_after_what_is_being_sent_on_the_same_channel(
    house: House, hook: FakeWebhook
) -> None:
    gate = asyncio.Event()
    hook.answer = lambda _received: Reply(after=gate)
    await house.start(**hook_settings(hook))
    raised = await house.send("HIGH", channels=["webhook"], incident_key=KEY)
    await hook.wait_for(1)
    end = await over(house)
    assert [one.reason for one in end.deliveries] == [pb.DELIVERY_REASON_ACCEPTED]
    for _ in range(5):
        await house.push(1)
    assert len(hook.received) == 1
    gate.set()
    await house.push_until(lambda: len(hook.received) == 2)
    first = (await house.settled(raised.id, "webhook")).id
    assert hook.keys == [first, end.deliveries[0].id]
    assert (await house.deliveries(raised.id))["webhook"].state == pb.DELIVERY_STATE_SENT


async def test_an_end_makes_no_call_where_there_is_a_quieter_way(
    house: House, twilio: FakeTwilio
) -> None:
    await house.start(**twilio_settings(twilio))
    await house.send("HIGH", channels=["sms", "voice"], incident_key=KEY)
    assert ways(await over(house)) == [("sms", "")]
    await house.send("HIGH", channels=["voice"], incident_key="alert-6.1")
    assert ways(await over(house, "alert-6.1")) == [("voice", "")]


async def test_one_word_ends_several_incidents_for_all_who_heard_of_one(
    house: House, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    await house.start(**hook_settings(hook), **mail_settings(mail), xcom_escalation_seconds=30)
    high = await house.send("HIGH", channels=["webhook"], incident_key="alert-6.1")
    await house.send("MEDIUM", channels=["email"], incident_key=KEY)
    await mail.wait_for(1)
    end = await over(house, ended_incident_keys=["alert-6.1"])
    assert ways(end) == [("email", ""), ("webhook", "")]
    assert not (await house.stub.GetMessage(pb.GetMessageRequest(id=high.id))).HasField(
        "escalation_due_time"
    )


async def test_what_comes_late_of_an_incident_that_is_over_escalates_to_nobody(
    house: House, hook: FakeWebhook
) -> None:
    await house.start(**hook_settings(hook))
    await over(house)
    late = await house.send("HIGH", incident_key=KEY)
    assert late.deliveries
    kept = await house.stub.GetMessage(pb.GetMessageRequest(id=late.id))
    assert not kept.HasField("escalation_due_time")


async def settle(house: House, action: str, **fields: object) -> None:
    wanted = pb.IncidentAction.Value(f"INCIDENT_ACTION_{action}")
    await house.escalation.SettleIncident(
        pb.SettleIncidentRequest(incident_key=KEY, action=wanted, **fields)
    )


async def said(house: House, after: int = 0) -> list[pb.Acknowledgement]:
    request = pb.ListAcknowledgementsRequest(source="alerts", after_sequence=after)
    return list((await house.escalation.ListAcknowledgements(request)).acknowledgements)


async def due(house: House, message: pb.Message) -> bool:
    found = await house.stub.GetMessage(pb.GetMessageRequest(id=message.id))
    return found.HasField("escalation_due_time")


async def test_an_acknowledgement_is_of_the_incident_up_to_its_level_and_is_kept_for_its_source(
    house: House, hook: FakeWebhook
) -> None:
    await house.start(**hook_settings(hook))
    medium = await house.send("MEDIUM", incident_key=KEY, channels=["webhook"])
    first = await house.send("HIGH", incident_key=KEY)
    again = await house.send("HIGH", incident_key=KEY)
    other = await house.send("HIGH", incident_key="alert-6.1", source="monitor")
    # One incident, one chain.
    assert [await due(house, one) for one in (first, again, other)] == [True, False, True]
    await house.escalation.AckMessage(pb.AckMessageRequest(id=medium.id, by="jane"))
    assert await due(house, first), "what is worse was not acknowledged"
    await house.escalation.AckMessage(pb.AckMessageRequest(id=again.id, by="joe"))
    assert not await due(house, first)
    kept = await house.stub.GetMessage(pb.GetMessageRequest(id=first.id))
    assert (kept.acknowledged_by, kept.incident_key) == ("joe", KEY)
    assert await due(house, other)
    words = await said(house)
    assert [(one.incident_key, one.level, one.by) for one in words] == [
        (KEY, pb.LEVEL_MEDIUM, "jane"),
        (KEY, pb.LEVEL_HIGH, "joe"),
    ]
    assert [one.by for one in await said(house, words[0].sequence)] == ["joe"]


async def test_a_snooze_is_of_the_incident_and_is_kept_with_its_end(
    house: House, hook: FakeWebhook, clock: PushedClock
) -> None:
    await house.start(**hook_settings(hook))
    first = await house.send("HIGH", incident_key=KEY)
    again = await house.send("HIGH", incident_key=KEY)
    await house.escalation.AckMessage(
        pb.AckMessageRequest(id=again.id, snooze=Duration(seconds=900))
    )
    found = await house.stub.GetMessage(pb.GetMessageRequest(id=first.id))
    until_time = clock.now().replace(tzinfo=None).timestamp() + 900
    assert found.escalation_due_time.ToDatetime().timestamp() == pytest.approx(until_time, abs=1)
    (word,) = await said(house)
    assert word.snoozed_until_time == found.snoozed_until_time


async def test_what_its_source_heard_stops_a_chain_calls_back_what_waits_and_does_not_come_back(
    house: House, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    mail.reply = "451 later"
    await house.start(**hook_settings(hook), **mail_settings(mail))
    await set_chain(
        house,
        contact("jane", 60, email="one@example.org"),
        contact("joe", 600, email="two@example.org"),
    )
    message = await house.send("HIGH", channels=["webhook"], incident_key=KEY)
    while not (told := await by_reason(house, message.id, "ESCALATION")) or not told[0].last_error:
        await house.push(5)
    await settle(house, "ACKNOWLEDGE", by="Ann")
    # Also what is just being sent is not tried again.
    assert (await by_reason(house, message.id, "ESCALATION"))[
        0
    ].state == pb.DELIVERY_STATE_CANCELLED
    mail.reply = "250 OK"
    for _ in range(20):
        await house.push(60)
        await house.channel("email")
    (told,) = await by_reason(house, message.id, "ESCALATION")
    assert (told.state, told.last_error) == (pb.DELIVERY_STATE_CANCELLED, "acknowledged by Ann")
    assert not mail.mails
    found = await house.stub.GetMessage(pb.GetMessageRequest(id=message.id))
    assert (found.acknowledged_by, await said(house)) == ("Ann", [])


async def test_an_acknowledgement_taken_back_lets_the_chain_go_on_where_it_was(
    house: House, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    await house.start(**hook_settings(hook), **mail_settings(mail))
    await set_chain(
        house,
        contact("jane", 60, email="one@example.org"),
        contact("joe", 60, email="two@example.org"),
    )
    message = await house.send("HIGH", channels=["webhook"], incident_key=KEY)
    await house.push_until(lambda: len(mail.mails) == 1, 10)
    await settle(house, "ACKNOWLEDGE")
    assert not await due(house, message)
    await settle(house, "RELEASE")
    await house.push_until(lambda: len(mail.mails) == 2, 10)
    assert mail.mails[1].recipients == ["two@example.org"]


async def test_a_quiet_incident_begins_no_chain_until_its_quiet_ends_or_it_gets_worse(
    house: House, hook: FakeWebhook, clock: PushedClock
) -> None:
    await house.start(**hook_settings(hook))
    await settle(house, "SNOOZE", level=pb.LEVEL_MEDIUM)
    worse = await house.send("HIGH", incident_key=KEY)
    assert await due(house, worse)
    await settle(house, "ACKNOWLEDGE")
    assert not await due(house, await house.send("HIGH", incident_key=KEY))
    clock.advance(3600)
    assert await due(house, await house.send("HIGH", incident_key=KEY))
    await settle(house, "END")
    assert not await due(house, await house.send("HIGH", incident_key=KEY))


async def test_nothing_keeps_an_incident_quiet_for_more_than_a_week(
    house: House, hook: FakeWebhook, clock: PushedClock
) -> None:
    await house.start(**hook_settings(hook))
    first = await house.send("HIGH", incident_key=KEY)
    await settle(house, "SNOOZE", until_time=Timestamp(seconds=32503680000))
    found = await house.stub.GetMessage(pb.GetMessageRequest(id=first.id))
    left = found.escalation_due_time.ToDatetime(UTC) - clock.now()
    assert timedelta(days=6) < left <= timedelta(days=7)


async def test_an_acknowledged_digest_acknowledges_all_it_carries(
    house: House, twilio: FakeTwilio, clock: PushedClock
) -> None:
    await house.start(**twilio_settings(twilio))
    first = await house.send("HIGH", channels=["voice"])
    await house.settled(first.id, "voice")
    carried = [
        await house.send("HIGH", channels=["voice"], incident_key=f"alert-{n}.1") for n in (7, 8)
    ]
    await house.push_until(lambda: len(twilio.calls) == 2, 10)
    listed = await house.stub.ListMessages(pb.ListMessagesRequest(source="xcom"))
    await house.escalation.AckMessage(pb.AckMessageRequest(id=listed.messages[0].id, by="jane"))
    assert [await due(house, one) for one in carried] == [False, False]
    assert {one.incident_key for one in await said(house)} == {"alert-7.1", "alert-8.1"}


async def test_what_ended_before_it_could_be_told_is_told_once_as_such(
    house: House, twilio: FakeTwilio, clock: PushedClock
) -> None:
    await house.start(**twilio_settings(twilio))
    other = await house.send("HIGH", channels=["voice"])
    await house.settled(other.id, "voice")
    raised = await house.send(
        "HIGH", channels=["voice"], incident_key=KEY, subject="HIGH: SOL long travel -80 %"
    )
    end = await house.send(
        "LOW",
        subject="RESOLVED: SOL long travel 5 %",
        incident_key=KEY,
        ends_incident=True,
        facts={"previous_level": "HIGH"},
    )
    assert [(one.channel, one.reason) for one in end.deliveries] == [
        ("voice", pb.DELIVERY_REASON_ENDED_UNTOLD)
    ]
    await house.push_until(lambda: len(twilio.calls) == 2)
    assert (
        "Over before it was told, was High: SOL long travel 5 percent" in twilio.calls[1]["Twiml"]
    )
    clock.advance(400)
    await house.channel("voice")
    assert len(twilio.calls) == 2
    called_back = (await house.deliveries(raised.id))["voice"]
    assert (called_back.state, called_back.last_error) == (
        pb.DELIVERY_STATE_CANCELLED,
        "over before it was told",
    )


async def test_who_was_told_of_it_before_hears_a_plain_end(house: House, hook: FakeWebhook) -> None:
    hours = pb.QuietHours(start_minute=0, end_minute=1439)
    await house.start(**hook_settings(hook))
    first = await house.send("HIGH", channels=["webhook"], incident_key=KEY)
    await house.settled(first.id, "webhook")
    await house.set_channel("webhook", "quiet_hours", quiet_hours=hours)
    waiting = await house.send("MEDIUM", channels=["webhook"], incident_key=KEY)
    end = await over(house)
    assert [one.reason for one in end.deliveries] == [pb.DELIVERY_REASON_ACCEPTED]
    assert (await house.deliveries(waiting.id))["webhook"].state == pb.DELIVERY_STATE_CANCELLED
