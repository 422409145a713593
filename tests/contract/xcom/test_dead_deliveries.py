"""Nothing loud dies in silence: a final answer is asked twice, then everybody else hears it, and of
it.
"""

from __future__ import annotations

import asyncpg
import pytest
from google.protobuf.duration_pb2 import Duration
from sonic.xcom.v1 import xcom_pb2 as pb

from shared.clock import PushedClock
from tests.contract.xcom.conftest import Xcom, hook_settings, mail_settings, twilio_settings, until
from tests.contract.xcom.test_escalating import by_reason, contact, set_chain
from tests.fakes.databases import Databases
from tests.fakes.mail import FakeMailServer
from tests.fakes.twilio import FakeTwilio
from tests.fakes.webhook import OK, FakeWebhook, Reply

NOTICE = "HIGH could not be delivered by webhook: 404"


def refuses(hook: FakeWebhook, status: int = 404) -> None:
    hook.answer = lambda _received: Reply(status)


def subjects(mail: FakeMailServer) -> list[str]:
    return [str(one.message["Subject"]) for one in mail.mails]


@pytest.mark.parametrize("status", [400, 403, 404, 410])
async def test_one_final_answer_is_asked_once_more_before_it_is_believed(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock, status: int
) -> None:
    hook.answer = lambda _received: Reply(status) if not hook.received else OK
    await xcom.start(**hook_settings(hook))
    message = await xcom.send("HIGH")
    first = await xcom.settled(message.id, "webhook")
    assert (first.state, first.attempts[0].outcome) == (
        pb.DELIVERY_STATE_QUEUED,
        pb.ATTEMPT_OUTCOME_REFUSED,
    )
    wait = first.due_time.ToDatetime() - first.attempts[0].attempt_time.ToDatetime()
    assert 5 <= wait.total_seconds() <= 30
    await xcom.push_until(lambda: len(hook.received) == 2)
    assert (await xcom.settled(message.id, "webhook", tries=2)).state == pb.DELIVERY_STATE_SENT
    assert hook.keys == [first.id] * 2


