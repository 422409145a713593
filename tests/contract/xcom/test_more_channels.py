"""SMS, calls, relayed services and sounds as they really leave xcom."""

from __future__ import annotations

import asyncio
import shlex
import sys
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from sonic.xcom.v1 import xcom_pb2 as pb

from shared.errors import SonicError
from tests.contract.xcom.conftest import Xcom, mail_settings, twilio_settings, until
from tests.fakes.mail import FakeMailServer
from tests.fakes.twilio import SID, TOKEN, FakeTwilio, answer
from tests.fakes.webhook import STALL, FakeWebhook, Reply

FACTS = {
    "asset": "SOL",
    "side": "LONG",
    "wallet": "main",
    "price_usd": "92.10000000000001",
    "liquidation_price_usd": "88.4",
    "liquidation_distance_percent": "4.01",
    "action": "Add collateral or close",
}


async def test_a_text_says_what_where_how_far_and_what_to_do(
    xcom: Xcom, twilio: FakeTwilio
) -> None:
    await xcom.start(**twilio_settings(twilio))
    message = await xcom.send("HIGH", facts=FACTS, subject="HIGH: SOL long travel –75.3 %")
    assert [one.channel for one in message.deliveries] == ["sms", "voice"]
    sent = await xcom.settled(message.id, "sms")
    assert sent.provider_status == "HTTP 201 queued"
    (text,) = twilio.texts
    assert text == {
        "To": "+491701234567",
        "From": "+15005550006",
        "Body": "HIGH: SOL long travel -75.3 %. wallet main. 4.01 % to liquidation. Add collateral "
        "or close."
        " price 92.1 USD. liquidation 88.4 USD",
    }
    await xcom.settled(message.id, "voice")
    (call,) = twilio.calls
    assert call["Twiml"].startswith(
        "<Response><Say>Sonic. High: SOL long travel minus 75 point 3 percent"
    )
    tokens = {one.headers["i-twilio-idempotency-token"] for one in twilio.received}
    assert tokens == {one.id for one in (await xcom.deliveries(message.id)).values()}


async def test_text_of_others_cannot_steer_a_call(xcom: Xcom, twilio: FakeTwilio) -> None:
    await xcom.start(**twilio_settings(twilio))
    message = await xcom.send("HIGH", subject="</Say><Dial>+1900</Dial>", channels=["voice"])
    await xcom.settled(message.id, "voice")
    assert "<Dial>" not in twilio.calls[0]["Twiml"]


@pytest.mark.parametrize(
    ("refusal", "state"),
    [
        (
            answer(400, {"code": 21211, "message": "Invalid 'To' +491701234567"}),
            pb.DELIVERY_STATE_DEAD,
        ),
        (answer(401, {"code": 20003, "message": f"Authenticate {TOKEN}"}), pb.DELIVERY_STATE_DEAD),
        (answer(429, {"code": 20429}), pb.DELIVERY_STATE_QUEUED),
        (Reply(503, body=b"<html>"), pb.DELIVERY_STATE_QUEUED),
    ],
)
async def test_twilio_refuses_for_good_or_for_now_and_nothing_private_is_kept(
    xcom: Xcom, twilio: FakeTwilio, refusal: Reply, state: pb.DeliveryState.ValueType
) -> None:
    twilio.refusal = refusal
    await xcom.start(**twilio_settings(twilio))
    message = await xcom.send("LOW", channels=["sms"])
    if state == pb.DELIVERY_STATE_DEAD:
        delivery = await xcom.refused(message.id, "sms")
    else:
        delivery = await xcom.settled(message.id, "sms")
    assert delivery.state == state
    listed = await xcom.stub.ListChannels(pb.ListChannelsRequest())
    for secret in ("+491701234567", TOKEN, SID):
        assert secret not in str(delivery) + str(listed)


