"""Incidents over several messages: who hears that one is over, and that nothing of it goes on."""

from __future__ import annotations

import pytest
from sonic.xcom.v1 import xcom_pb2 as pb

from shared.clock import PushedClock
from shared.errors import InvalidArgument
from tests.contract.xcom.conftest import House, hook_settings, mail_settings, twilio_settings
from tests.contract.xcom.test_escalating import by_reason, contact, set_chain
from tests.fakes.mail import FakeMailServer
from tests.fakes.twilio import FakeTwilio
from tests.fakes.webhook import OK, FakeWebhook, Reply

KEY = "alert-5.1"


async def over(house: House, key: str = KEY, **fields: object) -> pb.Message:
    words = {"subject": "RESOLVED: SOL long travel 5 %", "incident_key": key, "ends_incident": True} | fields
    return await house.send("LOW", **words)


def ways(message: pb.Message) -> list[tuple[str, str]]:
    return sorted((one.channel, one.contact) for one in message.deliveries)


async def test_the_end_goes_to_everybody_who_heard_and_to_nobody_else(
    house: House, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    await house.start(**hook_settings(hook), **mail_settings(mail))
    await set_chain(
        house, contact("jane", 60, email="one@example.org"), contact("joe", 600, email="two@example.org")
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
        clock.advance(60)
        await house.channel("email")
    assert (len(mail.mails), len(hook.received)) == (2, 2)
    later = await house.stub.GetMessage(pb.GetMessageRequest(id=raised.id))
    assert not later.HasField("escalation_due_time")


async def test_the_end_of_what_nobody_heard_is_told_to_nobody_and_that_of_an_unknown_incident_as_ever(
    house: House, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    hook.answer = lambda _received: Reply(410)
    await house.start(**hook_settings(hook), **mail_settings(mail))
    raised = await house.send("MEDIUM", channels=["webhook"], incident_key=KEY)
    await house.push_until(lambda: len(hook.received) >= 1)
    while (await house.deliveries(raised.id))["webhook"].state != pb.DELIVERY_STATE_DEAD:
        house.clock.advance(10)
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
    await set_chain(house, contact("jane", 60, email="one@example.org"))
    raised = await house.send("HIGH", channels=["webhook"], incident_key=KEY)
    while not (told := await by_reason(house, raised.id, "ESCALATION")) or not told[0].last_error:
        clock.advance(5)
    assert ways(await over(house)) == [("webhook", "")]
    mail.reply = "250 OK"
    for _ in range(20):
        clock.advance(60)
        await house.channel("email")
    (told,) = await by_reason(house, raised.id, "ESCALATION")
    assert (told.state, mail.mails) == (pb.DELIVERY_STATE_CANCELLED, [])


async def test_the_end_comes_after_what_still_waits_on_the_same_channel(
    house: House, hook: FakeWebhook
) -> None:
    hook.answer = lambda _received: Reply(503)
    await house.start(**hook_settings(hook))
    raised = await house.send("HIGH", channels=["webhook"], incident_key=KEY)
    await house.settled(raised.id, "webhook")
    end = await over(house)
    hook.answer = lambda _received: OK
    await house.push_until(lambda: len(hook.received) == 3)
    first = (await house.settled(raised.id, "webhook", tries=2)).id
    assert hook.keys == [first, first, end.deliveries[0].id]


async def test_an_end_makes_no_call_where_there_is_a_quieter_way(house: House, twilio: FakeTwilio) -> None:
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
    assert not (await house.stub.GetMessage(pb.GetMessageRequest(id=high.id))).HasField("escalation_due_time")


async def test_what_comes_late_of_an_incident_that_is_over_escalates_to_nobody(
    house: House, hook: FakeWebhook
) -> None:
    await house.start(**hook_settings(hook))
    await over(house)
    late = await house.send("HIGH", incident_key=KEY)
    assert late.deliveries
    kept = await house.stub.GetMessage(pb.GetMessageRequest(id=late.id))
    assert not kept.HasField("escalation_due_time")
