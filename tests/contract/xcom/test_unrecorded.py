"""Telling people while the database is away: by the settings last seen, once, written down
afterwards.
"""

from __future__ import annotations

import pytest
from sonic.xcom.v1 import unrecorded_pb2 as pb
from sonic.xcom.v1 import unrecorded_pb2_grpc as rpc
from sonic.xcom.v1 import xcom_pb2

from shared.clock import PushedClock
from shared.errors import Exhausted, InvalidArgument, PermissionDenied
from shared.rpc.client import Channel
from tests.contract.xcom.conftest import Xcom, hook_settings, mail_settings, twilio_settings, until
from tests.contract.xcom.test_escalating import contact, set_chain
from tests.fakes.mail import FakeMailServer
from tests.fakes.twilio import FakeTwilio, answer
from tests.fakes.webhook import OK, FakeWebhook, Reply

NOWHERE = "postgresql://xcom:x@127.0.0.1:1/none"


def request(id: str = "r1", **fields: str) -> pb.SendUnrecordedRequest:
    words = {
        "request_id": id,
        "subject": "no database",
        "body": "disk full",
        "source": "sonic up",
    } | fields
    return pb.SendUnrecordedRequest(**words)


async def stub_of(xcom: Xcom) -> rpc.UnrecordedServiceStub:
    channel = Channel(xcom.app.address, unary_seconds=30)
    await channel.start()
    xcom._stack.push_async_callback(channel.stop)
    return channel.stub(rpc.UnrecordedServiceStub)


async def test_high_goes_out_without_a_database_by_the_channels_of_the_environment(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    xcom.database_url = NOWHERE
    await xcom.start(**hook_settings(hook))
    stub = await stub_of(xcom)
    found = await stub.SendUnrecorded(request())
    assert [(one.channel, one.accepted) for one in found.tries] == [("webhook", True)]
    assert [one.body["level"] for one in hook.received] == ["HIGH"]
    assert hook.received[0].body["subject"] == "no database"


async def test_the_same_request_is_sent_once_and_tried_again_only_when_it_reached_nobody(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    xcom.database_url = NOWHERE
    await xcom.start(**hook_settings(hook))
    stub = await stub_of(xcom)
    hook.answer = lambda _received: Reply(500)
    assert not any(one.accepted for one in (await stub.SendUnrecorded(request())).tries)
    hook.answer = lambda _received: OK
    for _ in range(3):
        assert [one.accepted for one in (await stub.SendUnrecorded(request())).tries] == [True]
    assert len(hook.received) == 2
    assert len(set(hook.keys)) == 1


async def test_a_sound_that_no_page_can_hear_now_has_reached_nobody(
    xcom: Xcom, hook: FakeWebhook, twilio: FakeTwilio
) -> None:
    xcom.database_url = NOWHERE
    twilio.refusal = answer(503, {})
    await xcom.start(
        **hook_settings(hook),
        **twilio_settings(twilio),
        xcom_sound=True,
        xcom_high_channels=("sms", "sound"),
    )
    hook.answer = lambda _received: Reply(500)
    stub = await stub_of(xcom)
    tries = {one.channel: one.accepted for one in (await stub.SendUnrecorded(request())).tries}
    assert tries == {"sms": False, "sound": True, "voice": False, "webhook": False}
    hook.answer = lambda _received: OK
    tries = {one.channel: one.accepted for one in (await stub.SendUnrecorded(request())).tries}
    assert tries["webhook"]


async def test_a_contact_is_not_told_on_a_channel_that_was_switched_off(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    hook.answer = lambda _received: Reply(500)
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    await set_chain(xcom, contact("jane", 60, email="one@example.org"))
    await xcom.set_channel("email", "enabled", enabled=False)
    stub = await stub_of(xcom)

    async def remembered() -> bool | None:
        clock.advance(15)
        before = len(mail.mails)
        await stub.SendUnrecorded(request(f"r{clock.monotonic()}"))
        return len(mail.mails) == before or None

    await until(remembered)


async def test_the_end_goes_to_whom_the_beginning_reached_and_to_nobody_else(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    xcom.database_url = NOWHERE
    await xcom.start(**hook_settings(hook))
    stub = await stub_of(xcom)
    strange = await stub.SendUnrecorded(request("x-over", ends_request_id="x"))
    assert list(strange.tries) == []
    await stub.SendUnrecorded(request())
    ended = await stub.SendUnrecorded(request("r1-over", subject="back", ends_request_id="r1"))
    assert [(one.channel, one.accepted) for one in ended.tries] == [("webhook", True)]
    assert [one.body["subject"] for one in hook.received] == ["no database", "back"]


async def test_a_destination_set_by_a_call_is_remembered_when_the_database_goes(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock
) -> None:
    await xcom.start(webhook_secret="s", xcom_allowed_networks=("127.0.0.0/8",))
    await xcom.set_channel("webhook", "destination", destination=hook.url)
    stub = await stub_of(xcom)

    async def remembered() -> bool | None:
        clock.advance(15)
        found = await stub.SendUnrecorded(request(f"r{clock.monotonic()}"))
        return any(one.channel == "webhook" and one.accepted for one in found.tries) or None

    await until(remembered)
    assert hook.received


async def test_what_was_said_is_written_down_once_the_database_answers(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock
) -> None:
    await xcom.start(**hook_settings(hook))
    stub = await stub_of(xcom)
    await stub.SendUnrecorded(request())

    async def listed() -> xcom_pb2.Message | None:
        clock.advance(15)
        found = await xcom.stub.ListMessages(xcom_pb2.ListMessagesRequest(source="sonic up"))
        return found.messages[0] if found.messages else None

    message = await until(listed)
    assert message.subject == "Told while the database was away: no database"
    assert (message.level, message.facts["webhook"]) == (xcom_pb2.LEVEL_LOW, "HTTP 200 Told")
    assert {one.channel for one in message.deliveries} == {"log"}
    assert len(hook.received) == 1


async def test_more_than_twenty_an_hour_are_refused_with_the_time_to_come_back(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock
) -> None:
    xcom.database_url = NOWHERE
    await xcom.start(**hook_settings(hook))
    stub = await stub_of(xcom)
    for number in range(20):
        await stub.SendUnrecorded(request(f"r{number}"))
    with pytest.raises(Exhausted) as refused:
        await stub.SendUnrecorded(request("one more"))
    assert refused.value.reason == "TOO_MANY_UNRECORDED"
    assert refused.value.retry_after is not None
    clock.advance(3601)
    assert (await stub.SendUnrecorded(request("one more"))).tries


async def test_an_empty_subject_is_refused(xcom: Xcom) -> None:
    xcom.database_url = NOWHERE
    await xcom.start()
    with pytest.raises(InvalidArgument):
        await (await stub_of(xcom)).SendUnrecorded(request(subject=""))


async def test_a_caller_of_another_machine_is_refused(xcom: Xcom) -> None:
    from services.xcom.messages.servicer.unrecorded import UnrecordedServicer

    class Stranger:
        def peer(self) -> str:
            return "ipv4:192.0.2.7:4711"

    servicer = UnrecordedServicer(xcom, only_local=True)  # type: ignore[arg-type]  # never reached
    with pytest.raises(PermissionDenied) as refused:
        await servicer.SendUnrecorded(request(), Stranger())  # type: ignore[arg-type]  # a peer is all it has
    assert refused.value.reason == "NOT_LOCAL"
