"""People answer by SMS and Telegram: read without an open port, once, and only from themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
from sonic.xcom.v1 import xcom_pb2 as pb

from shared.clock import PushedClock
from tests.contract.xcom.conftest import Xcom, twilio_settings
from tests.contract.xcom.test_escalating import contact, set_chain
from tests.fakes.databases import Databases
from tests.fakes.telegram import CHAT, OTHER_CHAT, TOKEN, FakeTelegram, failed
from tests.fakes.twilio import NOBODY, FakeTwilio
from tests.fakes.webhook import Reply

pytestmark = pytest.mark.timeout(180)

OWN, JANE = "+491701234567", "+4930111222"


@pytest.fixture
async def telegram(clock: PushedClock) -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram(clock.now) as server:
        yield server


def telegram_settings(telegram: FakeTelegram, *chats: str) -> dict[str, object]:
    path = "/".join(chats or (CHAT,))
    return {"telegram_url": telegram.base_url, "xcom_telegram_url": f"tgram://{TOKEN}/{path}"}


async def kept(xcom: Xcom, message: pb.Message) -> pb.Message:
    return await xcom.stub.GetMessage(pb.GetMessageRequest(id=message.id))


async def push(xcom: Xcom, seconds: float) -> None:
    for _ in range(round(seconds / 5)):
        await xcom.push(5)


async def acknowledged_by(xcom: Xcom, message: pb.Message, seconds: float = 40) -> str:
    """Who acknowledged it within so many seconds, empty for nobody."""
    for _ in range(round(seconds / 5)):
        if found := (await kept(xcom, message)).acknowledged_by:
            return found
        await xcom.push(5)
    return ""


async def verdicts(databases: Databases) -> list[str]:
    connection = await asyncpg.connect(databases.url("xcom"))
    rows = await connection.fetch("select verdict from reply order by created_time, provider_id")
    await connection.close()
    return [row["verdict"] for row in rows]


async def told_by_text(xcom: Xcom, twilio: FakeTwilio, clock: PushedClock) -> pb.Message:
    """A HIGH that was texted, while nobody answers the telephone."""
    twilio.now = clock.now
    twilio.standing["Calls"] = ""
    twilio.take = lambda _number, _before: NOBODY
    await xcom.start(**twilio_settings(twilio), xcom_escalation_seconds=36_000)
    message = await xcom.send("HIGH", channels=["sms", "voice"], incident_key="a")
    await xcom.push_until(lambda: bool(twilio.texts))
    await push(xcom, 10)
    return message


@pytest.mark.parametrize("word", ["1", " Ack. ", "ACKNOWLEDGE"])
async def test_a_text_acknowledges_and_ends_the_calls(
    xcom: Xcom, twilio: FakeTwilio, clock: PushedClock, word: str
) -> None:
    message = await told_by_text(xcom, twilio, clock)
    twilio.writes(OWN, word)
    assert await acknowledged_by(xcom, message) == "sms"
    calls = len(twilio.placed)
    await push(xcom, 120)
    assert len(twilio.placed) == calls
    heard = await xcom.escalation.ListAcknowledgements(
        pb.ListAcknowledgementsRequest(source="alerts")
    )
    assert [(one.incident_key, one.by) for one in heard.acknowledgements] == [("a", "sms")]


async def test_a_text_silences_for_as_long_as_it_says(
    xcom: Xcom, twilio: FakeTwilio, clock: PushedClock
) -> None:
    message = await told_by_text(xcom, twilio, clock)
    twilio.writes(OWN, "silence 1h")
    assert await acknowledged_by(xcom, message, 20) == ""
    until = (await kept(xcom, message)).snoozed_until_time.ToDatetime(clock.now().tzinfo)
    assert timedelta(minutes=55) < until - clock.now() <= timedelta(hours=1)


async def test_a_text_of_somebody_else_an_old_one_and_no_word_change_nothing(
    xcom: Xcom, twilio: FakeTwilio, clock: PushedClock, databases: Databases
) -> None:
    twilio.now = clock.now
    old = twilio.writes(OWN, "ack", timedelta(minutes=5))
    message = await told_by_text(xcom, twilio, clock)
    twilio.writes("+15551234567", "ack")
    twilio.writes(OWN, "who is this?")
    twilio.writes(OWN, "silence 99d")
    assert await acknowledged_by(xcom, message, 60) == ""
    found = await kept(xcom, message)
    assert not found.HasField("snoozed_until_time")
    assert sorted(await verdicts(databases)) == [
        "NOT_A_WORD",
        "NOT_A_WORD",
        "STRANGER",
        "TOO_OLD",
    ]
    assert old.sid


@pytest.mark.slow
async def test_a_reply_that_comes_twice_counts_once(
    xcom: Xcom, twilio: FakeTwilio, clock: PushedClock
) -> None:
    message = await told_by_text(xcom, twilio, clock)
    twilio.writes(OWN, "ack")
    assert await acknowledged_by(xcom, message) == "sms"
    # The next one is told, and the same text is listed again.
    later = await xcom.send("HIGH", channels=["sms"], incident_key="b")
    assert await acknowledged_by(xcom, later, 60) == ""
    twilio.writes(OWN, "1")
    assert await acknowledged_by(xcom, later) == "sms"


async def test_a_contact_answers_by_her_own_number_and_is_named(
    xcom: Xcom, twilio: FakeTwilio, clock: PushedClock
) -> None:
    await xcom.start(**twilio_settings(twilio))
    twilio.now = clock.now
    await set_chain(xcom, contact("jane", 30, sms=JANE))
    message = await xcom.send("HIGH", channels=["sms"])
    # She has not been told yet.
    await xcom.push_until(lambda: bool(twilio.texts))
    twilio.writes(JANE, "ack")
    assert await acknowledged_by(xcom, message, 20) == ""
    await xcom.push_until(lambda: len(twilio.texts) == 2, 5)
    await push(xcom, 10)
    twilio.writes(JANE, "ack")
    assert await acknowledged_by(xcom, message) == "jane by sms"


@pytest.mark.slow
async def test_nothing_is_asked_while_nothing_is_open(
    xcom: Xcom, twilio: FakeTwilio, clock: PushedClock
) -> None:
    message = await told_by_text(xcom, twilio, clock)
    await xcom.escalation.AckMessage(pb.AckMessageRequest(id=message.id, by="jane"))
    await push(xcom, 60)
    asked = [one for one in twilio.received if "/Messages.json?" in one.path]
    await push(xcom, 120)
    assert [one for one in twilio.received if "/Messages.json?" in one.path] == asked


async def test_a_button_acknowledges_the_message_it_is_under(
    xcom: Xcom, telegram: FakeTelegram
) -> None:
    await xcom.start(**telegram_settings(telegram))
    first = await xcom.send("HIGH", channels=["telegram"], incident_key="a")
    second = await xcom.send("HIGH", channels=["telegram"], incident_key="b")
    await xcom.push_until(lambda: len(telegram.posted) == 2)
    await xcom.settled(first.id, "telegram")
    assert telegram.posted[0].buttons == ["ack", "silence 1h"]
    place = next(n for n, one in enumerate(telegram.posted) if one.text)
    owner = await _owner(xcom, telegram, first, second, place)
    telegram.presses(telegram.posted[place], "ack")
    assert await acknowledged_by(xcom, owner) == "telegram"
    other = second if owner.id == first.id else first
    assert not (await kept(xcom, other)).acknowledged_by
    assert telegram.thanked == ["Acknowledged"]
    await push(xcom, 10)
    assert telegram.waiting_count == 0


async def _owner(
    xcom: Xcom, telegram: FakeTelegram, first: pb.Message, second: pb.Message, place: int
) -> pb.Message:
    """Whose message stands at this place of the chat, by the subject it has."""
    return first if first.subject in telegram.posted[place].text else second


async def test_words_in_a_chat_answer_the_message_replied_to_or_the_newest(
    xcom: Xcom, telegram: FakeTelegram
) -> None:
    await xcom.start(**telegram_settings(telegram))
    first = await xcom.send("HIGH", channels=["telegram"], subject="one", incident_key="a")
    await xcom.push_until(lambda: len(telegram.posted) == 1)
    await xcom.push(5)
    second = await xcom.send("HIGH", channels=["telegram"], subject="two", incident_key="b")
    await xcom.push_until(lambda: len(telegram.posted) == 2)
    await xcom.settled(second.id, "telegram")
    telegram.writes("ack")
    assert await acknowledged_by(xcom, second) == "telegram"
    assert not (await kept(xcom, first)).acknowledged_by
    telegram.writes("silence 30m", to=telegram.posted[0])
    await push(xcom, 15)
    assert (await kept(xcom, first)).HasField("snoozed_until_time")


async def test_another_chat_is_refused_and_an_update_that_comes_again_is_nothing(
    xcom: Xcom, telegram: FakeTelegram, databases: Databases
) -> None:
    await xcom.start(**telegram_settings(telegram))
    message = await xcom.send("HIGH", channels=["telegram"], incident_key="a")
    await xcom.push_until(lambda: len(telegram.posted) == 1)
    await xcom.settled(message.id, "telegram")
    telegram.writes("ack", OTHER_CHAT)
    telegram.presses(telegram.posted[0], "ack", OTHER_CHAT)
    assert await acknowledged_by(xcom, message, 20) == ""
    assert await verdicts(databases) == ["STRANGER", "STRANGER"]
    update = telegram.writes("ack")
    assert await acknowledged_by(xcom, message) == "telegram"
    later = await xcom.send("HIGH", channels=["telegram"], incident_key="b")
    await xcom.push_until(lambda: len(telegram.posted) == 3)
    telegram.repeats(update)
    assert await acknowledged_by(xcom, later, 20) == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "down",
    [
        Reply(502, body=b"<html>"),
        failed(429, "Too Many Requests: retry after 5", retry_after=5),
        failed(409, "Conflict: terminated by other getUpdates request"),
        Reply(200, body=b"{}"),
    ],
)
async def test_telegram_down_and_back_takes_what_was_pressed_meanwhile(
    xcom: Xcom, telegram: FakeTelegram, down: Reply
) -> None:
    await xcom.start(**telegram_settings(telegram))
    message = await xcom.send("HIGH", channels=["telegram"])
    await xcom.push_until(lambda: len(telegram.posted) == 1)
    await xcom.settled(message.id, "telegram")
    telegram.down = down
    await push(xcom, 60)
    telegram.presses(telegram.posted[0], "ack")
    await push(xcom, 60)
    assert not (await kept(xcom, message)).acknowledged_by
    telegram.down = None
    assert await acknowledged_by(xcom, message, 120) == "telegram"


@pytest.mark.slow
async def test_one_process_reads_and_another_goes_on_where_it_stopped(
    xcom: Xcom, telegram: FakeTelegram
) -> None:
    await xcom.start(**telegram_settings(telegram))
    message = await xcom.send("HIGH", channels=["telegram"])
    await xcom.push_until(lambda: len(telegram.posted) == 1)
    await xcom.settled(message.id, "telegram")
    first = xcom.app
    await push(xcom, 10)
    asked = len(reads(telegram))
    await xcom.start(**telegram_settings(telegram))
    await push(xcom, 40)
    # The second one waits: no more reads than one makes.
    assert len(reads(telegram)) - asked <= 10
    await first.stop()
    telegram.presses(telegram.posted[0], "ack")
    assert await acknowledged_by(xcom, message, 150) == "telegram"


def reads(telegram: FakeTelegram) -> list[str]:
    return [one.path for one in telegram.received if "/getUpdates" in one.path]


async def test_a_message_is_edited_where_it_stands_as_its_incident_goes_on(
    xcom: Xcom, telegram: FakeTelegram
) -> None:
    await xcom.start(**telegram_settings(telegram))
    fields = {"channels": ["telegram"], "incident_key": "a"}
    first = await xcom.send("MEDIUM", subject="SOL long -40 %", **fields)
    await xcom.push_until(lambda: len(telegram.posted) == 1)
    # What gets worse makes a sound: a message of its own, and the first one says so.
    await xcom.send("HIGH", subject="SOL long -55 %", **fields)
    await xcom.push_until(lambda: len(telegram.posted) == 2)
    one, two = telegram.posted
    await xcom.push_until(lambda: one.edits == 1, 5)
    assert one.text.startswith("WORSE: HIGH, see the message below\n\nSOL long -40 %")
    assert one.buttons and (two.edits, two.text.partition("\n")[0]) == (0, "SOL long -55 %")
    telegram.presses(two, "ack")
    await xcom.push_until(lambda: two.edits == 1, 5)
    assert two.text.startswith("ACKNOWLEDGED by telegram at ")
    assert "SOL long -55 %" in two.text and not two.buttons
    await xcom.send("LOW", subject="RESOLVED: SOL long", ends_incident=True, **fields)
    await xcom.push_until(lambda: one.edits == 3 and two.edits == 2, 5)
    assert one.text.startswith("RESOLVED at ") and two.text.startswith("RESOLVED at ")
    assert not one.buttons
    edits = [posted.edits for posted in telegram.posted]
    await push(xcom, 60)
    assert [posted.edits for posted in telegram.posted] == edits
    assert first.id


@pytest.mark.slow
async def test_an_edit_that_fails_is_made_later_and_one_of_a_message_that_is_gone_is_not(
    xcom: Xcom, telegram: FakeTelegram
) -> None:
    await xcom.start(**telegram_settings(telegram))
    messages = [
        await xcom.send("HIGH", channels=["telegram"], incident_key=key, subject=key)
        for key in ("a", "b")
    ]
    await xcom.push_until(lambda: len(telegram.posted) == 2)
    for message in messages:
        await xcom.settled(message.id, "telegram")
    gone = telegram.posted.pop()
    telegram.down = Reply(502)
    for message in messages:
        await xcom.escalation.AckMessage(pb.AckMessageRequest(id=message.id, by="jane"))
    await push(xcom, 60)
    assert telegram.posted[0].edits == 0
    telegram.down = None
    await xcom.push_until(lambda: telegram.posted[0].edits == 1, 5)
    tries = len([one for one in telegram.received if one.path.endswith("/editMessageText")])
    await push(xcom, 60)
    later = len([one for one in telegram.received if one.path.endswith("/editMessageText")])
    assert (gone.edits, later) == (0, tries)


@pytest.mark.parametrize(
    "garbage",
    [
        {"message": {"message_id": 1, "date": 10**30, "chat": {"id": int(CHAT)}, "text": "hm"}},
        {"callback_query": {"id": "1", "data": "ack"}},
        {"edited_message": {"message_id": 1, "date": 0, "chat": {"id": int(CHAT)}, "text": "ack"}},
    ],
    ids=["a date beyond every calendar", "a button of no message", "an edit"],
)
async def test_an_update_that_makes_no_sense_is_in_no_later_ones_way(
    xcom: Xcom, telegram: FakeTelegram, garbage: dict[str, object]
) -> None:
    await xcom.start(**telegram_settings(telegram), xcom_escalation_seconds=36_000)
    message = await xcom.send("HIGH", channels=["telegram"], incident_key="a")
    await xcom.push_until(lambda: bool(telegram.posted))
    telegram.comes(garbage)
    assert await acknowledged_by(xcom, message, 10) == ""
    telegram.writes("ack")
    assert await acknowledged_by(xcom, message) == "telegram"


async def test_a_text_written_after_the_first_call_is_not_too_early_for_the_second(
    xcom: Xcom, twilio: FakeTwilio, clock: PushedClock
) -> None:
    twilio.now = clock.now
    twilio.standing["Calls"] = ""
    twilio.take = lambda _number, _before: NOBODY
    await xcom.start(**twilio_settings(twilio), xcom_escalation_seconds=36_000)
    message = await xcom.send("HIGH", channels=["voice"], incident_key="a")
    await xcom.push_until(lambda: len(twilio.placed) == 2)
    since = clock.now() - twilio.placed[1].created_time
    twilio.writes(OWN, "ack", since + timedelta(seconds=5))
    assert await acknowledged_by(xcom, message) == "sms"
