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
from tests.contract.xcom.conftest import Xcom, hook_settings, mail_settings, twilio_settings, until
from tests.contract.xcom.test_escalating import by_reason, contact, set_chain
from tests.fakes.mail import FakeMailServer
from tests.fakes.twilio import FakeTwilio
from tests.fakes.webhook import FakeWebhook, Reply

KEY = "alert-5.1"


async def over(xcom: Xcom, key: str = KEY, **fields: object) -> pb.Message:
    words = {
        "subject": "RESOLVED: SOL long travel 5 %",
        "incident_key": key,
        "ends_incident": True,
    } | fields
    return await xcom.send("LOW", **words)


def ways(message: pb.Message) -> list[tuple[str, str]]:
    return sorted((one.channel, one.contact) for one in message.deliveries)


async def failed_escalation(xcom: Xcom, message_id: str) -> None:
    """Pushes until the first contact was tried: a second try under way may have been heard."""
    while not await by_reason(xcom, message_id, "ESCALATION"):
        await xcom.push(5)

    async def has_failed() -> bool | None:
        (found,) = await by_reason(xcom, message_id, "ESCALATION")
        return bool(found.last_error) or None

    await until(has_failed)


async def test_the_end_goes_to_everybody_who_heard_and_to_nobody_else(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    await set_chain(
        xcom,
        contact("jane", 60, email="one@example.org"),
        contact("joe", 600, email="two@example.org"),
    )
    raised = await xcom.send("HIGH", channels=["webhook"], incident_key=KEY)
    await xcom.push_until(lambda: len(mail.mails) == 1, 10)
    assert mail.mails[0].recipients == ["one@example.org"]
    # The end waits behind what is not known to have arrived.
    await xcom.settled(raised.id, "email")
    # Level LOW is told by mail to the owner, who never heard of it.
    end = await over(xcom)
    assert (ways(end), end.channels_reason) == ([("email", "jane"), ("webhook", "")], "WHO_HEARD")
    await mail.wait_for(2)
    await hook.wait_for(2)
    assert mail.mails[1].recipients == ["one@example.org"]
    assert [one.body["subject"][:8] for one in hook.received] == ["SOL long", "RESOLVED"]
    for _ in range(20):
        await xcom.push(60)
        await xcom.channel("email")
    assert (len(mail.mails), len(hook.received)) == (2, 2)
    later = await xcom.stub.GetMessage(pb.GetMessageRequest(id=raised.id))
    assert not later.HasField("escalation_due_time")


async def test_the_end_of_what_nobody_heard_is_told_to_nobody_that_of_an_unknown_incident_as_ever(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    hook.answer = lambda _received: Reply(410)
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    # A LOW that dies on its way goes by no other.
    raised = await xcom.send("LOW", channels=["webhook"], incident_key=KEY)
    await xcom.push_until(lambda: len(hook.received) >= 1)
    while (await xcom.deliveries(raised.id))["webhook"].state != pb.DELIVERY_STATE_DEAD:
        await xcom.push(10)
    end = await over(xcom)
    assert (ways(end), end.suppressed_reason) == ([], "NOBODY_TOLD")
    unknown = await over(xcom, "alert-6.1")
    assert (ways(unknown), unknown.channels_reason) == ([("email", "")], "LEVEL_MAP")
    with pytest.raises(InvalidArgument, match="INVALID_FIELD"):
        await over(xcom, "")


@pytest.mark.slow
async def test_an_escalation_that_waits_is_not_sent_after_the_end(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    mail.reply = "451 later"
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    await set_chain(
        xcom,
        contact("jane", 60, email="one@example.org"),
        contact("joe", 600, email="two@example.org"),
    )
    raised = await xcom.send("HIGH", channels=["webhook"], incident_key=KEY)
    await failed_escalation(xcom, raised.id)
    assert ways(await over(xcom)) == [("webhook", "")]
    mail.reply = "250 OK"
    for _ in range(20):
        await xcom.push(60)
        await xcom.channel("email")
    (notified,) = await by_reason(xcom, raised.id, "ESCALATION")
    assert (notified.state, mail.mails) == (pb.DELIVERY_STATE_CANCELLED, [])


async def test_the_end_comes_after_what_is_being_sent_on_the_same_channel(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    gate = asyncio.Event()
    hook.answer = lambda _received: Reply(after=gate)
    await xcom.start(**hook_settings(hook))
    raised = await xcom.send("HIGH", channels=["webhook"], incident_key=KEY)
    await hook.wait_for(1)
    end = await over(xcom)
    assert [one.reason for one in end.deliveries] == [pb.DELIVERY_REASON_ACCEPTED]
    for _ in range(5):
        await xcom.push(1)
    assert len(hook.received) == 1
    gate.set()
    await xcom.push_until(lambda: len(hook.received) == 2)
    first = (await xcom.settled(raised.id, "webhook")).id
    assert hook.keys == [first, end.deliveries[0].id]
    assert (await xcom.deliveries(raised.id))["webhook"].state == pb.DELIVERY_STATE_SENT


async def test_an_end_makes_no_call_where_there_is_a_quieter_way(
    xcom: Xcom, twilio: FakeTwilio
) -> None:
    await xcom.start(**twilio_settings(twilio))
    await xcom.send("HIGH", channels=["sms", "voice"], incident_key=KEY)
    assert ways(await over(xcom)) == [("sms", "")]
    await xcom.send("HIGH", channels=["voice"], incident_key="alert-6.1")
    assert ways(await over(xcom, "alert-6.1")) == [("voice", "")]


async def test_one_word_ends_several_incidents_for_all_who_heard_of_one(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    await xcom.start(**hook_settings(hook), **mail_settings(mail), xcom_escalation_seconds=30)
    high = await xcom.send("HIGH", channels=["webhook"], incident_key="alert-6.1")
    await xcom.send("MEDIUM", channels=["email"], incident_key=KEY)
    await mail.wait_for(1)
    end = await over(xcom, ended_incident_keys=["alert-6.1"])
    assert ways(end) == [("email", ""), ("webhook", "")]
    assert not (await xcom.stub.GetMessage(pb.GetMessageRequest(id=high.id))).HasField(
        "escalation_due_time"
    )


async def test_what_comes_late_of_an_incident_that_is_over_escalates_to_nobody(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    await xcom.start(**hook_settings(hook))
    await over(xcom)
    late = await xcom.send("HIGH", incident_key=KEY)
    assert late.deliveries
    kept = await xcom.stub.GetMessage(pb.GetMessageRequest(id=late.id))
    assert not kept.HasField("escalation_due_time")


async def settle(xcom: Xcom, action: str, **fields: object) -> None:
    wanted = pb.IncidentAction.Value(f"INCIDENT_ACTION_{action}")
    await xcom.escalation.SettleIncident(
        pb.SettleIncidentRequest(incident_key=KEY, action=wanted, **fields)
    )


async def said(xcom: Xcom, after: int = 0) -> list[pb.Acknowledgement]:
    request = pb.ListAcknowledgementsRequest(source="alerts", after_sequence=after)
    return list((await xcom.escalation.ListAcknowledgements(request)).acknowledgements)


async def due(xcom: Xcom, message: pb.Message) -> bool:
    found = await xcom.stub.GetMessage(pb.GetMessageRequest(id=message.id))
    return found.HasField("escalation_due_time")


async def test_an_acknowledgement_is_of_the_incident_up_to_its_level_and_is_kept_for_its_source(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    await xcom.start(**hook_settings(hook))
    medium = await xcom.send("MEDIUM", incident_key=KEY, channels=["webhook"])
    first = await xcom.send("HIGH", incident_key=KEY)
    again = await xcom.send("HIGH", incident_key=KEY)
    other = await xcom.send("HIGH", incident_key="alert-6.1", source="monitor")
    # One incident, one chain.
    assert [await due(xcom, one) for one in (first, again, other)] == [True, False, True]
    await xcom.escalation.AckMessage(pb.AckMessageRequest(id=medium.id, by="jane"))
    assert await due(xcom, first), "what is worse was not acknowledged"
    await xcom.escalation.AckMessage(pb.AckMessageRequest(id=again.id, by="joe"))
    assert not await due(xcom, first)
    kept = await xcom.stub.GetMessage(pb.GetMessageRequest(id=first.id))
    assert (kept.acknowledged_by, kept.incident_key) == ("joe", KEY)
    assert await due(xcom, other)
    words = await said(xcom)
    assert [(one.incident_key, one.level, one.by) for one in words] == [
        (KEY, pb.LEVEL_MEDIUM, "jane"),
        (KEY, pb.LEVEL_HIGH, "joe"),
    ]
    assert [one.by for one in await said(xcom, words[0].sequence)] == ["joe"]


async def test_a_snooze_is_of_the_incident_and_is_kept_with_its_end(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock
) -> None:
    await xcom.start(**hook_settings(hook))
    first = await xcom.send("HIGH", incident_key=KEY)
    again = await xcom.send("HIGH", incident_key=KEY)
    await xcom.escalation.AckMessage(
        pb.AckMessageRequest(id=again.id, snooze=Duration(seconds=900))
    )
    found = await xcom.stub.GetMessage(pb.GetMessageRequest(id=first.id))
    until_time = clock.now().replace(tzinfo=None).timestamp() + 900
    assert found.escalation_due_time.ToDatetime().timestamp() == pytest.approx(until_time, abs=1)
    (word,) = await said(xcom)
    assert word.snoozed_until_time == found.snoozed_until_time


@pytest.mark.slow
async def test_what_its_source_heard_stops_a_chain_calls_back_what_waits_and_does_not_come_back(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    mail.reply = "451 later"
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    await set_chain(
        xcom,
        contact("jane", 60, email="one@example.org"),
        contact("joe", 600, email="two@example.org"),
    )
    message = await xcom.send("HIGH", channels=["webhook"], incident_key=KEY)
    await failed_escalation(xcom, message.id)
    await settle(xcom, "ACKNOWLEDGE", by="Ann")
    # Also what is just being sent is not tried again.
    assert (await by_reason(xcom, message.id, "ESCALATION"))[0].state == pb.DELIVERY_STATE_CANCELLED
    mail.reply = "250 OK"
    for _ in range(20):
        await xcom.push(60)
        await xcom.channel("email")
    (notified,) = await by_reason(xcom, message.id, "ESCALATION")
    assert (notified.state, notified.last_error) == (
        pb.DELIVERY_STATE_CANCELLED,
        "acknowledged by Ann",
    )
    assert not mail.mails
    found = await xcom.stub.GetMessage(pb.GetMessageRequest(id=message.id))
    assert (found.acknowledged_by, await said(xcom)) == ("Ann", [])


async def test_an_acknowledgement_taken_back_lets_the_chain_go_on_where_it_was(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    await set_chain(
        xcom,
        contact("jane", 60, email="one@example.org"),
        contact("joe", 60, email="two@example.org"),
    )
    message = await xcom.send("HIGH", channels=["webhook"], incident_key=KEY)
    await xcom.push_until(lambda: len(mail.mails) == 1, 10)
    await settle(xcom, "ACKNOWLEDGE")
    assert not await due(xcom, message)
    await settle(xcom, "RELEASE")
    await xcom.push_until(lambda: len(mail.mails) == 2, 10)
    assert mail.mails[1].recipients == ["two@example.org"]


async def test_a_quiet_incident_begins_no_chain_until_its_quiet_ends_or_it_gets_worse(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock
) -> None:
    await xcom.start(**hook_settings(hook))
    await settle(xcom, "SNOOZE", level=pb.LEVEL_MEDIUM)
    worse = await xcom.send("HIGH", incident_key=KEY)
    assert await due(xcom, worse)
    await settle(xcom, "ACKNOWLEDGE")
    assert not await due(xcom, await xcom.send("HIGH", incident_key=KEY))
    clock.advance(3600)
    assert await due(xcom, await xcom.send("HIGH", incident_key=KEY))
    await settle(xcom, "END")
    assert not await due(xcom, await xcom.send("HIGH", incident_key=KEY))


async def test_a_quiet_of_a_clock_that_was_ahead_is_none_once_it_is_set_right(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock
) -> None:
    await xcom.start(**hook_settings(hook))
    right = clock.now()
    clock.set_time(right + timedelta(days=2))
    await settle(xcom, "ACKNOWLEDGE")
    assert not await due(xcom, await xcom.send("HIGH", incident_key=KEY))
    clock.set_time(right)
    assert await due(xcom, await xcom.send("HIGH", incident_key=KEY))


async def test_nothing_keeps_an_incident_quiet_for_more_than_a_week(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock
) -> None:
    await xcom.start(**hook_settings(hook))
    first = await xcom.send("HIGH", incident_key=KEY)
    await settle(xcom, "SNOOZE", until_time=Timestamp(seconds=32503680000))
    found = await xcom.stub.GetMessage(pb.GetMessageRequest(id=first.id))
    left = found.escalation_due_time.ToDatetime(UTC) - clock.now()
    assert timedelta(days=6) < left <= timedelta(days=7)


async def test_an_acknowledged_digest_acknowledges_all_it_carries(
    xcom: Xcom, twilio: FakeTwilio, clock: PushedClock
) -> None:
    await xcom.start(**twilio_settings(twilio))
    first = await xcom.send("HIGH", channels=["voice"])
    await xcom.settled(first.id, "voice")
    carried = [
        await xcom.send("HIGH", channels=["voice"], incident_key=f"alert-{n}.1") for n in (7, 8)
    ]
    await xcom.push_until(lambda: len(twilio.calls) == 2, 10)
    listed = await xcom.stub.ListMessages(pb.ListMessagesRequest(source="xcom"))
    await xcom.escalation.AckMessage(pb.AckMessageRequest(id=listed.messages[0].id, by="jane"))
    assert [await due(xcom, one) for one in carried] == [False, False]
    assert {one.incident_key for one in await said(xcom)} == {"alert-7.1", "alert-8.1"}


async def test_what_ended_before_it_could_be_told_is_told_once_as_such(
    xcom: Xcom, twilio: FakeTwilio, clock: PushedClock
) -> None:
    await xcom.start(**twilio_settings(twilio))
    other = await xcom.send("HIGH", channels=["voice"])
    await xcom.settled(other.id, "voice")
    raised = await xcom.send(
        "HIGH", channels=["voice"], incident_key=KEY, subject="HIGH: SOL long travel -80 %"
    )
    end = await xcom.send(
        "LOW",
        subject="RESOLVED: SOL long travel 5 %",
        incident_key=KEY,
        ends_incident=True,
        facts={"previous_level": "HIGH"},
    )
    assert [(one.channel, one.reason) for one in end.deliveries] == [
        ("voice", pb.DELIVERY_REASON_ENDED_UNTOLD)
    ]
    await xcom.push_until(lambda: len(twilio.calls) == 2, 10)
    assert (
        "Over before it was told, was High: SOL long travel 5 percent" in twilio.calls[1]["Twiml"]
    )
    clock.advance(400)
    await xcom.channel("voice")
    assert len(twilio.calls) == 2
    called_back = (await xcom.deliveries(raised.id))["voice"]
    assert (called_back.state, called_back.last_error) == (
        pb.DELIVERY_STATE_CANCELLED,
        "over before it was told",
    )


async def test_who_was_told_of_it_before_hears_a_plain_end(xcom: Xcom, hook: FakeWebhook) -> None:
    hours = pb.QuietHours(start_minute=0, end_minute=1439)
    await xcom.start(**hook_settings(hook))
    first = await xcom.send("HIGH", channels=["webhook"], incident_key=KEY)
    await xcom.settled(first.id, "webhook")
    await xcom.set_channel("webhook", "quiet_hours", quiet_hours=hours)
    waiting = await xcom.send("MEDIUM", channels=["webhook"], incident_key=KEY)
    end = await over(xcom)
    assert [one.reason for one in end.deliveries] == [pb.DELIVERY_REASON_ACCEPTED]
    assert (await xcom.deliveries(waiting.id))["webhook"].state == pb.DELIVERY_STATE_CANCELLED


async def test_every_payload_says_why_it_comes_now(xcom: Xcom, hook: FakeWebhook) -> None:
    await xcom.start(**hook_settings(hook))
    fields = {"channels": ["webhook"], "incident_key": "reasons"}
    said = []
    for level, ends in (("LOW", False), ("LOW", False), ("HIGH", False), ("LOW", True)):
        message = await xcom.send(level, ends_incident=ends, **fields)
        await xcom.settled(message.id, "webhook")
        said.append(hook.received[-1].body["reason"])
    assert said == ["RAISED", "REPEATED", "WORSE", "RESOLVED"]
