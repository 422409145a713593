"""Several messages handed over at once: as if each were sent by itself, in one transaction."""

from __future__ import annotations

import asyncio
import json

import asyncpg
import pytest
from sonic.xcom.v1 import xcom_pb2 as pb

from shared.errors import InvalidArgument, SonicError
from tests.contract.xcom.conftest import Xcom, twilio_settings, until
from tests.fakes.databases import Databases
from tests.fakes.twilio import FakeTwilio


def _request(id: str, **fields: object) -> pb.SendRequest:
    words = {"level": pb.LEVEL_HIGH, "subject": f"HIGH: {id}", "source": "alerts"} | fields
    return pb.SendRequest(request_id=id, **words)


async def _sent(xcom: Xcom, *requests: pb.SendRequest) -> list[pb.SendResult]:
    answer = await xcom.stub.SendBatch(pb.SendBatchRequest(requests=requests))
    return list(answer.results)


async def test_each_of_a_batch_is_answered_as_if_it_were_sent_alone(xcom: Xcom) -> None:
    await xcom.start()
    await xcom.send(request_id="known", subject="as said before")
    first, reused, unknown, last = await _sent(
        xcom,
        _request("a"),
        _request("known"),
        _request("b", channels=["pigeon"]),
        _request("c", level=pb.LEVEL_LOW),
    )
    assert (first.message.request_id, last.message.request_id) == ("a", "c")
    assert first.message.deliveries
    assert reused.failure.reason == pb.ERROR_REASON_REQUEST_ID_REUSED
    assert unknown.failure.reason == pb.ERROR_REASON_UNKNOWN_NAME
    assert "pigeon" in unknown.failure.detail
    listed = await xcom.stub.ListMessages(pb.ListMessagesRequest())
    assert [one.request_id for one in listed.messages] == ["c", "a", "known"]


async def test_the_same_batch_again_is_the_same_messages(xcom: Xcom) -> None:
    await xcom.start()
    once = await _sent(xcom, _request("a", incident_key="i-1"), _request("b"))
    again = await _sent(xcom, _request("a", incident_key="i-1"), _request("b"), _request("c"))
    assert [one.message.id for one in again[:2]] == [one.message.id for one in once]
    assert again[2].message.deliveries


async def test_in_a_batch_the_end_of_an_incident_reaches_who_hears_its_beginning(
    xcom: Xcom,
) -> None:
    await xcom.start()
    begun, ended = await _sent(
        xcom,
        _request("a", incident_key="i-1", channels=["log"]),
        _request("b", incident_key="i-1", ends_incident=True, level=pb.LEVEL_LOW),
    )
    assert not begun.message.ends_incident
    assert ended.message.channels_reason == "WHO_HEARD"
    shown = await xcom.stub.GetMessage(pb.GetMessageRequest(id=begun.message.id))
    assert not shown.HasField("escalation_due_time")


async def test_a_batch_with_a_broken_field_stores_nothing(xcom: Xcom) -> None:
    await xcom.start()
    with pytest.raises(InvalidArgument) as caught:
        await _sent(xcom, _request("a"), _request("b", subject=""))
    assert caught.value.reason == "INVALID_FIELD"
    assert not (await xcom.stub.ListMessages(pb.ListMessagesRequest())).messages


@pytest.mark.slow
async def test_of_a_batch_that_fails_nothing_is_stored(xcom: Xcom, databases: Databases) -> None:
    await xcom.start()
    owner = await asyncpg.connect(databases.owner_url("xcom"))
    await owner.execute(
        "alter table message add constraint shut check (request_id <> 'b') not valid"
    )
    await owner.close()
    with pytest.raises(SonicError):
        await _sent(xcom, _request("a"), _request("b"))
    assert not (await xcom.stub.ListMessages(pb.ListMessagesRequest())).messages


async def test_batches_that_end_the_same_incidents_in_another_order_do_not_block_each_other(
    xcom: Xcom,
) -> None:
    await xcom.start()
    keys = [f"i-{number}" for number in range(6)]
    await _sent(xcom, *(_request(f"begin {key}", incident_key=key) for key in keys))

    def ends(name: str, order: list[str]) -> list[pb.SendRequest]:
        return [
            _request(
                f"{name} {key}", incident_key=key, ends_incident=True, dedupe_key=f"over {key}"
            )
            for key in order
        ]

    answers = await asyncio.gather(
        *(_sent(xcom, *ends(f"n{turn}", keys[:: 1 - 2 * (turn % 2)])) for turn in range(8))
    )
    told = [one.message for answer in answers for one in answer if one.message.deliveries]
    assert len(told) == len(keys)


async def test_settings_changed_since_the_last_message_hold_for_a_batch(xcom: Xcom) -> None:
    await xcom.start()
    await xcom.send()
    await xcom.set_channel("log", "enabled", enabled=False)
    first, second = await _sent(xcom, _request("a"), _request("b"))
    assert not first.message.deliveries
    assert second.message.suppressed_reason == "NO_CHANNEL"


async def test_a_digest_that_its_source_made_is_a_short_text_and_a_call_of_few_words(
    xcom: Xcom, twilio: FakeTwilio
) -> None:
    await xcom.start(**twilio_settings(twilio))
    phrase, short = "SOL long (a wallet of a long name) 2.4 % to liquidation", "SOL long 2.4 %"
    worst = {
        "level": "HIGH", "message_count": 60_123, "phrases": [phrase] * 3,
        "short_phrases": [short] * 3, "covered_counts": [3, 6, 9], "noun": "alerts",
    }  # fmt: skip
    request = _request(
        "a",
        subject="HIGH: 60,123 alerts: and so on",
        body="a line each",
        channels=["sms", "voice"],
        facts={"worst": json.dumps(worst)},
    )
    await _sent(xcom, request)

    async def heard() -> bool | None:
        return bool(twilio.texts and twilio.calls) or None

    await until(heard)
    assert twilio.texts[0]["Body"] == (
        "HIGH: 60123 alerts: SOL long 2.4 %; SOL long 2.4 %; SOL long 2.4 %; and 60114 more"
    )
    assert "60123 alerts. SOL long" in twilio.calls[0]["Twiml"]
