"""A HIGH calls until a person heard it: again within 150 s, and within the limits."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
from datetime import datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from sonic.xcom.v1 import calls_pb2
from sonic.xcom.v1 import xcom_pb2 as pb

from shared.clock import PushedClock
from shared.errors import FailedPrecondition, NotFound, PermissionDenied
from tests.contract.xcom.conftest import Xcom, mail_settings, twilio_settings
from tests.contract.xcom.test_escalating import contact, set_chain
from tests.fakes.mail import FakeMailServer
from tests.fakes.twilio import BUSY, NOBODY, PERSON, TOKEN, VOICEMAIL, FakeTwilio, Ring, answer

# Many pushes of the clock, each waited for.
pytestmark = pytest.mark.timeout(240)

OWN, JANE, JOE = "+491701234567", "+4930111222", "+4930333444"
AGAIN_WITHIN = timedelta(seconds=150)


@pytest.fixture
def phone(twilio: FakeTwilio, clock: PushedClock) -> FakeTwilio:
    """Nobody answers, on the pushed clock."""
    twilio.now = clock.now
    twilio.standing["Calls"] = ""
    twilio.take = lambda _number, _before: NOBODY
    return twilio


async def push(xcom: Xcom, seconds: float, step_seconds: float = 5.0) -> None:
    """The clock moves on in steps, so that the server acts in between."""
    for _ in range(round(seconds / step_seconds)):
        await xcom.push(step_seconds)


def gaps(times: list[datetime]) -> list[timedelta]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]


async def only_delivery(xcom: Xcom, message: pb.Message) -> pb.Delivery:
    return (await xcom.deliveries(message.id))["voice"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "ring", [NOBODY, BUSY, VOICEMAIL, Ring(20, 60, "unknown"), Ring(8, 2), Ring(8, 40, "fax")]
)
async def test_unanswered_it_calls_again_within_150_seconds_four_times_then_the_next_contact(
    xcom: Xcom, phone: FakeTwilio, ring: Ring
) -> None:
    phone.take = lambda number, _before: PERSON if number == JANE else ring
    await xcom.start(**twilio_settings(phone))
    await set_chain(xcom, contact("jane", 3000, voice=JANE))
    message = await xcom.send("HIGH", channels=["voice"], incident_key="a")
    await push(xcom, 600)
    own = phone.rings_to(OWN)
    assert len(own) == 4
    assert max(gaps(own)) <= AGAIN_WITHIN
    assert {one.form["From"] for one in phone.placed} == {"+15005550006"}
    assert {one.form["Timeout"] for one in phone.placed} == {"25"}
    # The next one is called when the first was called often enough, long before her turn.
    (jane,) = phone.rings_to(JANE)
    assert own[-1] < jane < own[-1] + AGAIN_WITHIN
    kept = await xcom.stub.GetMessage(pb.GetMessageRequest(id=message.id))
    by_contact = {one.contact: one for one in kept.deliveries if one.channel == "voice"}
    assert by_contact[""].state == pb.DELIVERY_STATE_DEAD
    assert by_contact[""].last_error == "nobody answered 4 calls"
    assert by_contact["jane"].state == pb.DELIVERY_STATE_SENT
    assert by_contact["jane"].provider_status == "heard by a person, 14 s"


async def test_a_machine_is_hung_up_on_so_that_the_line_is_free(
    xcom: Xcom, phone: FakeTwilio, clock: PushedClock
) -> None:
    phone.take = lambda _number, before: PERSON if before else Ring(20, 600, "machine_start")
    await xcom.start(**twilio_settings(phone))
    message = await xcom.send("HIGH", channels=["voice"])
    await push(xcom, 120)
    first, second = phone.placed
    assert first.hung_up_time is not None
    assert first.hung_up_time < second.created_time <= first.created_time + AGAIN_WITHIN
    assert (await only_delivery(xcom, message)).state == pb.DELIVERY_STATE_SENT


@pytest.mark.slow
async def test_an_answered_call_is_delivered_and_nobody_is_called_again(
    xcom: Xcom, phone: FakeTwilio
) -> None:
    phone.take = lambda _number, _before: PERSON
    await xcom.start(**twilio_settings(phone))
    message = await xcom.send("HIGH", channels=["voice"])
    await push(xcom, 300)
    assert len(phone.placed) == 1
    assert (await only_delivery(xcom, message)).state == pb.DELIVERY_STATE_SENT
    kept = await xcom.stub.GetMessage(pb.GetMessageRequest(id=message.id))
    assert not kept.HasField("acknowledged_time")


@pytest.mark.slow
async def test_an_acknowledgement_ends_the_calls(xcom: Xcom, phone: FakeTwilio) -> None:
    await xcom.start(**twilio_settings(phone))
    message = await xcom.send("HIGH", channels=["voice"])
    await xcom.push_until(lambda: len(phone.placed) == 2)
    await xcom.escalation.AckMessage(pb.AckMessageRequest(id=message.id, by="jane"))
    await push(xcom, 300)
    assert len(phone.placed) == 2


@pytest.mark.slow
async def test_a_number_is_called_six_times_in_half_an_hour_whatever_it_is_about(
    xcom: Xcom, phone: FakeTwilio, mail: FakeMailServer
) -> None:
    await xcom.start(**twilio_settings(phone), **mail_settings(mail), xcom_escalation_seconds=3600)
    for number in range(4):
        await xcom.send("HIGH", channels=["voice"], incident_key=f"incident {number}")
        await push(xcom, 240, 8)
    await push(xcom, 1800, 12)
    times = phone.rings_to(OWN)
    assert len(times) > 6
    for place in range(len(times)):
        lately = [one for one in times[: place + 1] if times[place] - one < timedelta(minutes=30)]
        assert len(lately) <= 6
    # By other ways at once, when calls are used up.
    assert mail.mails


@pytest.mark.slow
async def test_two_contacts_are_called_at_once_and_one_does_not_wait_for_the_other(
    xcom: Xcom, phone: FakeTwilio
) -> None:
    await xcom.start(**twilio_settings(phone))
    await set_chain(xcom, contact("jane", 30, voice=JANE), contact("joe", 30, voice=JOE))
    await xcom.send("HIGH", channels=["voice"], incident_key="a")
    await push(xcom, 700)
    for number in (OWN, JANE, JOE):
        times = phone.rings_to(number)
        assert len(times) == 4
        assert times[1] - times[0] <= AGAIN_WITHIN


@pytest.mark.slow
async def test_two_incidents_never_ring_one_number_at_the_same_time(
    xcom: Xcom, phone: FakeTwilio
) -> None:
    await xcom.start(**twilio_settings(phone))
    await xcom.send("HIGH", channels=["voice"], incident_key="a")
    await xcom.push_until(lambda: len(phone.placed) == 1)
    await xcom.send("HIGH", channels=["voice"], incident_key="b")
    await push(xcom, 400)
    times = phone.rings_to(OWN)
    assert 5 <= len(times) <= 6
    # Each rang for 25 s.
    assert min(gaps(times)) > timedelta(seconds=25)


@pytest.mark.slow
async def test_a_provider_that_is_down_costs_no_calls_of_the_limit(
    xcom: Xcom, phone: FakeTwilio
) -> None:
    await xcom.start(**twilio_settings(phone))
    phone.refusal = answer(503, {"code": 20503, "status": 503})
    await xcom.send("HIGH", channels=["voice"], incident_key="a")
    await push(xcom, 90)
    assert not phone.placed
    phone.refusal = None
    await push(xcom, 900, 5)
    assert len(phone.rings_to(OWN)) == 4


async def test_an_old_setting_of_the_rest_between_calls_is_accepted_and_told(
    xcom: Xcom, capfd: pytest.CaptureFixture[str]
) -> None:
    await xcom.start(voice_cooldown_seconds=180.0)
    assert "VOICE_COOLDOWN_SECONDS is no longer used" in capfd.readouterr().out


async def test_a_ping_by_telephone_is_one_call_whoever_takes_it(
    xcom: Xcom, phone: FakeTwilio
) -> None:
    phone.take = lambda _number, _before: VOICEMAIL
    await xcom.start(**twilio_settings(phone))
    message = await xcom.send("LOW", channels=["voice"])
    await push(xcom, 120)
    await asyncio.sleep(0)
    assert len(phone.placed) == 1
    assert (await only_delivery(xcom, message)).state == pb.DELIVERY_STATE_SENT


@pytest.mark.slow
async def test_calls_that_nobody_answers_leave_the_channel_itself_in_order(
    xcom: Xcom, phone: FakeTwilio
) -> None:
    await xcom.start(**twilio_settings(phone))
    message = await xcom.send("HIGH", channels=["voice"])
    await push(xcom, 600)
    assert len(phone.placed) == 4
    kept = await xcom.stub.GetMessage(pb.GetMessageRequest(id=message.id))
    assert "voice" in {one.channel for one in kept.deliveries}
    assert (await xcom.channel("voice")).health == pb.CHANNEL_HEALTH_UNPROVEN


async def test_tests_of_the_channel_count_against_the_limit_of_calls(
    xcom: Xcom, phone: FakeTwilio
) -> None:
    phone.take = lambda _number, _before: PERSON
    await xcom.start(**twilio_settings(phone))
    request = pb.TestChannelRequest(channel="voice")
    answers = [await xcom.stub.TestChannel(request) for _ in range(7)]
    assert [one.ok for one in answers] == [True] * 6 + [False]
    assert "too many" in answers[-1].provider_status
    assert len(phone.placed) == 6
    # What was not tried says nothing of the channel.
    assert (await xcom.channel("voice")).health == pb.CHANNEL_HEALTH_PROVEN
    await xcom.send("HIGH", channels=["voice"])
    await push(xcom, 60)
    assert len(phone.placed) == 6


async def test_a_test_call_that_still_rings_keeps_no_high_waiting(
    xcom: Xcom, phone: FakeTwilio
) -> None:
    await xcom.start(**twilio_settings(phone))
    assert (await xcom.stub.TestChannel(pb.TestChannelRequest(channel="voice"))).ok
    await xcom.send("HIGH", channels=["voice"])
    await push(xcom, 15)
    assert len(phone.placed) == 2


PUBLIC = "https://sonic.example.com"


async def pressed(
    xcom: Xcom, path: str, fields: dict[str, str], token: str = TOKEN
) -> calls_pb2.PressKeyResponse:
    """As Twilio's own libraries sign it, written down once more."""
    text = PUBLIC + path + "".join(name + value for name, value in sorted(fields.items()))
    digest = hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()
    request = calls_pb2.PressKeyRequest(
        path=path, fields=fields, signature=base64.b64encode(digest).decode()
    )
    return await xcom.calls.PressKey(request)


