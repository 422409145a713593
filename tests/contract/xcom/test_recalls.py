"""What is over is told to nobody as if it still were, and what somebody knows of rings nobody."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from google.protobuf.duration_pb2 import Duration
from sonic.xcom.v1 import xcom_pb2 as pb

from tests.contract.xcom.conftest import Xcom, hook_settings, mail_settings, twilio_settings
from tests.contract.xcom.test_incidents import KEY, over
from tests.fakes.mail import FakeMailServer
from tests.fakes.twilio import FakeTwilio, answer
from tests.fakes.webhook import OK, FakeWebhook, Reply


async def acknowledge(xcom: Xcom, message: pb.Message, **fields: object) -> None:
    await xcom.escalation.AckMessage(pb.AckMessageRequest(id=message.id, by="jane", **fields))


async def a_while(xcom: Xcom, step_seconds: float, count: int = 40) -> None:
    for _ in range(count):
        await xcom.push(step_seconds)


def said(twilio: FakeTwilio) -> list[str]:
    return [text["Body"][:8] for text in twilio.texts]


async def test_what_ended_between_two_tries_is_told_as_over_and_no_more_as_it_was(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    hook.answer = lambda _received: Reply(503)
    await xcom.start(**hook_settings(hook))
    raised = await xcom.send("HIGH", channels=["webhook"], incident_key=KEY)
    await xcom.settled(raised.id, "webhook")
    end = await over(xcom)
    assert [one.reason for one in end.deliveries] == [pb.DELIVERY_REASON_ENDED_UNTOLD]
    await hook.wait_for(2)
    hook.answer = lambda _received: OK
    await a_while(xcom, 2)
    assert hook.keys[1:] == [end.deliveries[0].id] * 2
    assert (await xcom.deliveries(raised.id))["webhook"].last_error == "over before it was told"


async def test_an_end_that_waits_is_not_told_after_it_has_begun_again(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    first = await xcom.send("HIGH", channels=["webhook", "email"], incident_key=KEY)
    await xcom.settled(first.id, "webhook")
    await xcom.settled(first.id, "email")
    hook.answer, mail.reply = lambda _received: Reply(503), "451 later"
    end = await over(xcom)
    for channel in ("webhook", "email"):
        await xcom.settled(end.id, channel)
    again = {"incident_key": "alert-5.2", "follows_incident_key": KEY, "subject": "HIGH: again"}
    second = await xcom.send("HIGH", channels=["webhook"], **again)
    hook.answer, mail.reply = lambda _received: OK, "250 OK"
    await a_while(xcom, 2)
    assert hook.received[-1].body["subject"] == second.subject
    gone = (await xcom.deliveries(end.id))["webhook"]
    assert (gone.state, gone.last_error) == (pb.DELIVERY_STATE_CANCELLED, "it has begun again")
    # Where nothing newer is told the end still counts.
    assert mail.mails[-1].message["Subject"] == end.subject


async def test_a_request_takes_the_place_of_earlier_ones_of_its_source_that_wait(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    hook.answer = lambda _received: Reply(503)
    await xcom.start(**hook_settings(hook))
    way = {"channels": ["webhook"]}
    named, other, foreign = [
        await xcom.send("LOW", source=source, **way) for source in ("alerts", "alerts", "monitor")
    ]
    for one in (named, other, foreign):
        await xcom.settled(one.id, "webhook")
    ids = [named.request_id, foreign.request_id, "never-sent"]
    await xcom.send("HIGH", superseded_request_ids=ids, **way)
    states = [(await xcom.deliveries(one.id))["webhook"].state for one in (named, other, foreign)]
    waits = pb.DELIVERY_STATE_QUEUED
    assert states == [pb.DELIVERY_STATE_CANCELLED, waits, waits]


async def test_a_text_that_fails_on_its_way_after_the_end_is_not_sent_again(
    xcom: Xcom, twilio: FakeTwilio
) -> None:
    twilio.standing["Messages"] = "sent"
    await xcom.start(**twilio_settings(twilio))
    raised = await xcom.send("HIGH", channels=["sms"], incident_key=KEY)
    await xcom.settled(raised.id, "sms")
    await over(xcom)
    twilio.standing["M1"] = "undelivered"
    await a_while(xcom, 2)
    assert said(twilio) == ["SOL long", "RESOLVED"]
    assert (await xcom.deliveries(raised.id))["sms"].state == pb.DELIVERY_STATE_CANCELLED


async def a_digest_that_fails(xcom: Xcom, twilio: FakeTwilio) -> pb.Message:
    """The first of two dangers that a digest holds, whose first try was refused."""
    await xcom.start(**twilio_settings(twilio))
    other = await xcom.send("HIGH", channels=["sms"])
    await xcom.settled(other.id, "sms")
    first = await xcom.send("HIGH", channels=["sms"], incident_key=KEY)
    await xcom.send("HIGH", channels=["sms"], incident_key="alert-9.1", subject="HIGH: BTC long")
    twilio.refusal = answer(503, {})
    await xcom.push_until(lambda: len(twilio.texts) == 2)
    return first


@pytest.mark.slow
async def test_the_end_comes_after_a_digest_that_holds_the_beginning_however_often_that_fails(
    xcom: Xcom, twilio: FakeTwilio
) -> None:
    first = await a_digest_that_fails(xcom, twilio)
    assert (await xcom.deliveries(first.id))["sms"].state == pb.DELIVERY_STATE_GROUPED
    await over(xcom)
    await xcom.push_until(lambda: len(twilio.texts) == 3)
    twilio.refusal = None
    await a_while(xcom, 2)
    assert said(twilio) == ["SOL long", *["HIGH: 2 "] * 3, "RESOLVED"]


@pytest.mark.slow
async def test_an_end_and_its_digest_that_are_long_due_are_told_in_their_order(
    xcom: Xcom, twilio: FakeTwilio
) -> None:
    await a_digest_that_fails(xcom, twilio)
    await over(xcom)
    twilio.refusal = None
    # As after a pause of the machine: both workers find what they may send at the same moment.
    await xcom.push(600)
    await a_while(xcom, 2)
    assert said(twilio) == ["SOL long", *["HIGH: 2 "] * 2, "RESOLVED"]


@pytest.mark.slow
async def test_the_end_does_not_overtake_a_digest_that_is_being_sent(
    xcom: Xcom, twilio: FakeTwilio
) -> None:
    await a_digest_that_fails(xcom, twilio)
    await over(xcom)
    gate = asyncio.Event()
    twilio.refusal = replace(answer(503, {}), after=gate)
    await xcom.push_until(lambda: len(twilio.texts) == 3)
    for _ in range(5):
        await xcom.push(1)
    assert said(twilio) == ["SOL long", *["HIGH: 2 "] * 2]
    gate.set()
    twilio.refusal = None
    await a_while(xcom, 2)
    assert said(twilio) == ["SOL long", *["HIGH: 2 "] * 3, "RESOLVED"]


@pytest.mark.slow
async def test_a_digest_is_not_tried_again_when_all_that_it_carries_is_over(
    xcom: Xcom, twilio: FakeTwilio
) -> None:
    await xcom.start(**twilio_settings(twilio))
    other = await xcom.send("HIGH", channels=["sms"])
    await xcom.settled(other.id, "sms")
    keys = [KEY, "alert-9.1"]
    carried = [await xcom.send("HIGH", channels=["sms"], incident_key=key) for key in keys]
    twilio.refusal = answer(503, {})
    await xcom.push_until(lambda: len(twilio.texts) == 2)
    ends = [await over(xcom, key) for key in keys]
    # The first one could not know that the digest would not come.
    assert [end.deliveries[0].reason for end in ends] == [
        pb.DELIVERY_REASON_ACCEPTED,
        pb.DELIVERY_REASON_ENDED_UNTOLD,
    ]
    twilio.refusal = None
    await a_while(xcom, 2)
    assert "HIGH: 2 " not in said(twilio)[2:]
    for one in carried:
        assert (await xcom.deliveries(one.id))["sms"].state == pb.DELIVERY_STATE_CANCELLED


async def test_a_phone_that_rings_in_vain_rings_no_more_once_somebody_knows(
    xcom: Xcom, twilio: FakeTwilio
) -> None:
    twilio.standing["Calls"] = "no-answer"
    await xcom.start(**twilio_settings(twilio))
    raised = await xcom.send("HIGH", channels=["voice"], incident_key=KEY)
    await xcom.settled(raised.id, "voice")
    await acknowledge(xcom, raised)
    await a_while(xcom, 5)
    call = (await xcom.deliveries(raised.id))["voice"]
    assert (len(twilio.calls), call.state) == (1, pb.DELIVERY_STATE_CANCELLED)
    assert call.last_error == "acknowledged by jane"


@pytest.mark.slow
@pytest.mark.parametrize("channel", ["voice", "sms"])
async def test_what_waits_for_a_phone_that_rests_is_called_back_by_an_acknowledgement(
    xcom: Xcom, twilio: FakeTwilio, channel: str
) -> None:
    await xcom.start(**twilio_settings(twilio))
    other = await xcom.send("HIGH", channels=[channel])
    await xcom.settled(other.id, channel)
    raised = await xcom.send("HIGH", channels=[channel], incident_key=KEY)
    await acknowledge(xcom, raised)
    await a_while(xcom, 5)
    assert len(twilio.calls) + len(twilio.texts) == 1


@pytest.mark.slow
async def test_a_snooze_holds_a_call_back_and_then_it_rings(xcom: Xcom, twilio: FakeTwilio) -> None:
    twilio.standing["C1"] = "busy"
    await xcom.start(**twilio_settings(twilio))
    raised = await xcom.send("HIGH", channels=["voice"], incident_key=KEY)
    await xcom.settled(raised.id, "voice")
    await acknowledge(xcom, raised, snooze=Duration(seconds=600))
    await a_while(xcom, 10, 50)
    assert len(twilio.calls) == 1
    await xcom.push_until(lambda: len(twilio.calls) == 2, 10)


@pytest.mark.slow
async def test_a_spoken_digest_rings_until_everything_in_it_is_known(
    xcom: Xcom, twilio: FakeTwilio
) -> None:
    await xcom.start(**twilio_settings(twilio))
    other = await xcom.send("HIGH", channels=["voice"])
    await xcom.settled(other.id, "voice")
    twilio.standing |= {"Calls": "no-answer", "C1": "completed"}
    keys = [KEY, "alert-9.1"]
    first, second = [await xcom.send("HIGH", channels=["voice"], incident_key=key) for key in keys]
    await xcom.push_until(lambda: len(twilio.calls) == 2, 10)
    await acknowledge(xcom, first)
    await xcom.push_until(lambda: len(twilio.calls) == 3, 10)
    await acknowledge(xcom, second)
    await a_while(xcom, 10)
    assert len(twilio.calls) == 3
