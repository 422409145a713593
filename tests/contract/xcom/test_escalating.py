"""HIGH is never silent: dead channels, contacts in turn, acknowledgements, links that work once."""

from __future__ import annotations

import re
from datetime import timedelta

import asyncpg
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.xcom.v1 import xcom_pb2 as pb

from shared.clock import PushedClock
from shared.errors import FailedPrecondition, InvalidArgument, NotFound
from tests.contract.xcom.conftest import Xcom, hook_settings, mail_settings, twilio_settings, until
from tests.fakes.databases import Databases
from tests.fakes.mail import FakeMailServer
from tests.fakes.twilio import FakeTwilio
from tests.fakes.webhook import OK, FakeWebhook, Reply


def contact(name: str, wait_seconds: int, **routes: str) -> pb.Contact:
    ways = [
        pb.ContactRoute(channel=channel, address=address) for channel, address in routes.items()
    ]
    return pb.Contact(name=name, wait=Duration(seconds=wait_seconds), routes=ways)


async def set_chain(xcom: Xcom, *contacts: pb.Contact) -> pb.EscalationChain:
    return await xcom.escalation.UpdateEscalationChain(
        pb.UpdateEscalationChainRequest(escalation_chain=pb.EscalationChain(contacts=contacts))
    )


async def by_reason(xcom: Xcom, message_id: str, reason: str) -> list[pb.Delivery]:
    message = await xcom.stub.GetMessage(pb.GetMessageRequest(id=message_id))
    wanted = pb.DeliveryReason.Value(f"DELIVERY_REASON_{reason}")
    return [one for one in message.deliveries if one.reason == wanted]