@pytest.mark.slow
async def test_the_death_of_high_goes_to_every_channel_and_contact_at_once_and_is_told(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    refuses(hook)
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    await set_chain(
        xcom,
        contact("jane", 3600, email="one@example.org"),
        contact("joe", 3600, email="two@example.org"),
    )
    message = await xcom.send("HIGH", channels=["webhook"])
    dead = await xcom.refused(message.id, "webhook")
    await mail.wait_for(6)
    assert dead.state == pb.DELIVERY_STATE_DEAD
    everybody = ["jane@example.com", "one@example.org", "two@example.org"]
    for subject in (NOTICE, message.subject):
        assert (
            sorted(m.recipients[0] for m in mail.mails if m.message["Subject"] == subject)
            == everybody
        )
    assert message.subject in mail.mails[subjects(mail).index(NOTICE)].text
    for _ in range(30):
        await xcom.push(60)
        await xcom.channel("email")
    assert len(mail.mails) == 6


@pytest.mark.slow
async def test_the_death_of_a_word_about_a_death_is_told_no_further(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    refuses(hook)
    mail.reply = "554 no"
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    message = await xcom.send("HIGH", channels=["webhook"])
    await xcom.refused(message.id, "webhook")
    await xcom.refused(message.id, "email")
    for _ in range(60):
        await xcom.push(60)
        await xcom.channel("email")
    listed = await xcom.stub.ListMessages(pb.ListMessagesRequest(source="xcom"))
    notified = [one.subject for one in listed.messages if one.suppressed_reason == ""]
    # One for each of the two ways, whatever became of them.
    assert sorted(one.partition(":")[0] for one in notified) == [
        "HIGH could not be delivered by email",
        "HIGH could not be delivered by webhook",
    ]


async def test_several_that_die_on_one_way_are_one_word(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    refuses(hook)
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    for message in [await xcom.send("HIGH", channels=["webhook"]) for _ in range(3)]:
        await xcom.refused(message.id, "webhook")
    await mail.wait_for(4)
    assert subjects(mail).count(NOTICE) == 1


async def test_high_without_another_way_is_tried_again_ever_more_rarely_and_said_loudly(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock
) -> None:
    refuses(hook, 410)
    await xcom.start(**hook_settings(hook))
    message = await xcom.send("HIGH")
    await xcom.refused(message.id, "webhook")

    async def rests() -> pb.Delivery | None:
        found = (await xcom.deliveries(message.id))["webhook"]
        left = found.due_time.ToDatetime() - clock.now().replace(tzinfo=None)
        return found if left.total_seconds() > 600 else None

    waiting = await until(rests)
    assert waiting.state == pb.DELIVERY_STATE_QUEUED
    status = await xcom.channel("webhook")
    assert (status.dead_count, status.health) == (1, pb.CHANNEL_HEALTH_DEAD)
    count = len(hook.received)
    clock.advance(600)
    await xcom.channel("webhook")
    assert len(hook.received) == count
    hook.answer = lambda _received: OK
    await xcom.push_until(lambda: len(hook.received) > count, 60)
    sent = await xcom.settled(message.id, "webhook", tries=3)
    assert sent.state == pb.DELIVERY_STATE_SENT
    assert (await xcom.channel("webhook")).health == pb.CHANNEL_HEALTH_PROVEN


async def test_what_is_acknowledged_is_not_tried_for_ever(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock
) -> None:
    hook.answer = lambda _received: Reply(410)
    await xcom.start(**hook_settings(hook))
    message = await xcom.send("HIGH")
    await xcom.settled(message.id, "webhook")
    await xcom.escalation.AckMessage(pb.AckMessageRequest(id=message.id))
    assert (await xcom.refused(message.id, "webhook")).state == pb.DELIVERY_STATE_DEAD


async def test_a_medium_that_reaches_nobody_goes_to_the_other_channels_and_is_told(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    refuses(hook)
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    message = await xcom.send("MEDIUM", channels=["webhook"])
    await xcom.refused(message.id, "webhook")
    await mail.wait_for(2)
    assert sorted(subjects(mail)) == sorted([NOTICE.replace("HIGH", "MEDIUM"), message.subject])


async def test_the_death_of_an_action_is_told_to_people_but_the_action_is_not(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    refuses(hook)
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    message = await xcom.send("ACTION")
    dead = await xcom.refused(message.id, "webhook")
    await mail.wait_for(1)
    assert (subjects(mail), dead.state) == (
        [NOTICE.replace("HIGH", "ACTION")],
        pb.DELIVERY_STATE_DEAD,
    )


async def test_an_escalation_that_dies_goes_to_everybody_else(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer, twilio: FakeTwilio
) -> None:
    await xcom.start(**hook_settings(hook), **mail_settings(mail), **twilio_settings(twilio))
    mail.recipient_reply = "550 nobody here"
    await set_chain(
        xcom, contact("jane", 60, email="one@example.org"), contact("joe", 3600, sms="+4930111222")
    )
    message = await xcom.send("HIGH", channels=["webhook"])

    def joe_heard() -> bool:
        return "+4930111222" in {one["To"] for one in twilio.texts}

    await xcom.push_until(joe_heard, 5)
    notified = await by_reason(xcom, message.id, "ESCALATION")
    assert [one.contact for one in notified] == ["jane", "joe"]


async def test_a_contact_without_a_way_keeps_nobody_waiting(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    # No telegram is set, and the channel has no address of its own.
    await set_chain(
        xcom, contact("jane", 60, telegram=""), contact("joe", 3600, email="two@example.org")
    )
    await xcom.send("HIGH", channels=["webhook"])
    await xcom.push_until(lambda: len(mail.mails) == 1, 10)
    assert mail.mails[0].recipients == ["two@example.org"]


async def test_a_channel_that_lost_its_settings_is_no_dead_end(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    hook.answer = lambda _received: Reply(503)
    await xcom.start(**hook_settings(hook))
    message = await xcom.send("HIGH")
    await xcom.settled(message.id, "webhook")
    await xcom.app.stop()
    await xcom.start(**mail_settings(mail))
    await xcom.push_until(lambda: len(mail.mails) == 2, 5)
    notice = next(one for one in subjects(mail) if one != message.subject)
    assert notice == (
        "HIGH could not be delivered by webhook: not configured: needs WEBHOOK_URL, WEBHOOK_SECRET"
    )


async def test_two_ways_that_die_together_do_not_rely_on_each_other(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer, databases: Databases, clock: PushedClock
) -> None:
    refuses(hook)
    mail.reply = "554 no"
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    message = await xcom.send("HIGH", channels=["webhook", "email"])
    await xcom.refused(message.id, "webhook")
    await xcom.refused(message.id, "email")

    async def both_wait() -> bool | None:
        connection = await asyncpg.connect(databases.url("xcom"))
        count = await connection.fetchval(
            "select count(*) from delivery where state = 1 and spent_tries > 0 and message_id = $1",
            message.id,
        )
        await connection.close()
        return count == 2 or None

    await until(both_wait)


async def test_a_snoozed_high_whose_channel_is_dead_wakes_nobody(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    refuses(hook)
    await xcom.start(**hook_settings(hook), **mail_settings(mail))
    message = await xcom.send("HIGH", channels=["webhook"])
    await xcom.escalation.AckMessage(
        pb.AckMessageRequest(id=message.id, snooze=Duration(seconds=3600))
    )
    await xcom.refused(message.id, "webhook")
    await mail.wait_for(1)
    assert subjects(mail) == [NOTICE]
