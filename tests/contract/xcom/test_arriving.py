"""Sent means arrived: a call that rings, a text that is queued, a sound that nobody hears are not
sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import grpc
import pytest
from sonic.xcom.v1 import xcom_pb2 as pb

from shared.clock import PushedClock
from shared.errors import SonicError
from tests.contract.xcom.conftest import Xcom, mail_settings, twilio_settings, until
from tests.fakes.mail import FakeMailServer
from tests.fakes.twilio import FakeTwilio, answer
from tests.fakes.webhook import Reply


async def state_of(xcom: Xcom, message_id: str, channel: str) -> str:
    state = (await xcom.deliveries(message_id))[channel].state
    return pb.DeliveryState.Name(state).removeprefix("DELIVERY_STATE_")


async def becomes(
    xcom: Xcom, message_id: str, channel: str, state: str, step_seconds: float = 0
) -> None:
    """Push the clock until the delivery stands so."""

    async def look() -> bool | None:
        if await state_of(xcom, message_id, channel) == state:
            return True
        xcom.clock.advance(step_seconds)
        return None

    await until(look)


async def test_a_call_is_sent_when_it_was_answered_and_not_while_it_rings(
    xcom: Xcom, twilio: FakeTwilio, clock: PushedClock
) -> None:
    twilio.standing["Calls"] = "ringing"
    await xcom.start(**twilio_settings(twilio))
    message = await xcom.send("HIGH", channels=["voice"])
    await xcom.settled(message.id, "voice")
    for _ in range(10):
        await xcom.push(3)
        await xcom.channel("voice")
    ringing = (await xcom.deliveries(message.id))["voice"]
    assert ringing.state == pb.DELIVERY_STATE_HANDED_OVER
    assert not ringing.HasField("sent_time") and ringing.HasField("handed_over_time")
    assert not (await xcom.channel("voice")).HasField("last_sent_time")
    twilio.standing["Calls"] = "completed"
    await becomes(xcom, message.id, "voice", "SENT", 3)
    sent = await xcom.settled(message.id, "voice")
    assert (sent.provider_status, len(twilio.calls)) == ("heard by a person, 14 s", 1)
    assert sent.attempts[0].outcome == pb.ATTEMPT_OUTCOME_SENT


@pytest.mark.parametrize("status", ["busy", "no-answer", "failed", "canceled"])
async def test_a_call_that_nobody_took_is_a_failed_try_and_is_made_again(
    xcom: Xcom, twilio: FakeTwilio, status: str
) -> None:
    twilio.standing["C1"] = status
    await xcom.start(**twilio_settings(twilio))
    message = await xcom.send("HIGH", channels=["voice"])
    await xcom.push_until(lambda: len(twilio.calls) == 2)
    await becomes(xcom, message.id, "voice", "SENT", 2)
    first, second = (await xcom.settled(message.id, "voice", tries=2)).attempts
    assert (first.outcome, first.error) == (pb.ATTEMPT_OUTCOME_FAILED, f"nobody heard it: {status}")
    assert second.outcome == pb.ATTEMPT_OUTCOME_SENT
    # Another token: with the same one Twilio would answer with the call that failed.
    tokens = {one.headers["i-twilio-idempotency-token"] for one in twilio.received if one.raw}
    assert len(tokens) == 2


@pytest.mark.parametrize("channel", ["sms", "voice"])
@pytest.mark.parametrize(
    "page",
    [
        Reply(200, (("Content-Type", "text/html"),), body=b"<html>Sign in to this network</html>"),
        answer(200, {"status": "failed", "code": 20500, "message": "Internal error"}),
    ],
    ids=["of-somebody-between", "of-an-error"],
)
async def test_a_good_status_that_names_nothing_taken_is_a_failed_try(
    xcom: Xcom, twilio: FakeTwilio, channel: str, page: Reply
) -> None:
    twilio.refusal = page
    await xcom.start(**twilio_settings(twilio))
    message = await xcom.send(channels=[channel])
    tried = await xcom.settled(message.id, channel)
    assert (tried.state, tried.attempts[0].outcome) == (
        pb.DELIVERY_STATE_QUEUED,
        pb.ATTEMPT_OUTCOME_FAILED,
    )
    assert "names nothing that was taken" in tried.last_error


@pytest.mark.slow
async def test_a_text_that_left_but_whose_operator_tells_nothing_counts_after_a_while(
    xcom: Xcom, twilio: FakeTwilio
) -> None:
    twilio.standing["Messages"] = "sent"
    await xcom.start(**twilio_settings(twilio))
    message = await xcom.send("HIGH", channels=["sms"])
    await becomes(xcom, message.id, "sms", "SENT", 10)
    sent = (await xcom.deliveries(message.id))["sms"]
    assert "does not tell of arrival" in sent.provider_status
    waited = sent.sent_time.ToDatetime() - sent.handed_over_time.ToDatetime()
    assert waited.total_seconds() >= 300
    assert len(twilio.texts) == 1


@pytest.mark.slow
async def test_a_text_that_stays_queued_is_sent_again(xcom: Xcom, twilio: FakeTwilio) -> None:
    twilio.standing["M1"] = "queued"
    await xcom.start(**twilio_settings(twilio))
    message = await xcom.send("HIGH", channels=["sms"])
    await xcom.push_until(lambda: len(twilio.texts) == 2, 10)
    first = (await xcom.settled(message.id, "sms", tries=1)).attempts[0]
    assert first.error == "not known to have arrived within 300 s: queued"


async def test_another_process_goes_on_asking_about_what_was_handed_over(
    xcom: Xcom, twilio: FakeTwilio
) -> None:
    twilio.standing["Calls"] = "ringing"
    await xcom.start(**twilio_settings(twilio))
    message = await xcom.send("HIGH", channels=["voice"])
    await becomes(xcom, message.id, "voice", "HANDED_OVER")
    await xcom.app.stop()
    twilio.standing["Calls"] = "completed"
    await xcom.start(**twilio_settings(twilio))
    await becomes(xcom, message.id, "voice", "SENT", 3)
    assert (len(twilio.calls), set(twilio.looks)) == (1, {"C1"})


async def test_a_burst_of_texts_is_two_the_second_of_which_names_the_worst(
    xcom: Xcom, twilio: FakeTwilio
) -> None:
    await xcom.start(**twilio_settings(twilio))
    first = await xcom.send("MEDIUM", subject="MEDIUM: BTC long travel -40 %")
    await xcom.settled(first.id, "sms")
    for number in range(16):
        await xcom.send(
            "MEDIUM",
            subject=f"MEDIUM: A{number} long travel -40 %",
            facts={
                "event": "RAISED",
                "asset": f"A{number}",
                "side": "LONG",
                "liquidation_distance_percent": str(16 - number),
            },
        )
    await xcom.push_until(lambda: len(twilio.texts) == 2)
    assert twilio.texts[1]["Body"].startswith(
        "MEDIUM: 16 messages: A15 long 1 % to liquidation, check now; A14"
    )
    assert twilio.texts[1]["Body"].endswith("; and 13 more")


async def test_a_clock_that_was_ahead_keeps_no_phone_silent_until_then(
    xcom: Xcom, twilio: FakeTwilio, clock: PushedClock
) -> None:
    await xcom.start(**twilio_settings(twilio))
    first = await xcom.send(channels=["sms"])
    await xcom.settled(first.id, "sms")
    clock.set_time(clock.now() - timedelta(hours=2))
    second = await xcom.send(channels=["sms"])
    due_time = second.deliveries[0].due_time.ToDatetime(clock.now().tzinfo)
    assert due_time <= clock.now() + timedelta(seconds=10)
    await xcom.push_until(lambda: len(twilio.texts) == 2)


async def test_danger_does_not_rest_behind_something_quieter(
    xcom: Xcom, twilio: FakeTwilio, clock: PushedClock
) -> None:
    await xcom.start(**twilio_settings(twilio))
    before = clock.now()
    quiet = await xcom.send("MEDIUM", channels=["sms"])
    await xcom.settled(quiet.id, "sms")
    waiting = await xcom.send("MEDIUM", channels=["sms"])
    loud = await xcom.send("HIGH", channels=["sms"])
    await xcom.settled(loud.id, "sms")
    assert clock.now() == before
    assert await state_of(xcom, waiting.id, "sms") == "QUEUED"


@asynccontextmanager
async def listening(xcom: Xcom) -> AsyncIterator[asyncio.Queue[pb.Sound]]:
    heard: asyncio.Queue[pb.Sound] = asyncio.Queue()

    async def listen() -> None:
        with suppress(grpc.aio.AioRpcError, SonicError):
            async for sound in xcom.channels.WatchSounds(pb.WatchSoundsRequest()):
                heard.put_nowait(sound)

    task = asyncio.create_task(listen())
    yield heard
    task.cancel()
    await asyncio.wait({task})


async def test_a_sound_is_sent_when_a_page_heard_it(xcom: Xcom) -> None:
    await xcom.start(xcom_sound=True)
    message = await xcom.send("HIGH", channels=["sound"])
    await becomes(xcom, message.id, "sound", "HANDED_OVER")
    async with listening(xcom) as heard, asyncio.timeout(45):
        assert (await heard.get()).message_id == message.id
        await becomes(xcom, message.id, "sound", "SENT")
    assert (await xcom.deliveries(message.id))["sound"].provider_status == "heard by a page"


@pytest.mark.slow
async def test_a_sound_that_a_page_heard_does_not_keep_it_from_the_other_channels(
    xcom: Xcom, twilio: FakeTwilio, mail: FakeMailServer
) -> None:
    twilio.refusal = answer(503, {})
    await xcom.start(**twilio_settings(twilio), **mail_settings(mail), xcom_sound=True)
    async with listening(xcom) as heard:
        message = await xcom.send("HIGH")
        async with asyncio.timeout(45):
            assert (await heard.get()).message_id == message.id
        await becomes(xcom, message.id, "sound", "SENT")
        for _ in range(35):
            await xcom.push(10)
        await mail.wait_for(1)


async def test_a_sound_that_nobody_hears_is_given_up_and_others_are_told(
    xcom: Xcom, mail: FakeMailServer
) -> None:
    await xcom.start(**mail_settings(mail), xcom_sound=True)
    message = await xcom.send("HIGH", channels=["sound"])
    await becomes(xcom, message.id, "sound", "DEAD", 5)
    assert (await xcom.deliveries(message.id))["sound"].last_error == "no page listened"
    await mail.wait_for(1)


async def test_a_sound_that_nobody_hears_adds_nothing_where_somebody_was_reached(
    xcom: Xcom, mail: FakeMailServer, twilio: FakeTwilio
) -> None:
    await xcom.start(**mail_settings(mail), **twilio_settings(twilio), xcom_sound=True)
    message = await xcom.send("HIGH", channels=["sms", "sound"])
    await becomes(xcom, message.id, "sound", "DEAD", 5)
    assert sorted(await xcom.deliveries(message.id)) == ["sms", "sound"]
    assert not mail.mails