async def test_high_that_dies_on_one_channel_goes_out_on_every_other_at_once(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    hook.answer = lambda _received: Reply(410)
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    before = clock.now()
    message = await xcom.send("HIGH", channels=["webhook"])
    assert [one.channel for one in message.deliveries] == ["webhook"]
    # One answer may be a mistake: it is asked once more.
    await xcom.push_until(lambda: bool(mail.mails))
    (fallback,) = await by_reason(xcom, message.id, "FALLBACK")
    assert fallback.channel == "email"
    assert (clock.now() - before).total_seconds() < 30
    quiet = await xcom.send("LOW", channels=["webhook"])
    await xcom.push_until(lambda: len(hook.received) == 4)
    await xcom.settled(quiet.id, "webhook", tries=2)
    assert len(await xcom.deliveries(quiet.id)) == 1


async def test_high_that_dies_everywhere_is_in_the_log_too(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    hook.answer = lambda _received: Reply(410)
    await xcom.start(**hook_settings(hook))
    message = await xcom.send("HIGH")
    await xcom.push_until(lambda: len(hook.received) == 2)
    await until(lambda: _logged(xcom, message.id))


async def _logged(xcom: Xcom, message_id: str) -> bool | None:
    found = await xcom.deliveries(message_id)
    return ("log" in found and found["log"].state == pb.DELIVERY_STATE_SENT) or None


async def test_a_dead_delivery_is_sent_again_by_hand_with_the_same_key_and_new_tries(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    hook.answer = lambda _received: Reply(410) if len(hook.received) < 2 else OK
    await xcom.start(**hook_settings(hook))
    message = await xcom.send("LOW", channels=["webhook"])
    await xcom.push_until(lambda: len(hook.received) == 2)
    dead = await xcom.settled(message.id, "webhook", tries=2)
    again = await xcom.stub.ResendDelivery(pb.ResendDeliveryRequest(id=dead.id))
    assert (again.id, again.state) == (dead.id, pb.DELIVERY_STATE_QUEUED)
    sent = await xcom.settled(message.id, "webhook", tries=3)
    assert (sent.state, hook.keys) == (pb.DELIVERY_STATE_SENT, [dead.id] * 3)
    with pytest.raises(FailedPrecondition, match="DELIVERY_NOT_DEAD"):
        await xcom.stub.ResendDelivery(pb.ResendDeliveryRequest(id=dead.id))
    with pytest.raises(NotFound, match="DELIVERY_NOT_FOUND"):
        await xcom.stub.ResendDelivery(pb.ResendDeliveryRequest(id="dlv-none"))
    assert len(hook.received) == 3


async def test_contacts_are_told_in_order_until_somebody_acknowledges(
    xcom: Xcom, mail: FakeMailServer, clock: PushedClock
) -> None:
    await xcom.start(**mail_settings(mail))
    await set_chain(
        xcom,
        contact("jane", 120, email="one@example.org"),
        contact("joe", 300, email="two@example.org"),
        contact("jim", 60, email="three@example.org"),
    )
    message = await xcom.send("HIGH", channels=["email"])
    await mail.wait_for(1)
    clock.advance(119)
    await xcom.send("LOW", channels=["log"])
    assert not await by_reason(xcom, message.id, "ESCALATION")
    await xcom.push_until(lambda: len(mail.mails) == 2)
    assert mail.mails[1].recipients == ["one@example.org"]
    notified = await by_reason(xcom, message.id, "ESCALATION")
    assert [(one.contact, one.destination) for one in notified] == [("jane", "o***@example.org")]
    clock.advance(290)
    await xcom.channel("email")
    assert len(mail.mails) == 2
    await xcom.push_until(lambda: len(mail.mails) == 3)
    assert mail.mails[2].recipients == ["two@example.org"]
    done = await xcom.escalation.AckMessage(pb.AckMessageRequest(id=message.id, by="joe"))
    assert (done.acknowledged_by, done.escalation_step) == ("joe", 2)
    assert not done.HasField("escalation_due_time")
    again = await xcom.escalation.AckMessage(pb.AckMessageRequest(id=message.id, by="jim"))
    assert (again.acknowledged_by, again.acknowledged_time) == ("joe", done.acknowledged_time)
    for _ in range(20):
        await xcom.push(60)
        await xcom.channel("email")
    assert len(mail.mails) == 3


async def test_a_chain_that_was_changed_meanwhile_leaves_nobody_out(
    xcom: Xcom, mail: FakeMailServer
) -> None:
    await xcom.start(**mail_settings(mail))
    jane, joe = (contact(name, 60, email=f"{name}@example.org") for name in ("jane", "joe"))
    await set_chain(xcom, jane, joe)
    message = await xcom.send("HIGH", channels=["email"])
    await xcom.push_until(lambda: len(mail.mails) == 2, 10)
    # Jane was called and is taken out: Joe stands where she stood.
    await set_chain(xcom, joe)
    await xcom.push_until(lambda: len(mail.mails) == 3, 10)
    # Another comes before him, and he has another address.
    await set_chain(xcom, jane, contact("joe", 60, email="new@example.org"))
    await xcom.push_until(lambda: len(mail.mails) == 4, 10)
    assert [one.recipients for one in mail.mails[1:]] == [
        ["jane@example.org"], ["joe@example.org"], ["new@example.org"],
    ]  # fmt: skip
    notified = await by_reason(xcom, message.id, "ESCALATION")
    assert [one.contact for one in notified] == ["jane", "joe", "joe"]
    for _ in range(10):
        await xcom.push(60)
        await xcom.channel("email")
    assert len(mail.mails) == 4


@pytest.mark.slow
async def test_a_clock_that_was_ahead_puts_the_next_contact_off_by_nothing(
    xcom: Xcom, mail: FakeMailServer, clock: PushedClock
) -> None:
    await xcom.start(**mail_settings(mail))
    await set_chain(
        xcom,
        contact("jane", 60, email="one@example.org"),
        contact("joe", 120, email="two@example.org"),
    )
    await xcom.send("HIGH", channels=["email"])
    await mail.wait_for(1)
    clock.set_time(clock.now() - timedelta(hours=2))
    before = clock.now()
    await xcom.push_until(lambda: len(mail.mails) == 2)
    assert clock.now() - before < timedelta(minutes=5)
    # From then on by the clock as it is.
    await xcom.push_until(lambda: len(mail.mails) == 3, 10)
    assert timedelta(seconds=100) < clock.now() - before < timedelta(minutes=10)


async def test_a_snooze_puts_the_next_contact_off_and_no_longer(
    xcom: Xcom, mail: FakeMailServer, clock: PushedClock
) -> None:
    await xcom.start(**mail_settings(mail))
    await set_chain(xcom, contact("jane", 60, email="one@example.org"))
    message = await xcom.send("HIGH", channels=["email"])
    await mail.wait_for(1)
    snoozed = await xcom.escalation.AckMessage(
        pb.AckMessageRequest(id=message.id, snooze=Duration(seconds=600))
    )
    assert not snoozed.HasField("acknowledged_time")
    for _ in range(9):
        await xcom.push(60)
        await xcom.channel("email")
    assert len(mail.mails) == 1
    await xcom.push_until(lambda: len(mail.mails) == 2, 10)


async def test_without_contacts_what_reached_nobody_in_time_goes_to_every_channel(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    hook.answer = lambda _received: Reply(503)
    await xcom.start(**hook_settings(hook), **mail_settings(mail), xcom_escalation_seconds=30)
    message = await xcom.send("HIGH", channels=["webhook"])
    await xcom.settled(message.id, "webhook")
    assert not mail.mails
    await xcom.push_until(lambda: bool(mail.mails))
    (fallback,) = await by_reason(xcom, message.id, "FALLBACK")
    assert fallback.channel == "email"
    assert (
        30
        <= (clock.now() - message.created_time.ToDatetime(clock.now().tzinfo)).total_seconds()
        <= 60
    )


async def test_what_no_contact_acknowledged_goes_to_every_channel_once(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    await set_chain(xcom, contact("jane", 60, email="one@example.org"))
    message = await xcom.send("HIGH", channels=["email"])
    await xcom.push_until(lambda: len(mail.mails) == 2, 10)
    assert not hook.received
    await xcom.push_until(lambda: bool(hook.received), 10)
    assert [one.channel for one in await by_reason(xcom, message.id, "FALLBACK")] == ["webhook"]
    await xcom.settled(message.id, "webhook")
    for _ in range(20):
        await xcom.push(60)
        await xcom.channel("email")
    assert (len(mail.mails), len(hook.received)) == (2, 1)


async def test_the_chain_is_shown_masked_and_keeps_what_comes_back_masked(
    xcom: Xcom, databases: Databases
) -> None:
    await xcom.start()
    chain = await set_chain(
        xcom, contact("jane", 60, email="secret.name@example.org", sms="+491701234567")
    )
    assert [one.address for one in chain.contacts[0].routes] == ["s***@example.org", "+49***67"]
    chain.contacts[0].wait.seconds = 90
    await xcom.escalation.UpdateEscalationChain(
        pb.UpdateEscalationChainRequest(escalation_chain=chain)
    )
    connection = await asyncpg.connect(databases.url("xcom"))
    stored = await connection.fetchval("select value::text from setting where name = 'chain'")
    await connection.close()
    assert "secret.name@example.org" in stored and "+491701234567" in stored and "90" in stored
    with pytest.raises(InvalidArgument, match="INVALID_FIELD"):
        await set_chain(xcom, contact("a", 60, email=""), contact("a", 60, sms=""))
    with pytest.raises(InvalidArgument, match="DESTINATION_REFUSED"):
        await set_chain(xcom, contact("a", 60, webhook="http://10.0.0.1/"))


async def test_two_addresses_that_look_the_same_both_stay_and_none_is_guessed(
    xcom: Xcom, databases: Databases
) -> None:
    await xcom.start()
    routes = [
        pb.ContactRoute(channel="sms", address=number)
        for number in ("+491701234567", "+491609999967")
    ]
    jane = pb.Contact(name="jane", wait=Duration(seconds=60), routes=routes)
    chain = await set_chain(xcom, jane)
    assert [one.address for one in chain.contacts[0].routes] == ["+49***67", "+49***67"]
    update = pb.UpdateEscalationChainRequest(escalation_chain=chain)
    chain = await xcom.escalation.UpdateEscalationChain(update)
    assert len(chain.contacts[0].routes) == 2
    connection = await asyncpg.connect(databases.url("xcom"))
    stored = await connection.fetchval("select value::text from setting where name = 'chain'")
    await connection.close()
    assert stored.index("+491701234567") < stored.index("+491609999967")
    for wrong in (
        pb.Contact(name="jane", wait=Duration(seconds=60), routes=chain.contacts[0].routes[:1]),
        # What is shown is no address for anybody else.
        pb.Contact(name="joe", wait=Duration(seconds=60), routes=chain.contacts[0].routes),
    ):
        with pytest.raises(InvalidArgument, match="DESTINATION_REFUSED"):
            await set_chain(xcom, wrong)
    hidden = pb.Channel(name="webhook", destination="https://hooks.example.com/***")
    mask = FieldMask(paths=["destination"])
    with pytest.raises(InvalidArgument, match="DESTINATION_REFUSED"):
        await xcom.channels.UpdateChannel(pb.UpdateChannelRequest(channel=hidden, update_mask=mask))


async def linked(xcom: Xcom, mail: FakeMailServer, **words: str) -> tuple[pb.Message, str]:
    await xcom.start(**mail_settings(mail), xcom_link_url="https://sonic.example.com/link")
    message = await xcom.send("HIGH", channels=["email"], **words)
    text = (await mail.wait_for(1))[0].text.replace("\n", "")
    found = re.search(r"https://sonic\.example\.com/link/([A-Za-z0-9_-]+)", text)
    assert found is not None
    return message, found[1]


async def test_a_message_whose_link_cannot_be_kept_is_sent_without_one(
    xcom: Xcom, mail: FakeMailServer, databases: Databases
) -> None:
    admin = await asyncpg.connect(databases.admin_url)
    await admin.execute("""
        create function xcom.refused() returns trigger language plpgsql as
            $$ begin raise exception using errcode = '40P01'; end $$;
        create trigger refused before insert on xcom.link execute function xcom.refused()
    """)
    await admin.close()
    await xcom.start(**mail_settings(mail), xcom_link_url="https://sonic.example.com/link")
    message = await xcom.send("HIGH", channels=["email"])
    sent = await xcom.settled(message.id, "email")
    assert (sent.state, len(sent.attempts)) == (pb.DELIVERY_STATE_SENT, 1)
    assert "https://sonic.example.com/link" not in mail.mails[0].text


async def test_a_link_shows_without_acting_acts_once_and_is_kept_as_a_hash(
    xcom: Xcom,
    mail: FakeMailServer,
    databases: Databases,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    message, token = await linked(xcom, mail)
    for _ in range(3):
        link = await xcom.escalation.PreviewLink(pb.PreviewLinkRequest(token=token))
        assert (link.message_id, link.HasField("used_time")) == (message.id, False)
        assert not link.HasField("acknowledged_time")
    use = pb.UseLinkRequest(token=token, action=pb.LINK_ACTION_ACKNOWLEDGE)
    used = await xcom.escalation.UseLink(use)
    assert used.HasField("used_time") and used.HasField("acknowledged_time")
    kept = await xcom.stub.GetMessage(pb.GetMessageRequest(id=message.id))
    assert kept.acknowledged_by == "link"
    assert token not in str(kept)
    with pytest.raises(FailedPrecondition, match="LINK_USED"):
        await xcom.escalation.UseLink(use)
    with pytest.raises(NotFound, match="LINK_NOT_FOUND"):
        await xcom.escalation.PreviewLink(pb.PreviewLinkRequest(token=token[:-1] + "!"))
    connection = await asyncpg.connect(databases.url("xcom"))
    rows = await connection.fetch(
        "select link::text as words from link union select message::text from message"
    )
    await connection.close()
    assert rows and not any(token in row["words"] for row in rows)
    assert token not in "".join(capfd.readouterr()) + caplog.text


async def test_a_link_that_is_too_old_does_nothing(
    xcom: Xcom, mail: FakeMailServer, clock: PushedClock
) -> None:
    message, token = await linked(xcom, mail)
    clock.advance(86401)
    for call in (
        xcom.escalation.PreviewLink(pb.PreviewLinkRequest(token=token)),
        xcom.escalation.UseLink(pb.UseLinkRequest(token=token, action=pb.LINK_ACTION_SNOOZE)),
    ):
        with pytest.raises(FailedPrecondition, match="LINK_EXPIRED"):
            await call
    kept = await xcom.stub.GetMessage(pb.GetMessageRequest(id=message.id))
    assert not kept.HasField("acknowledged_time") and not kept.HasField("snoozed_until_time")


async def test_a_contact_is_called_although_another_was_called_just_now(
    xcom: Xcom, twilio: FakeTwilio
) -> None:
    await xcom.start(**twilio_settings(twilio))
    await set_chain(xcom, contact("jane", 30, voice="+4930111222"))
    await xcom.send("HIGH", channels=["voice"])
    await xcom.push_until(lambda: len(twilio.calls) == 2)
    assert [one["To"] for one in twilio.calls] == ["+491701234567", "+4930111222"]
