"""What really arrives by each channel, how a channel is tested, and what is shown of it."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from datetime import UTC, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sonic.xcom.v1 import xcom_pb2 as pb

from services.xcom.domain.messages import DeliveryAttempt, Level
from services.xcom.senders import email as email_channel
from services.xcom.senders import registry, transport
from services.xcom.senders.email import Email, EmailSettings
from shared.clock import PushedClock
from shared.errors import FailedPrecondition, InvalidArgument
from tests.contract.xcom.conftest import (
    RECIPIENT,
    SECRET,
    START_TIME,
    Xcom,
    hook_settings,
    mail_settings,
)
from tests.fakes.mail import FakeMailServer
from tests.fakes.webhook import OK, FakeWebhook, Reply

ATTEMPT = DeliveryAttempt(
    delivery_id="dlv-1",
    message_id="msg-1",
    channel="email",
    level=Level.HIGH,
    subject="subject",
    body="body",
    source="alerts",
    facts={},
    created_time=START_TIME,
)


async def test_a_mail_arrives_with_its_text_and_its_marks(xcom: Xcom, mail: FakeMailServer) -> None:
    await xcom.start(**mail_settings(mail), smtp_sender="sonic@example.org")
    body = (
        "SOL long, wallet „Main“\nprice 92.10 USD\n.\nliquidation 88.40 USD – distance 4.0 %\n"
        + "ä" * 300
    )
    message = await xcom.send("HIGH", subject="HIGH: SOL – 4 %\r\nBcc: all@example.com", body=body)
    delivery = await xcom.settled(message.id, "email")
    (received,) = mail.mails
    assert received.text == body
    assert received.message["Subject"] == "HIGH: SOL – 4 % Bcc: all@example.com"
    assert received.message["Bcc"] is None
    assert (received.sender, received.recipients) == ("sonic@example.org", [RECIPIENT])
    assert received.message["Message-ID"] == f"<{delivery.id}@example.org>"
    assert received.message["X-Sonic-Level"] == "HIGH"
    assert received.message["X-Sonic-Message-Id"] == message.id
    assert received.message["Date"].datetime == START_TIME
    assert (delivery.state, delivery.provider_status) == (
        pb.DELIVERY_STATE_SENT,
        "250 OK queued as 1A2B",
    )


async def test_a_mail_without_a_body_says_its_subject(xcom: Xcom, mail: FakeMailServer) -> None:
    await xcom.start(**mail_settings(mail))
    await xcom.send("LOW", body="")
    assert (await mail.wait_for(1))[0].text == "SOL long travel -75.3 %"


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        ("550 mailbox full of nothing", pb.DELIVERY_STATE_DEAD),
        ("451 come again", pb.DELIVERY_STATE_QUEUED),
    ],
)
async def test_a_mail_server_refuses_for_good_or_for_now(
    xcom: Xcom, mail: FakeMailServer, reply: str, state: pb.DeliveryState.ValueType
) -> None:
    await xcom.start(**mail_settings(mail))
    mail.reply = reply
    by_mail = await xcom.send("LOW")
    mail.recipient_reply = reply.replace("mailbox", f"<{RECIPIENT}>")
    by_recipient = await xcom.send("LOW")
    for message in (by_mail, by_recipient):
        if state == pb.DELIVERY_STATE_DEAD:
            delivery = await xcom.refused(message.id, "email")
        else:
            delivery = await xcom.settled(message.id, "email")
        assert (delivery.state, delivery.provider_status[:3]) == (state, reply[:3])
        assert RECIPIENT not in delivery.provider_status + delivery.last_error


async def test_a_login_is_made_when_there_is_one(xcom: Xcom) -> None:
    async with FakeMailServer(login=("jane", "right")) as mail:
        await xcom.start(**mail_settings(mail), smtp_username="jane", smtp_password="right")
        await xcom.send("LOW")
        await mail.wait_for(1)
        assert mail.logins == [("jane", "right")]


async def test_a_wrong_password_waits_for_a_right_one_and_is_not_shown(xcom: Xcom) -> None:
    async with FakeMailServer(login=("jane", "right")) as mail:
        await xcom.start(**mail_settings(mail), smtp_username="jane", smtp_password="wrong-canary")
        message = await xcom.send("LOW")
        delivery = await xcom.settled(message.id, "email")
        assert (delivery.state, delivery.provider_status[:3]) == (pb.DELIVERY_STATE_QUEUED, "535")
        assert "wrong-canary" not in str(delivery)


async def test_a_password_never_goes_over_an_open_line_to_another_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with FakeMailServer(login=("jane", "right")) as mail:
        # The fake stands in for a far host: all that differs is how its name is judged.
        monkeypatch.setattr(email_channel.Email, "_is_loopback", False)
        settings = EmailSettings.model_validate(
            mail_settings(mail) | {"smtp_username": "jane", "smtp_password": "right"}
        )
        answer = await Email(settings).send(ATTEMPT)
        assert not answer.accepted
        assert "password is not sent" in answer.error
        assert mail.logins == []


async def test_the_line_is_encrypted_when_that_is_offered(xcom: Xcom, tmp_path: Path) -> None:
    async with FakeMailServer(
        login=("jane", "right"), tls_context=own_certificate(tmp_path), require_starttls=True
    ) as mail:
        await xcom.start(**mail_settings(mail), smtp_username="jane", smtp_password="right")
        await xcom.send("LOW")
        await mail.wait_for(1)


async def test_a_far_host_must_prove_who_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FakeMailServer(tls_context=own_certificate(tmp_path)) as mail:
        monkeypatch.setattr(email_channel.Email, "_is_loopback", False)
        answer = await Email(EmailSettings.model_validate(mail_settings(mail))).send(ATTEMPT)
        assert not answer.accepted
        assert mail.mails == []


def own_certificate(folder: Path) -> ssl.SSLContext:
    """Signed by nobody but itself."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    words = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "
        "/CN=mail.test"
    )
    subprocess.run(
        ["openssl", *words.split(), "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_checked_address_is_asked_for_by_its_name_and_must_prove_it(tmp_path: Path) -> None:
    asked: list[str | None] = []
    context = own_certificate(tmp_path)
    context.sni_callback = lambda _connection, name, _context: asked.append(name)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]

    async def address_of(host: str, port: int) -> str:
        return "127.0.0.1"

    async with server, transport.Client(address_of) as client:
        with pytest.raises(ssl.SSLCertVerificationError):
            await client.post(f"https://hook.invalid:{port}/", {}, b"")
    assert asked == ["hook.invalid"]


async def test_a_webhook_arrives_signed_and_complete(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock
) -> None:
    await xcom.start(**hook_settings(hook), webhook_key_id="2026-a")
    message = await xcom.send("HIGH", facts={"asset": "SOL"}, subject="Grüße – 4 %")
    delivery = await xcom.settled(message.id, "webhook")
    (received,) = hook.received
    assert received.is_signed_with(SECRET)
    assert not received.is_signed_with("another secret")
    assert received.headers["content-type"] == "application/json"
    assert received.headers["x-sonic-key-id"] == "2026-a"
    assert received.headers["x-sonic-timestamp"] == str(int(clock.now().timestamp()))
    assert received.key == delivery.id
    assert received.body == {
        "message_id": message.id,
        "delivery_id": delivery.id,
        "level": "HIGH",
        "reason": "RAISED",
        "subject": "Grüße – 4 %",
        "body": message.body,
        "source": "alerts",
        "facts": {"asset": "SOL"},
        "created_time": message.created_time.ToDatetime(UTC).isoformat().replace("+00:00", "Z"),
    }
    assert (delivery.state, delivery.provider_status) == (pb.DELIVERY_STATE_SENT, "HTTP 200 Told")


async def test_each_try_is_signed_at_its_own_time(xcom: Xcom, hook: FakeWebhook) -> None:
    hook.answer = lambda _received: Reply(503) if not hook.received else OK
    await xcom.start(**hook_settings(hook))
    message = await xcom.send()
    await xcom.settled(message.id, "webhook")
    await xcom.push_until(lambda: len(hook.received) == 2)
    first, second = hook.received
    assert int(second.headers["x-sonic-timestamp"]) >= int(first.headers["x-sonic-timestamp"]) + 5
    assert second.is_signed_with(SECRET)
    assert first.raw == second.raw


async def test_a_channel_is_tested_at_once_and_remembers_when(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock
) -> None:
    await xcom.start(**hook_settings(hook))
    assert not (await xcom.channel("webhook")).HasField("verified_time")
    answer = await xcom.stub.TestChannel(pb.TestChannelRequest(channel="Webhook"))
    assert (answer.ok, answer.provider_status) == (True, "HTTP 200 Told")
    assert hook.received[0].body["source"] == "test"
    state = await xcom.channel("webhook")
    assert state.verified_time.ToDatetime(UTC) == clock.now()
    assert not state.HasField("last_sent_time")
    hook.answer = lambda _received: Reply(500)
    clock.advance(60)
    failed = await xcom.stub.TestChannel(pb.TestChannelRequest(channel="webhook"))
    assert (failed.ok, failed.provider_status) == (False, "answered HTTP 500 Told")
    after = await xcom.channel("webhook")
    assert after.verified_time == state.verified_time
    assert after.last_error == "answered HTTP 500 Told"
    assert after.last_error_time.ToDatetime(UTC) == clock.now()
    assert not (await xcom.stub.ListMessages(pb.ListMessagesRequest())).messages


@pytest.mark.parametrize(
    ("settings", "channel", "missing"),
    [
        ({}, "email", ["SMTP_SERVER", "SMTP_DEFAULT_RECIPIENT"]),
        ({"smtp_server": "localhost"}, "email", ["SMTP_DEFAULT_RECIPIENT"]),
        (
            {
                "smtp_server": "localhost",
                "smtp_default_recipient": RECIPIENT,
                "smtp_username": "jane",
            },
            "email",
            ["SMTP_PASSWORD"],
        ),
        ({"webhook_url": "http://localhost:9/"}, "webhook", ["WEBHOOK_SECRET"]),
        ({"webhook_secret": "key"}, "webhook", ["WEBHOOK_URL"]),
    ],
)
async def test_a_channel_names_what_it_lacks(
    xcom: Xcom, settings: dict[str, object], channel: str, missing: list[str]
) -> None:
    await xcom.start(**settings)
    state = await xcom.channel(channel)
    assert (state.configured, list(state.missing_settings)) == (False, missing)
    with pytest.raises(FailedPrecondition) as refused:
        await xcom.stub.TestChannel(pb.TestChannelRequest(channel=channel))
    assert refused.value.reason == "CHANNEL_NOT_CONFIGURED"
    assert all(name in refused.value.message for name in missing)


async def test_a_channel_that_does_not_exist_cannot_be_tested(xcom: Xcom) -> None:
    await xcom.start()
    with pytest.raises(InvalidArgument, match="UNKNOWN_NAME"):
        await xcom.stub.TestChannel(pb.TestChannelRequest(channel="pigeon"))


async def test_channels_are_listed_masked_with_their_counts(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    hook.answer = lambda _received: Reply(404)
    mail.reply = "451 later"
    url = hook.url.replace("http://", "http://jane:canary@") + "?token=canary"
    await xcom.start(**mail_settings(mail), webhook_url=url, webhook_secret="canary")
    message = await xcom.send("HIGH")
    await xcom.settled(message.id, "email")
    await xcom.refused(message.id, "webhook")
    listed = await xcom.stub.ListChannels(pb.ListChannelsRequest())
    by_name = {one.name: one for one in listed.channels}
    assert list(by_name) == sorted(registry.NAMES)
    assert {name for name, one in by_name.items() if one.configured} == {"email", "log", "webhook"}
    assert all(one.configured is not bool(one.missing_settings) for one in listed.channels)
    # By mail also the word of the webhook's death.
    assert (by_name["email"].queued_count, by_name["webhook"].dead_count) == (2, 1)
    assert (by_name["email"].health, by_name["webhook"].health, by_name["sms"].health) == (
        pb.CHANNEL_HEALTH_FAILING,
        pb.CHANNEL_HEALTH_DEAD,
        pb.CHANNEL_HEALTH_OFF,
    )
    assert by_name["email"].destination == "j***@example.com"
    assert by_name["webhook"].destination == f"http://***@{urlsplit(hook.url).netloc}/***"
    assert by_name["webhook"].last_error_time.ToDatetime(UTC) <= clock.now()
    assert "canary" not in str(listed)
    assert hook.received[0].headers["authorization"].startswith("Basic ")


async def test_a_receipt_of_a_clock_that_was_ahead_hides_no_failure(
    xcom: Xcom, mail: FakeMailServer, clock: PushedClock
) -> None:
    await xcom.start(**mail_settings(mail))
    right = clock.now()
    clock.set_time(right + timedelta(days=2))
    assert (await xcom.stub.TestChannel(pb.TestChannelRequest(channel="email"))).ok
    assert (await xcom.channel("email")).health == pb.CHANNEL_HEALTH_PROVEN
    clock.set_time(right)
    assert (await xcom.channel("email")).health == pb.CHANNEL_HEALTH_UNPROVEN
    mail.reply = "451 later"
    assert not (await xcom.stub.TestChannel(pb.TestChannelRequest(channel="email"))).ok
    assert (await xcom.channel("email")).health == pb.CHANNEL_HEALTH_FAILING


async def test_a_test_in_flight_ends_when_the_channel_hangs(
    xcom: Xcom, mail: FakeMailServer
) -> None:
    mail.hangs = True
    await xcom.start(**mail_settings(mail), smtp_timeout_seconds=0.3)
    async with asyncio.timeout(45):
        answer = await xcom.stub.TestChannel(pb.TestChannelRequest(channel="email"))
    assert not answer.ok
