"""The queue through the real server: tried again, given up, kept apart, and never sent twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import asyncpg
import pytest
from sonic.xcom.v1 import xcom_pb2 as pb

from services.xcom.calls.service.calls import CallService
from services.xcom.deliveries.service import deliveries
from services.xcom.deliveries.service.counts import DeliveryCounts
from services.xcom.deliveries.service.deliveries import DeliveryService, QueueRules
from services.xcom.domain.messages import RETRY_SECONDS, Draft, Level
from services.xcom.domain.settings import LevelDefaults
from services.xcom.escalation.service.links import Links
from services.xcom.messages.service.messages import MessageService
from services.xcom.senders.registry import Channels, ChannelSettings
from services.xcom.store.calls import CallStore
from services.xcom.store.deliveries import DeliveryStore
from services.xcom.store.messages import MessageStore
from services.xcom.store.queue import Queue
from shared.clock import PushedClock
from shared.database.pool import Database
from shared.metrics import Metrics
from tests.contract.xcom.conftest import Xcom, hook_settings, mail_settings, until
from tests.fakes.databases import Databases
from tests.fakes.mail import FakeMailServer
from tests.fakes.webhook import OK, STALL, FakeWebhook, Received, Reply


async def stored_elsewhere(xcom: Xcom, hook: FakeWebhook, request_id: str) -> str:
    """A message stored by a process that sends nothing: nobody in this server is told of it."""
    database = Database(xcom.database_url)
    channels = Channels(ChannelSettings.model_validate(hook_settings(hook)), xcom.clock)
    levels = LevelDefaults(dict.fromkeys(Level, ("webhook",)))
    service = MessageService(
        database.open(MessageStore),
        database.open(MessageStore),
        channels.by_name,
        levels,
        timedelta(seconds=300),
        timedelta(seconds=300),
        lambda _level: None,
        xcom.clock,
        "elsewhere",
        kept=timedelta(days=90),
        accepted=lambda _level: None,
    )
    message = await service.send(Draft(request_id, Level.HIGH, "subject", "body", "alerts"))
    await database.stop()
    return message.deliveries[0].id


async def test_a_receiver_that_fails_is_tried_again_later_with_the_same_key(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock
) -> None:
    hook.answer = lambda _received: Reply(503) if len(hook.received) < 2 else OK
    await xcom.start(**hook_settings(hook))
    message = await xcom.send()
    for tries, wait_seconds in ((1, 5), (2, 15)):
        waiting = await xcom.settled(message.id, "webhook", tries=tries)
        assert (waiting.state, waiting.tries) == (pb.DELIVERY_STATE_QUEUED, tries)
        assert (waiting.last_error, waiting.provider_status) == (
            "answered HTTP 503 Told",
            "HTTP 503 Told",
        )
        planned = waiting.due_time.ToDatetime() - waiting.attempts[-1].attempt_time.ToDatetime()
        # The clock may have been pushed once more, by a second, while the try was under way.
        assert wait_seconds <= planned.total_seconds() <= wait_seconds * 1.2 + 1
        clock.advance(wait_seconds - 0.1)
        await xcom.channel("webhook")
        assert len(hook.received) == tries
        await xcom.push_until(lambda seen=tries: len(hook.received) > seen)
    done = await xcom.settled(message.id, "webhook", tries=3)
    assert (done.state, done.tries) == (pb.DELIVERY_STATE_SENT, 3)
    assert [one.outcome for one in done.attempts] == [
        pb.ATTEMPT_OUTCOME_FAILED,
        pb.ATTEMPT_OUTCOME_FAILED,
        pb.ATTEMPT_OUTCOME_SENT,
    ]
    assert hook.keys == [done.id] * 3


@pytest.mark.slow
async def test_after_the_last_try_a_delivery_is_dead_with_its_reason(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock
) -> None:
    hook.answer = lambda _received: Reply(500)
    await xcom.start(**hook_settings(hook))
    message = await xcom.send("LOW", channels=["webhook"])
    for tries in range(1, 8):
        await xcom.settled(message.id, "webhook", tries=tries)
        await xcom.push_until(
            lambda seen=tries: len(hook.received) > seen, RETRY_SECONDS[min(tries, 5) - 1] / 5
        )
    dead = await xcom.settled(message.id, "webhook", tries=8)
    assert (dead.state, dead.tries) == (pb.DELIVERY_STATE_DEAD, 8)
    assert dead.last_error == "answered HTTP 500 Told"
    clock.advance(7200)
    state = await xcom.channel("webhook")
    assert (state.dead_count, state.queued_count, len(hook.received)) == (1, 0, 8)
    assert state.last_error == "answered HTTP 500 Told"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
async def test_a_refusal_for_good_that_is_repeated_is_dead(
    xcom: Xcom, hook: FakeWebhook, status: int
) -> None:
    hook.answer = lambda _received: Reply(status)
    await xcom.start(**hook_settings(hook))
    message = await xcom.send("LOW", channels=["webhook"])
    await xcom.settled(message.id, "webhook")
    await xcom.push_until(lambda: len(hook.received) == 2)
    dead = await xcom.settled(message.id, "webhook", tries=2)
    assert (dead.state, dead.tries) == (pb.DELIVERY_STATE_DEAD, 2)
    assert {one.outcome for one in dead.attempts} == {pb.ATTEMPT_OUTCOME_REFUSED}
    assert str(status) in dead.last_error


@pytest.mark.parametrize("status", [302, 408, 425, 429, 500, 503])
async def test_what_may_pass_is_tried_again(xcom: Xcom, hook: FakeWebhook, status: int) -> None:
    hook.answer = lambda _received: Reply(status, (("Location", f"{hook.url}/elsewhere"),))
    await xcom.start(**hook_settings(hook))
    message = await xcom.send()
    waiting = await xcom.settled(message.id, "webhook")
    assert waiting.state == pb.DELIVERY_STATE_QUEUED
    assert [one.path for one in hook.received] == ["/hook"]


@pytest.mark.parametrize(
    ("header", "least_seconds"),
    [("120", 120), ("Fri, 20 Nov 2026 23:02:00 GMT", 120), ("999999999999", 3600), ("soon", 5)],
)
async def test_a_receiver_says_when_to_come_again(
    xcom: Xcom, hook: FakeWebhook, header: str, least_seconds: float
) -> None:
    hook.answer = lambda _received: Reply(429, (("Retry-After", header),))
    await xcom.start(**hook_settings(hook))
    message = await xcom.send()
    waiting = await xcom.settled(message.id, "webhook")
    planned = waiting.due_time.ToDatetime() - waiting.attempts[0].attempt_time.ToDatetime()
    assert least_seconds <= planned.total_seconds() <= least_seconds * 1.2


async def test_a_receiver_that_never_answers_is_a_failed_try(xcom: Xcom, hook: FakeWebhook) -> None:
    hook.answer = lambda _received: STALL
    await xcom.start(**hook_settings(hook), webhook_timeout_seconds=0.2)
    message = await xcom.send()
    waiting = await xcom.settled(message.id, "webhook")
    assert waiting.state == pb.DELIVERY_STATE_QUEUED
    assert "no answer" in waiting.last_error


async def test_hanging_quiet_messages_do_not_delay_a_loud_one(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    hook.answer = lambda received: STALL if received.body["level"] == "LOW" else OK
    await xcom.start(**hook_settings(hook))
    for _ in range(12):
        await xcom.send("LOW", channels=["webhook"])
    await hook.wait_for(4)
    loud = await xcom.send("HIGH")
    async with asyncio.timeout(8):
        sent = await xcom.settled(loud.id, "webhook")
    assert sent.state == pb.DELIVERY_STATE_SENT
    assert len(hook.received) == 5


async def test_a_hanging_channel_does_not_delay_another(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    mail.hangs = True
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    messages = [await xcom.send("HIGH") for _ in range(8)]
    async with asyncio.timeout(8):
        sent = [await xcom.settled(message.id, "webhook") for message in messages]
    assert {one.state for one in sent} == {pb.DELIVERY_STATE_SENT}
    assert (await xcom.channel("email")).queued_count == 8


async def test_a_quick_channel_is_given_more_than_it_sends_at_once_and_they_can_be_called_back(
    xcom: Xcom,
    hook: FakeWebhook,
    clock: PushedClock,
    databases: Databases,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On a busy machine, too.
    monkeypatch.setattr(deliveries, "_QUICK_SECONDS", 30.0)
    await xcom.start(**hook_settings(hook))
    first = await xcom.send("MEDIUM", channels=["webhook"])
    await xcom.settled(first.id, "webhook")
    gate = asyncio.Event()
    hook.answer = lambda _received: Reply(after=gate)
    connection = await asyncpg.connect(databases.url("xcom"))
    unfinished = "select count(*) from attempt where outcome = 1"
    messages = [
        await xcom.send("MEDIUM", channels=["webhook"], incident_key=f"incident-{number}")
        for number in range(12)
    ]

    async def claimed() -> bool | None:
        return await connection.fetchval(unfinished) == 12 or None

    await until(claimed)
    await hook.wait_for(5)
    waiting = {one.id for one in messages} - {str(one.body["message_id"]) for one in hook.received}
    assert len(waiting) == 8
    called_back = waiting.pop()
    key = next(one.incident_key for one in messages if one.id == called_back)
    await xcom.send("LOW", incident_key=key, ends_incident=True)
    # Longer than they may lie here without another look.
    clock.advance(12)
    gate.set()
    for message in messages:
        if message.id != called_back:
            await xcom.settled(message.id, "webhook")
    assert called_back not in {str(one.body["message_id"]) for one in hook.received}
    state = (await xcom.deliveries(called_back))["webhook"].state
    assert state == pb.DELIVERY_STATE_CANCELLED
    await connection.close()


async def test_of_what_is_urgent_no_more_is_claimed_than_is_sent_at_once(
    xcom: Xcom, hook: FakeWebhook, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "_QUICK_SECONDS", 30.0)
    await xcom.start(**hook_settings(hook))
    first = await xcom.send("HIGH", channels=["webhook"])
    await xcom.settled(first.id, "webhook")
    gate = asyncio.Event()
    hook.answer = lambda _received: Reply(after=gate)
    messages = [await xcom.send("HIGH", channels=["webhook"]) for _ in range(12)]
    await hook.wait_for(5)
    connection = await asyncpg.connect(databases.url("xcom"))
    claimed = await connection.fetchval(
        "select count(*) from delivery where state = 1 and claimed_until is not null"
    )
    await connection.close()
    assert claimed == 4
    gate.set()
    for message in messages:
        await xcom.settled(message.id, "webhook")


@pytest.mark.slow
async def test_a_burst_over_two_servers_is_delivered_once_each(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    # Every message by itself: the budget holds them all.
    settings = hook_settings(hook) | mail_settings(mail) | {"xcom_budget_count": 1000}
    await xcom.start(**settings)
    await xcom.start(**settings)
    sent = await asyncio.gather(
        *(xcom.send("HIGH" if number % 2 else "MEDIUM") for number in range(200))
    )
    wanted = {one.channel: set[str]() for one in sent[0].deliveries}
    for message in sent:
        for delivery in message.deliveries:
            wanted[delivery.channel].add(delivery.id)

    async def look() -> bool | None:
        listed = await xcom.stub.ListChannels(pb.ListChannelsRequest())
        return sum(one.queued_count for one in listed.channels) == 0 or None

    await until(look)
    assert Counter(hook.keys) == Counter(wanted["webhook"])
    mailed = [str(one.message["Message-ID"]).strip("<>").partition("@")[0] for one in mail.mails]
    assert Counter(mailed) == Counter(wanted["email"])


async def test_what_was_stored_before_the_start_is_sent_after_it(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    key = await stored_elsewhere(xcom, hook, "alerts-1")
    await xcom.start(**hook_settings(hook))
    await hook.wait_for(1)
    assert hook.keys == [key]


async def test_a_message_stored_by_another_process_wakes_this_one_even_after_a_lost_connection(
    xcom: Xcom, hook: FakeWebhook, databases: Databases
) -> None:
    # The clock stands still: no poll ever comes, only a NOTIFY.
    await xcom.start(**hook_settings(hook))
    first = await stored_elsewhere(xcom, hook, "alerts-1")
    await hook.wait_for(1)
    admin = await asyncpg.connect(databases.admin_url)
    await admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'xcom-listener' and datname = current_database()"
    )
    await admin.close()
    second = await stored_elsewhere(xcom, hook, "alerts-2")
    await hook.wait_for(2)
    assert hook.keys == [first, second]


async def test_a_claim_that_ran_out_is_sent_again_and_counts_as_a_try(
    xcom: Xcom, hook: FakeWebhook, databases: Databases, clock: PushedClock
) -> None:
    key = await stored_elsewhere(xcom, hook, "alerts-1")
    await as_if_crashed(databases, clock, tries=1)
    await xcom.start(**hook_settings(hook))
    listed = await xcom.stub.ListDeliveries(pb.ListDeliveriesRequest())
    message_id = listed.deliveries[0].message_id
    clock.advance(29)
    await xcom.channel("webhook")
    assert not hook.received
    await xcom.push_until(lambda: bool(hook.received))
    sent = await xcom.settled(message_id, "webhook")
    assert (hook.keys, sent.state, sent.tries) == ([key], pb.DELIVERY_STATE_SENT, 2)


async def test_a_send_whose_claim_ran_out_begins_only_when_nobody_else_has_it(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock
) -> None:
    key = await stored_elsewhere(xcom, hook, "alerts-1")
    database = Database(xcom.database_url)
    slow, other = (sender(database, hook, clock) for _ in range(2))
    (late,) = (await slow.claim({})).attempts
    clock.advance(30)
    (taken,) = (await other.claim({})).attempts
    await slow.deliver(late)
    assert (late.try_number, taken.try_number, hook.keys) == (1, 2, [])
    # Late too, but nobody took it: its claim is made longer.
    clock.advance(30)
    await other.deliver(taken)
    await database.stop()
    assert hook.keys == [key]


def sender(database: Database, hook: FakeWebhook, clock: PushedClock) -> DeliveryService:
    """The queue of a process of its own."""
    channels = Channels(ChannelSettings.model_validate(hook_settings(hook)), clock).by_name
    rules = QueueRules(urgent=True)
    links = Links("", timedelta(days=1))
    calls = CallService(database.open(CallStore), channels, clock)
    counts = DeliveryCounts(Metrics(), channels)
    return DeliveryService(
        database.open(DeliveryStore), Queue(database), channels, rules, links, calls, counts, clock
    )


async def test_a_crash_in_the_last_try_sends_nothing_until_it_has_rested(
    xcom: Xcom, hook: FakeWebhook, databases: Databases, clock: PushedClock
) -> None:
    await stored_elsewhere(xcom, hook, "alerts-1")
    await as_if_crashed(databases, clock, tries=8)
    clock.advance(31)
    await xcom.start(**hook_settings(hook))

    async def look() -> pb.Delivery | None:
        listed = await xcom.stub.ListDeliveries(pb.ListDeliveriesRequest(channel="webhook"))
        return next((one for one in listed.deliveries if one.last_error), None)

    given_up = await until(look)
    assert (given_up.tries, hook.received) == (8, [])
    assert "cut short" in given_up.last_error
    # There is no other way to tell it: whether it arrived is not known.
    await xcom.push_until(lambda: bool(hook.received), 60)
    assert hook.keys == [given_up.id]


async def as_if_crashed(databases: Databases, clock: PushedClock, *, tries: int) -> None:
    """The one delivery as a worker leaves it that dies in this try."""
    connection = await asyncpg.connect(databases.url("xcom"))
    until_time = clock.now() + timedelta(seconds=30)
    await connection.execute(
        "update delivery set tries = $1, claimed_until = $2", tries, until_time
    )
    await connection.close()


async def test_a_clock_that_jumps_ahead_sends_nothing_twice(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock
) -> None:
    hook.answer = lambda _received: STALL
    await xcom.start(**hook_settings(hook))
    message = await xcom.send()
    await hook.wait_for(1)
    clock.advance(3600)
    await xcom.send("LOW", channels=["log"])
    other = await xcom.send("HIGH", channels=["log"])
    await xcom.settled(other.id, "log")
    assert len(hook.received) == 1
    assert (await xcom.deliveries(message.id))["webhook"].tries == 1


async def test_deliveries_of_a_channel_that_lost_its_settings_wait_and_say_why(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    await stored_elsewhere(xcom, hook, "alerts-1")
    await xcom.start()
    listed = await xcom.stub.ListDeliveries(pb.ListDeliveriesRequest())
    waiting = await xcom.settled(listed.deliveries[0].message_id, "webhook")
    assert waiting.state == pb.DELIVERY_STATE_QUEUED
    assert waiting.last_error == "not configured: needs WEBHOOK_URL, WEBHOOK_SECRET"


def test_the_fake_refuses_a_signature_by_another_key() -> None:
    received = Received("/", {"x-sonic-timestamp": "1", "x-sonic-signature": "v1=00"}, b"{}")
    assert not received.is_signed_with("key")