def key_path(phone: FakeTwilio) -> str:
    """Where the last call sends its key."""
    twiml = ET.fromstring(phone.placed[-1].form["Twiml"])
    (gather,) = twiml.iter("Gather")
    # The hash key is a key as well.
    assert gather.attrib["finishOnKey"] == ""
    assert gather.attrib["action"].startswith(f"{PUBLIC}/calls/keys?")
    return gather.attrib["action"].removeprefix(PUBLIC)


async def test_a_key_acknowledges_once_and_only_when_twilio_signed_it(
    xcom: Xcom, phone: FakeTwilio
) -> None:
    phone.take = lambda _number, _before: Ring(8, 40)
    await xcom.start(**twilio_settings(phone), public_url=PUBLIC)
    message = await xcom.send("HIGH", channels=["voice"], incident_key="a")
    await xcom.push_until(lambda: len(phone.placed) == 1)
    await push(xcom, 16)
    path, fields = key_path(phone), {"Digits": "1", "CallSid": phone.placed[0].sid}
    for forged in ("another token", ""):
        with pytest.raises(PermissionDenied, match="SIGNATURE_WRONG"):
            await pressed(xcom, path, fields, forged)
    with pytest.raises(NotFound, match="CALL_NOT_FOUND"):
        await pressed(xcom, "/calls/keys?delivery=dlv-other", fields)
    kept = await xcom.stub.GetMessage(pb.GetMessageRequest(id=message.id))
    assert not kept.HasField("acknowledged_time")
    told = await pressed(xcom, path, fields)
    assert "Acknowledged" in told.twiml
    kept = await xcom.stub.GetMessage(pb.GetMessageRequest(id=message.id))
    assert kept.acknowledged_by == "call"
    with pytest.raises(NotFound, match="CALL_NOT_FOUND"):
        await pressed(xcom, path, fields)
    await push(xcom, 200, 5)
    assert len(phone.placed) == 1


async def test_without_a_public_address_no_key_is_offered_and_none_is_taken(
    xcom: Xcom, phone: FakeTwilio
) -> None:
    await xcom.start(**twilio_settings(phone))
    await xcom.send("HIGH", channels=["voice"])
    await xcom.push_until(lambda: len(phone.placed) == 1)
    assert "Gather" not in phone.placed[0].form["Twiml"]
    with pytest.raises(FailedPrecondition, match="CHANNEL_NOT_CONFIGURED"):
        await pressed(xcom, "/calls/keys?delivery=dlv-other", {})