async def test_a_text_refused_for_good_goes_out_by_mail(
    xcom: Xcom, twilio: FakeTwilio, mail: FakeMailServer
) -> None:
    twilio.refusal = answer(401, {"code": 20003})
    await xcom.start(**twilio_settings(twilio), **mail_settings(mail))
    message = await xcom.send("HIGH")
    assert "email" not in [one.channel for one in message.deliveries]
    await xcom.refused(message.id, "sms")
    await mail.wait_for(1)


# The library warns of its own use of what is going away.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_relayed_service_gets_subject_and_body(xcom: Xcom, hook: FakeWebhook) -> None:
    await xcom.start(xcom_apprise_urls=hook.url.replace("http://", "json://user:canary@"))
    message = await xcom.send("HIGH", channels=["apprise"])
    sent = await xcom.settled(message.id, "apprise")
    assert sent.state == pb.DELIVERY_STATE_SENT
    assert (hook.received[0].body["title"], hook.received[0].body["message"]) == (
        message.subject,
        message.body,
    )
    assert (await xcom.channel("apprise")).destination == "json://***"


# The library warns of its own use of what is going away.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_relayed_service_that_fails_or_hangs_is_a_failed_try(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    hook.answer = lambda _received: Reply(500) if len(hook.received) == 0 else STALL
    await xcom.start(
        xcom_apprise_urls=hook.url.replace("http://", "json://"),
        xcom_slack_url="nonsense",
        xcom_apprise_timeout_seconds=0.5,
    )
    failed = await xcom.stub.TestChannel(pb.TestChannelRequest(channel="apprise"))
    assert (failed.ok, failed.provider_status) == (False, "answered HTTP 500")
    hung = await xcom.stub.TestChannel(pb.TestChannelRequest(channel="apprise"))
    assert (hung.ok, hung.provider_status) == (False, "no answer within 0.5 s")
    wrong = await xcom.stub.TestChannel(pb.TestChannelRequest(channel="slack"))
    assert wrong.provider_status == "XCOM_SLACK_URL is not understood"


async def test_pages_hear_the_last_minute_and_what_comes(xcom: Xcom) -> None:
    await xcom.start(xcom_sound=True)
    first = await xcom.send("HIGH", channels=["sound"])
    await xcom.settled(first.id, "sound")
    heard: asyncio.Queue[pb.Sound] = asyncio.Queue()

    async def listen() -> None:
        with suppress(grpc.aio.AioRpcError, SonicError):
            async for sound in xcom.channels.WatchSounds(pb.WatchSoundsRequest()):
                heard.put_nowait(sound)

    listening = asyncio.create_task(listen())
    async with asyncio.timeout(45):
        assert (await heard.get()).message_id == first.id
        second = await xcom.send("HIGH", channels=["sound"])
        sound = await heard.get()
    assert (sound.message_id, sound.level, sound.subject) == (
        second.id,
        pb.LEVEL_HIGH,
        second.subject,
    )
    listening.cancel()
    await asyncio.wait({listening})
    assert heard.empty()


async def test_a_sound_never_stands_in_for_channels_that_reach_people(
    xcom: Xcom, mail: FakeMailServer
) -> None:
    await xcom.start(**mail_settings(mail), xcom_sound=True)
    message = await xcom.send("HIGH")
    assert [one.channel for one in message.deliveries] == ["email", "sound"]


async def test_a_player_is_run_without_a_shell(xcom: Xcom, tmp_path: Path) -> None:
    played = tmp_path / "played"
    command = f"{shlex.quote(sys.executable)} -c \"open('{played}', 'w')\""
    await xcom.start(xcom_sound_command=command)
    message = await xcom.send("HIGH", channels=["sound"], subject="$(touch evil)")
    assert (await xcom.settled(message.id, "sound")).provider_status == "played"
    assert played.exists()
    await xcom.start(xcom_sound_command="/nowhere/player")

    async def fails() -> bool | None:
        test = await xcom.stub.TestChannel(pb.TestChannelRequest(channel="sound"))
        return "not started" in test.provider_status or None

    await until(fails)
