"""Accepting is storing: what Send answers, refuses, repeats and merges, through the real server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sonic.xcom.v1 import xcom_pb2 as pb

import services.xcom
from shared.clock import PushedClock
from shared.database import migrations
from shared.errors import AlreadyExists, InvalidArgument, NotFound
from tests.contract.xcom.conftest import Xcom, hook_settings, mail_settings
from tests.contract.xcom.test_escalating import contact, set_chain
from tests.fakes.databases import Databases
from tests.fakes.mail import FakeMailServer
from tests.fakes.webhook import STALL, FakeWebhook


async def test_the_migrated_schema_equals_the_tables(databases: Databases) -> None:
    folder = Path(services.xcom.__file__).parent / "migrations"
    await migrations.check(databases.admin_url, "xcom", folder)


async def test_a_message_is_answered_with_one_queued_delivery_a_channel(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    hook.answer = lambda _received: STALL
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    message = await xcom.send(facts={"asset": "SOL", "limit": "-50.0"})
    assert [one.channel for one in message.deliveries] == ["email", "webhook"]
    assert {one.state for one in message.deliveries} == {pb.DELIVERY_STATE_QUEUED}
    assert message.channels_reason == "FALLBACK_ALL_CONFIGURED"
    kept = await xcom.stub.GetMessage(pb.GetMessageRequest(id=message.id))
    assert (kept.subject, kept.body, dict(kept.facts)) == (
        message.subject,
        message.body,
        {"asset": "SOL", "limit": "-50.0"},
    )
    assert kept.created_time == message.created_time


@pytest.mark.parametrize(
    ("level", "explicit", "channels", "reason"),
    [
        ("LOW", [], ["email"], "LEVEL_MAP"),
        ("MEDIUM", [], ["email", "webhook"], "FALLBACK_ALL_CONFIGURED"),
        ("HIGH", [], ["email", "webhook"], "FALLBACK_ALL_CONFIGURED"),
        ("HIGH", ["Webhook"], ["webhook"], "EXPLICIT"),
        ("LOW", ["sms", "webhook"], ["webhook"], "EXPLICIT"),
        ("LOW", ["sms"], ["email", "webhook"], "FALLBACK_ALL_CONFIGURED"),
        ("LOW", ["log"], ["log"], "EXPLICIT"),
    ],
)
async def test_channels_follow_the_level_the_wish_or_everything_that_is_configured(
    xcom: Xcom,
    hook: FakeWebhook,
    mail: FakeMailServer,
    level: str,
    explicit: list[str],
    channels: list[str],
    reason: str,
) -> None:
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    message = await xcom.send(level, channels=explicit)
    assert ([one.channel for one in message.deliveries], message.channels_reason) == (
        channels,
        reason,
    )


async def test_with_nothing_configured_the_log_is_the_last_resort(xcom: Xcom) -> None:
    await xcom.start()
    message = await xcom.send("HIGH")
    assert [one.channel for one in message.deliveries] == ["log"]
    delivery = await xcom.settled(message.id, "log")
    assert delivery.state == pb.DELIVERY_STATE_SENT


async def test_the_same_request_again_answers_the_first_message_and_sends_nothing_more(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    await xcom.start(**hook_settings(hook))
    first = await xcom.send(request_id="alerts-1")
    again = await asyncio.gather(*(xcom.send(request_id="alerts-1") for _ in range(5)))
    assert {one.id for one in again} == {first.id}
    await xcom.settled(first.id, "webhook")
    assert hook.keys == [first.deliveries[0].id]


async def test_one_request_sent_many_times_at_once_is_one_message(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    await xcom.start(**hook_settings(hook))
    answers = await asyncio.gather(
        *(xcom.send(request_id="alerts-9", dedupe_key="a:i:HIGH") for _ in range(20))
    )
    assert len({one.id for one in answers}) == 1
    assert {one.suppressed_reason for one in answers} == {""}
    await xcom.settled(answers[0].id, "webhook")
    assert len(hook.received) == 1


@pytest.mark.parametrize(
    "other",
    [{"subject": "other"}, {"body": "other"}, {"level": "LOW"}, {"facts": {"asset": "BTC"}}],
)
async def test_other_content_under_a_used_request_id_is_refused(
    xcom: Xcom, other: dict[str, object]
) -> None:
    await xcom.start()
    first = await xcom.send(request_id="alerts-1")
    with pytest.raises(AlreadyExists) as refused:
        await xcom.send(**{"request_id": "alerts-1"} | other)
    assert refused.value.reason == "REQUEST_ID_REUSED"
    assert refused.value.metadata == {"message_id": first.id}
    listed = await xcom.stub.ListMessages(pb.ListMessagesRequest())
    assert [one.id for one in listed.messages] == [first.id]


async def test_a_key_told_within_the_window_is_stored_and_not_told_again(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock
) -> None:
    await xcom.start(**hook_settings(hook))
    first = await xcom.send(dedupe_key="alert:incident:HIGH")
    clock.advance(299)
    second = await xcom.send(dedupe_key="alert:incident:HIGH")
    assert (second.suppressed_reason, list(second.deliveries)) == ("DUPLICATE", [])
    assert second.id != first.id
    assert (
        await xcom.stub.GetMessage(pb.GetMessageRequest(id=second.id))
    ).suppressed_reason == "DUPLICATE"
    other = await xcom.send(dedupe_key="alert:incident:other")
    clock.advance(2)
    later = await xcom.send(dedupe_key="alert:incident:HIGH")
    assert (other.suppressed_reason, later.suppressed_reason) == ("", "")
    await hook.wait_for(3)
    assert sorted(hook.keys) == sorted(one.deliveries[0].id for one in (first, other, later))


async def test_the_same_key_at_once_is_told_once(xcom: Xcom, hook: FakeWebhook) -> None:
    await xcom.start(**hook_settings(hook))
    answers = await asyncio.gather(
        *(xcom.send(dedupe_key="alert:incident:HIGH") for _ in range(10))
    )
    assert sorted(one.suppressed_reason for one in answers) == [""] + ["DUPLICATE"] * 9


async def test_a_louder_message_is_never_a_duplicate_of_a_quieter_one(xcom: Xcom) -> None:
    await xcom.start()
    quiet = await xcom.send("LOW", dedupe_key="alert:incident")
    loud = await xcom.send("HIGH", dedupe_key="alert:incident")
    quiet_again = await xcom.send("MEDIUM", dedupe_key="alert:incident")
    assert [one.suppressed_reason for one in (quiet, loud, quiet_again)] == ["", "", "DUPLICATE"]


async def test_an_unknown_channel_is_refused_with_the_known_ones(xcom: Xcom) -> None:
    await xcom.start()
    with pytest.raises(InvalidArgument, match="email, sms, voice, webhook, slack") as refused:
        await xcom.send(channels=["pigeon"])
    assert refused.value.reason == "UNKNOWN_NAME"
    with pytest.raises(InvalidArgument, match="UNKNOWN_NAME"):
        await xcom.stub.ListDeliveries(pb.ListDeliveriesRequest(channel="pigeon"))
    with pytest.raises(NotFound, match="MESSAGE_NOT_FOUND"):
        await xcom.stub.ListDeliveries(pb.ListDeliveriesRequest(message_id="nope"))


@pytest.mark.parametrize(
    "fields",
    [
        {"subject": "a\x00b"},
        {"body": "\x00"},
        {"source": "\x00"},
        {"dedupe_key": "\x00"},
        {"facts": {"a": "\x00"}},
        {"facts": {str(number): "x" * 4000 for number in range(9)}},
    ],
)
async def test_what_cannot_be_stored_is_refused_by_name(
    xcom: Xcom, fields: dict[str, object]
) -> None:
    await xcom.start()
    with pytest.raises(InvalidArgument) as refused:
        await xcom.send(**fields)
    assert refused.value.reason == "INVALID_FIELD"
    assert list(refused.value.fields) == list(fields)


KEY = "9f3c" * 16


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("subject", {"subject": f"key {KEY}"}),
        ("body", {"body": f"line\nkey {KEY}\nline"}),
        ("request_id", {"request_id": KEY}),
        ("dedupe_key", {"dedupe_key": KEY}),
        ("facts", {"facts": {"note": KEY}}),
        ("facts", {"facts": {"ledger_head": f"0x{KEY}"}}),
        ("source", {"source": KEY}),
    ],
)
async def test_a_private_key_is_sent_to_nobody_and_not_stored(
    xcom: Xcom, field: str, fields: dict[str, object]
) -> None:
    await xcom.start()
    with pytest.raises(InvalidArgument) as refused:
        await xcom.send(**fields)
    assert (refused.value.reason, list(refused.value.fields)) == ("PRIVATE_KEY_REFUSED", [field])
    assert KEY not in str(refused.value)
    assert not (await xcom.stub.ListMessages(pb.ListMessagesRequest())).messages


async def test_the_head_of_the_ledger_goes_out_with_an_alert(xcom: Xcom) -> None:
    await xcom.start()
    assert dict((await xcom.send(facts={"ledger_head": KEY})).facts) == {"ledger_head": KEY}


@pytest.mark.parametrize(
    "fields", [{"request_id": ""}, {"subject": ""}, {"subject": "x" * 301}, {"source": ""}]
)
async def test_a_message_without_what_it_needs_is_refused(
    xcom: Xcom, fields: dict[str, object]
) -> None:
    await xcom.start()
    with pytest.raises(InvalidArgument) as refused:
        await xcom.send(**fields)
    assert list(refused.value.fields) == list(fields)


async def test_a_message_that_is_not_there_is_not_found(xcom: Xcom) -> None:
    await xcom.start()
    with pytest.raises(NotFound, match="MESSAGE_NOT_FOUND"):
        await xcom.stub.GetMessage(pb.GetMessageRequest(id="msg-none"))


async def test_messages_and_deliveries_are_listed_newest_first_in_pages(xcom: Xcom) -> None:
    await xcom.start()
    sent = [await xcom.send("LOW" if number % 2 else "HIGH") for number in range(5)]
    newest = [one.id for one in reversed(sent)]
    page = await xcom.stub.ListMessages(pb.ListMessagesRequest(page_size=3))
    rest = await xcom.stub.ListMessages(
        pb.ListMessagesRequest(page_size=3, page_token=page.next_page_token)
    )
    assert [one.id for one in (*page.messages, *rest.messages)] == newest
    assert not rest.next_page_token
    assert all(one.deliveries[0].channel == "log" for one in page.messages)
    low = await xcom.stub.ListMessages(pb.ListMessagesRequest(level=pb.LEVEL_LOW))
    assert [one.id for one in low.messages] == [sent[3].id, sent[1].id]
    assert not (await xcom.stub.ListMessages(pb.ListMessagesRequest(source="cyclone"))).messages
    deliveries = await xcom.stub.ListDeliveries(pb.ListDeliveriesRequest(page_size=2))
    assert [one.message_id for one in deliveries.deliveries] == newest[:2]
    assert deliveries.deliveries[0].subject == sent[0].subject
    with pytest.raises(InvalidArgument, match="PAGE_TOKEN_MISMATCH"):
        await xcom.stub.ListDeliveries(
            pb.ListDeliveriesRequest(
                channel="log", page_size=2, page_token=deliveries.next_page_token
            )
        )
    with pytest.raises(InvalidArgument, match="BAD_PAGE_TOKEN"):
        await xcom.stub.ListMessages(pb.ListMessagesRequest(page_token="none"))


async def test_messages_of_these_incidents_are_listed_however_many_came_since(xcom: Xcom) -> None:
    await xcom.start()
    first = await xcom.send(incident_key="alert-1.1")
    second = await xcom.send("LOW", incident_key="alert-2.1", subject="another")
    await xcom.send(incident_key="alert-3.1")
    await xcom.send()

    async def ids(**wanted: object) -> list[str]:
        listed = await xcom.stub.ListMessages(pb.ListMessagesRequest(**wanted))
        return [one.id for one in listed.messages]

    assert await ids(incident_keys=["alert-1.1", "alert-2.1", "alert-9.9"]) == [second.id, first.id]
    assert await ids(incident_keys=["alert-9.9"]) == []
    with pytest.raises(InvalidArgument, match="INVALID_FIELD"):
        await ids(incident_keys=[""])
    page = await xcom.stub.ListMessages(
        pb.ListMessagesRequest(page_size=1, incident_keys=["alert-1.1", "alert-2.1"])
    )
    with pytest.raises(InvalidArgument, match="PAGE_TOKEN_MISMATCH"):
        await ids(page_token=page.next_page_token, incident_keys=["alert-3.1"])


async def test_clearing_keeps_what_waits_and_remembers_every_request(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    hook.answer = lambda _received: STALL
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    sent = await xcom.send("LOW", request_id="alerts-1")
    await xcom.settled(sent.id, "email")
    waiting = await xcom.send("HIGH", request_id="alerts-2")
    await xcom.settled(waiting.id, "email")
    with pytest.raises(InvalidArgument, match="NOT_CONFIRMED"):
        await xcom.stub.ClearData(pb.ClearDataRequest(confirm="yes"))
    cleared = await xcom.stub.ClearData(pb.ClearDataRequest(confirm="clear"))
    assert cleared.deleted_count == 2
    left = await xcom.stub.ListMessages(pb.ListMessagesRequest())
    assert [one.id for one in left.messages] == [waiting.id]
    assert (await xcom.deliveries(waiting.id))["webhook"].state == pb.DELIVERY_STATE_QUEUED
    again = await xcom.send("LOW", request_id="alerts-1")
    assert (again.id, list(again.deliveries)) == (sent.id, [])
    assert again.created_time == sent.created_time
    with pytest.raises(AlreadyExists):
        await xcom.send("LOW", request_id="alerts-1", subject="other")
    assert len(mail.mails) == 2


async def test_clearing_keeps_what_still_goes_to_contacts(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    await set_chain(xcom, contact("jane", 60, email="one@example.org"))
    raised = await xcom.send("HIGH", channels=["webhook"])
    await xcom.settled(raised.id, "webhook")
    assert (await xcom.stub.ClearData(pb.ClearDataRequest(confirm="clear"))).deleted_count == 0
    await xcom.push_until(lambda: len(mail.mails) == 1, 10)
    assert mail.mails[0].recipients == ["one@example.org"]
