"""Bursts, budgets, quiet hours, cooldowns: quiet messages wait together, a loud one never waits."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from sonic.xcom.v1 import xcom_pb2 as pb

from shared.clock import PushedClock
from tests.contract.xcom.conftest import START_TIME, Xcom, hook_settings, twilio_settings, until
from tests.fakes.databases import Databases
from tests.fakes.naps import Naps
from tests.fakes.twilio import FakeTwilio
from tests.fakes.webhook import FakeWebhook, Reply

# 3 quiet sends in a minute.
TIGHT = {"xcom_budget_count": 10, "xcom_budget_reserve": 7, "xcom_budget_seconds": 60}


async def sent(xcom: Xcom, count: int, level: str = "LOW") -> list[pb.Message]:
    return [
        await xcom.send(level, channels=["webhook"], subject=f"message {number}")
        for number in range(count)
    ]


async def states(xcom: Xcom, messages: list[pb.Message]) -> list[str]:
    found = [(await xcom.deliveries(one.id))["webhook"].state for one in messages]
    return [pb.DeliveryState.Name(state).removeprefix("DELIVERY_STATE_") for state in found]


@pytest.mark.slow
async def test_what_the_budget_does_not_hold_is_told_in_one_digest(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    await xcom.start(**hook_settings(hook), **TIGHT)
    first = [(await sent(xcom, 1))[0] for _ in range(3)]
    await hook.wait_for(3)
    assert len(first) == 3
    held = await sent(xcom, 30)
    loud = await xcom.send("HIGH", channels=["webhook"])
    await xcom.settled(loud.id, "webhook")
    assert len(hook.received) == 4
    await xcom.push_until(lambda: len(hook.received) == 5, 5)
    await until(lambda: all_sent(xcom, held))
    digest = hook.received[4].body
    assert digest["subject"] == "LOW: 30 messages: message 0; message 1; message 2; and 27 more"
    assert "- message 19" in digest["body"] and "and 10 more" in digest["body"]
    carried = [(await xcom.deliveries(one.id))["webhook"] for one in held]
    assert {one.digest_id for one in carried} == {hook.received[4].key}


async def all_sent(xcom: Xcom, messages: list[pb.Message]) -> bool | None:
    return set(await states(xcom, messages)) == {"SENT"} or None


async def test_a_digest_that_is_given_up_gives_up_what_it_carries_and_each_can_be_sent_again(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    await xcom.start(**hook_settings(hook), **TIGHT)
    await sent(xcom, 3)
    await hook.wait_for(3)
    hook.answer = lambda _received: Reply(410)
    held = await sent(xcom, 5)
    await xcom.push_until(lambda: len(hook.received) == 5, 5)

    async def dead() -> bool | None:
        # A final answer is asked once more before it is believed.
        xcom.clock.advance(5)
        return set(await states(xcom, held)) == {"DEAD"} or None

    await until(dead)
    one = (await xcom.deliveries(held[0].id))["webhook"]
    again = await xcom.stub.ResendDelivery(pb.ResendDeliveryRequest(id=one.id))
    assert (again.state, again.digest_id) == (pb.DELIVERY_STATE_QUEUED, "")


async def test_quiet_hours_hold_low_and_medium_and_let_high_through(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock
) -> None:
    await xcom.start(**hook_settings(hook))
    # The worker is up: what it is claiming at the moment of a change is claimed by the settings
    # before.
    await xcom.settled((await sent(xcom, 1))[0].id, "webhook")
    # 23:00 UTC is midnight in Berlin.
    hours = pb.QuietHours(start_minute=22 * 60, end_minute=7 * 60, time_zone="Europe/Berlin")
    changed = await xcom.set_channel("webhook", "quiet_hours", quiet_hours=hours)
    assert changed.quiet_now
    held = await sent(xcom, 2) + await sent(xcom, 1, "MEDIUM")
    loud = await xcom.send("HIGH", channels=["webhook"])
    await xcom.settled(loud.id, "webhook")
    clock.advance(6 * 3600)
    await xcom.settled((await xcom.send("HIGH", channels=["webhook"])).id, "webhook")
    assert set(await states(xcom, held)) == {"QUEUED"}
    over = START_TIME.replace(hour=6, day=START_TIME.day + 1, tzinfo=None)
    listed = await xcom.stub.ListDeliveries(
        pb.ListDeliveriesRequest(state=pb.DELIVERY_STATE_QUEUED)
    )
    assert {
        one.quiet_until_time.ToDatetime() for one in (*listed.deliveries, *held[0].deliveries)
    } == {over}
    assert not (await xcom.deliveries(loud.id))["webhook"].HasField("quiet_until_time")
    assert [one.body["level"] for one in hook.received[1:]] == ["HIGH", "HIGH"]
    await xcom.push_until(lambda: len(hook.received) == 6, 600)
    assert clock.now() >= START_TIME.replace(hour=6, day=START_TIME.day + 1)
    assert sorted(one.body["level"] for one in hook.received[3:]) == ["LOW", "LOW", "MEDIUM"]


async def test_a_budget_set_by_a_call_holds_for_its_channel(xcom: Xcom, hook: FakeWebhook) -> None:
    await xcom.start(**hook_settings(hook))
    await xcom.set_channel("webhook", "quiet_budget_count", quiet_budget_count=1)
    await sent(xcom, 1)
    await hook.wait_for(1)
    await sent(xcom, 2)
    loud = await xcom.send("HIGH", channels=["webhook"])
    await xcom.settled(loud.id, "webhook")
    assert [one.body["level"] for one in hook.received] == ["LOW", "HIGH"]


async def test_calls_rest_and_what_waited_is_spoken_in_one(
    xcom: Xcom, twilio: FakeTwilio, clock: PushedClock
) -> None:
    await xcom.start(
        **twilio_settings(twilio), xcom_escalation_seconds=86400, sms_cooldown_seconds=0
    )
    first = await xcom.send("HIGH", channels=["voice", "sms"])
    await xcom.settled(first.id, "voice")
    later = [
        await xcom.send("HIGH", channels=["voice", "sms"], subject=f"SOL {number}")
        for number in range(3)
    ]
    for message in later:
        await xcom.settled(message.id, "sms")
    clock.advance(40)
    await xcom.channel("voice")
    assert (len(twilio.calls), len(twilio.texts)) == (1, 4)
    await xcom.push_until(lambda: len(twilio.calls) == 2, 10)
    assert "3 messages" in twilio.calls[1]["Twiml"]

    async def carried() -> bool | None:
        clock.advance(1)
        found = [(await xcom.deliveries(one.id))["voice"].state for one in later]
        return set(found) == {pb.DELIVERY_STATE_SENT} or None

    await until(carried)


async def test_what_was_accepted_while_a_text_was_being_sent_rests_behind_it_too(
    xcom: Xcom, twilio: FakeTwilio, databases: Databases
) -> None:
    await xcom.start(**twilio_settings(twilio))
    first = await xcom.send("MEDIUM", channels=["sms"])
    await xcom.settled(first.id, "sms")
    second = await xcom.send("MEDIUM", channels=["sms"])
    admin = await asyncpg.connect(databases.admin_url)
    # As it is stored when nothing had been sent yet.
    moved = "update xcom.delivery set due_time = created_time where message_id = $1"
    await admin.execute(moved, second.id)
    await admin.close()
    for _ in range(8):
        await xcom.push(1)
    assert len(twilio.texts) == 1
    await xcom.push_until(lambda: len(twilio.texts) == 2)


@pytest.mark.slow
async def test_one_loud_message_overtakes_ten_thousand_quiet_ones(
    xcom: Xcom, hook: FakeWebhook, databases: Databases
) -> None:
    await xcom.start(**hook_settings(hook))
    connection = await asyncpg.connect(databases.url("xcom"))
    await connection.execute(
        "insert into message (id, request_id, level, subject, body, source, dedupe_key, facts,"
        " created_time,"
        " suppressed_reason, channels_reason, urgency) select 'm' || n, 'm' || n, 1, 'quiet ' ||"
        " n, '',"
        " 'alerts', '', '{}', $1, '', 'EXPLICIT', 4000 from generate_series(1, 10000) as n",
        START_TIME,
    )
    await connection.execute(
        "insert into delivery (id, message_id, channel, state, level, tries, due_time, last_error,"
        " provider_status, created_time, urgency)"
        " select 'd' || n, 'm' || n, 'webhook', 1, 1, 0, $1, '', '', $1, 4000"
        " from generate_series(1, 10000) as n",
        START_TIME,
    )
    async with Naps() as naps:
        await connection.execute("select pg_notify('xcom_delivery', '')")
        loud = await xcom.send("HIGH", channels=["webhook"])
        sent = await xcom.settled(loud.id, "webhook")
    assert sent.state == pb.DELIVERY_STATE_SENT
    assert naps.seconds < 10

    async def settled() -> bool | None:
        if not await connection.fetchval("select count(*) from delivery where state <> 2"):
            return True
        # What a busy machine made fail, a try or a look, is made again by the clock.
        await xcom.push(1)
        return None

    await until(settled)
    await connection.close()
    assert len(set(hook.keys)) == 2
    assert {str(one.body["subject"])[:4] for one in hook.received} == {"LOW:", "SOL "}


@pytest.mark.parametrize("level", ["LOW", "HIGH"])
async def test_a_lock_held_elsewhere_delays_quiet_ones_only(
    xcom: Xcom, hook: FakeWebhook, databases: Databases, level: str
) -> None:
    connection = await asyncpg.connect(databases.url("xcom"))
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("select pg_advisory_xact_lock(hashtextextended('xcom pace quiet', 0))")
    await connection.execute("select pg_advisory_xact_lock(hashtextextended('xcom pace high', 0))")
    await xcom.start(**hook_settings(hook))
    message = await xcom.send(level, channels=["webhook"])
    if level == "LOW":
        await asyncio.sleep(0.1)
        assert not hook.received
        await transaction.rollback()
        # It is looked at again soon, not at the next poll only.
        await xcom.push_until(lambda: bool(hook.received), 0.2)
        assert (xcom.clock.now() - START_TIME).total_seconds() < 4
    await xcom.settled(message.id, "webhook")
    await connection.close()
