"""Several destinations in one setting: each has its own delivery, key, receipt and answer."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from sonic.xcom.v1 import xcom_pb2 as pb

from shared.clock import PushedClock
from tests.contract.xcom.conftest import (
    SECRET,
    Xcom,
    hook_settings,
    mail_settings,
    twilio_settings,
    until,
)
from tests.fakes.databases import Databases
from tests.fakes.mail import FakeMailServer
from tests.fakes.twilio import FakeTwilio
from tests.fakes.webhook import OK, FakeWebhook, Reply


@pytest.fixture
async def other() -> AsyncIterator[FakeWebhook]:
    async with FakeWebhook() as server:
        yield server


def both(hook: FakeWebhook, other: FakeWebhook) -> dict[str, object]:
    return {"webhook_url": f"{hook.url} {other.url}", "webhook_secret": SECRET}


def as_json(hook: FakeWebhook) -> str:
    return hook.url.replace("http://", "json://user:canary@")


async def every(xcom: Xcom, message: pb.Message, tries: int = 1) -> list[pb.Delivery]:
    """The deliveries of a message, once one of them has this many tries and all have one."""

    async def look() -> list[pb.Delivery] | None:
        found = list((await xcom.stub.GetMessage(pb.GetMessageRequest(id=message.id))).deliveries)
        ended = [
            sum(one.outcome != pb.ATTEMPT_OUTCOME_UNFINISHED for one in delivery.attempts)
            for delivery in found
        ]
        if max(ended) < tries:
            xcom.clock.advance(1)
        return found if max(ended) >= tries and min(ended) >= 1 else None

    return await until(look)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("channel", ["webhook", "apprise"])
async def test_the_good_one_gets_it_once_while_the_bad_one_is_tried_again(
    xcom: Xcom, hook: FakeWebhook, other: FakeWebhook, channel: str
) -> None:
    other.answer = lambda _received: Reply(500) if len(other.received) < 3 else OK
    urls = f"{as_json(hook)} {as_json(other)}"
    await xcom.start(**both(hook, other), xcom_apprise_urls=urls)
    message = await xcom.send("HIGH", channels=[channel])
    assert len({one.id for one in message.deliveries}) == 2
    failing = [
        one for one in await every(xcom, message, 3) if one.state == pb.DELIVERY_STATE_QUEUED
    ]
    assert len(failing) == 1
    # Which of them it is, and none of its secrets.
    assert "2 of 2" in failing[0].destination
    assert "2 of 2" in failing[0].last_error and "HTTP 500" in failing[0].last_error
    assert "canary" not in str(failing) + str(await xcom.channel(channel))
    sent = await every(xcom, message, 4)
    assert {one.state for one in sent} == {pb.DELIVERY_STATE_SENT}
    assert (len(hook.received), len(other.received)) == (1, 4)
    if channel == "webhook":
        assert len(set(other.keys)) == 1
        assert set(hook.keys) | set(other.keys) == {one.id for one in message.deliveries}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("channel", ["webhook", "apprise"])
async def test_patience_and_a_final_answer_are_those_of_one_destination(
    xcom: Xcom, hook: FakeWebhook, other: FakeWebhook, channel: str
) -> None:
    hook.answer = lambda _received: Reply(429, (("Retry-After", "120"),))
    other.answer = lambda _received: Reply(403)
    await xcom.start(**both(hook, other), xcom_apprise_urls=f"{as_json(hook)} {as_json(other)}")
    message = await xcom.send("LOW", channels=[channel])
    found = await every(xcom, message, 2)
    waiting, dead = sorted(found, key=lambda one: one.state)
    assert (waiting.state, dead.state) == (pb.DELIVERY_STATE_QUEUED, pb.DELIVERY_STATE_DEAD)
    assert "1 of 2" in waiting.destination and "2 of 2" in dead.last_error
    wait = waiting.due_time.ToDatetime() - waiting.attempts[0].attempt_time.ToDatetime()
    assert 120 <= wait.total_seconds() <= 150
    assert (len(hook.received), len(other.received)) == (1, 2)


async def test_several_numbers_and_several_mail_addresses_are_told_each(
    xcom: Xcom, twilio: FakeTwilio, mail: FakeMailServer, databases: Databases
) -> None:
    numbers = ["+491701234567", "+4930111222"]
    settings = {**twilio_settings(twilio), "twilio_to": ", ".join(numbers)}
    settings |= {
        **mail_settings(mail),
        "smtp_default_recipient": "jane@example.com, joe@example.org",
    }
    await xcom.start(**settings)
    message = await xcom.send("HIGH", channels=["sms", "email"])
    await mail.wait_for(2)
    await xcom.push_until(lambda: len(twilio.texts) == 2)
    assert sorted(one["To"] for one in twilio.texts) == sorted(numbers)
    assert sorted(one.recipients[0] for one in mail.mails) == [
        "jane@example.com",
        "joe@example.org",
    ]
    assert {len(one.recipients) for one in mail.mails} == {1}
    shown = sorted(one.destination for one in message.deliveries)
    assert shown == [
        "+49***22, 2 of 2",
        "+49***67, 1 of 2",
        "j***@example.com, 1 of 2",
        "j***@example.org, 2 of 2",
    ]
    connection = await asyncpg.connect(databases.url("xcom"))
    rows = await connection.fetch("select delivery::text as words from delivery")
    await connection.close()
    assert not [row for row in rows if "+49" in row["words"] or "@example" in row["words"]]


async def test_a_test_of_a_channel_reaches_each_and_names_the_one_that_fails(
    xcom: Xcom, hook: FakeWebhook, other: FakeWebhook
) -> None:
    other.answer = lambda _received: Reply(500)
    await xcom.start(**both(hook, other))
    answer = await xcom.stub.TestChannel(pb.TestChannelRequest(channel="webhook"))
    assert not answer.ok
    assert "2 of 2" in answer.provider_status and "1 of 2" not in answer.provider_status
    assert (len(hook.received), len(other.received)) == (1, 1)


async def test_the_death_on_one_destination_is_told_on_the_other_and_names_it(
    xcom: Xcom, hook: FakeWebhook, other: FakeWebhook, clock: PushedClock
) -> None:
    other.answer = lambda _received: Reply(404)
    await xcom.start(**both(hook, other))
    await xcom.send("HIGH")
    await xcom.push_until(lambda: len(hook.received) == 2)
    notice = hook.received[1].body["subject"]
    assert notice.startswith("HIGH could not be delivered by webhook (")
    assert notice.endswith("2 of 2): 404")


async def test_a_destination_that_is_set_no_longer_is_no_dead_end(
    xcom: Xcom, hook: FakeWebhook, other: FakeWebhook, mail: FakeMailServer
) -> None:
    other.answer = lambda _received: Reply(503)
    await xcom.start(**both(hook, other))
    message = await xcom.send("HIGH")
    await every(xcom, message)
    await xcom.app.stop()
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    await xcom.push_until(lambda: len(mail.mails) == 2, 5)
    subjects = {str(one.message["Subject"]) for one in mail.mails}
    assert "set no longer" in str(subjects - {message.subject})
