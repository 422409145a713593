"""FlushOutbox answers within the bound of the step that asks for it, whoever is at the outbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from shared.errors import InvalidArgument
from tests.contract.alerts.conftest import Servers
from tests.fakes.peers import FakePeers, Gate, refuses

TRAVEL = pb.ALERT_TYPE_TRAVEL_PERCENT
HIGH_MARK = 89.0


@pytest.fixture
async def peers() -> AsyncIterator[FakePeers]:
    peers = FakePeers()
    await peers.start()
    yield peers
    await peers.stop()


async def _raised(servers: Servers, count: int = 1) -> None:
    await servers.only(TRAVEL)
    for _ in range(count):
        await servers.hold(HIGH_MARK)
    await servers.create()
    await servers.evaluate()


def _accepted(count: int) -> xcom_pb.SendBatchResponse:
    result = xcom_pb.SendResult(message=xcom_pb.Message(id="m"))
    return xcom_pb.SendBatchResponse(results=[result] * count)


async def test_a_flush_behind_a_turn_that_hangs_answers_within_one_bound(
    not_started: Servers, peers: FakePeers
) -> None:
    gate = peers.told["xcom.SendBatch"] = Gate(_accepted(1))
    await not_started.start_positions()
    await not_started.start_alerts(xcom_address=peers.address)
    await _raised(not_started)
    async with asyncio.timeout(30):
        await gate.reached.wait()
    flush = asyncio.ensure_future(not_started.flush())
    async with asyncio.timeout(30):
        while not flush.done():
            not_started.clock.advance(0.5)
            await asyncio.sleep(0.05)
    answer = await flush
    assert (answer.sent_count, answer.waiting_count) == (0, 1)
    assert len(peers.requests("xcom.SendBatch")) == 1
    gate.opened.set()
    await not_started.until(lambda: _is_empty(not_started))


async def _resting_count(servers: Servers) -> int:
    """Sleepers once every loop sleeps: nobody pushes the clock, so none wakes."""
    seen: list[int] = []
    async with asyncio.timeout(30):
        while seen[-20:] != [servers.clock.sleeping_count] * 20:
            seen.append(servers.clock.sleeping_count)
            await asyncio.sleep(0.02)
    return seen[-1]


async def _sleeps(servers: Servers, more_than: int) -> bool:
    return servers.clock.sleeping_count > more_than


async def _is_empty(servers: Servers) -> bool:
    return not await servers.waiting()


async def test_a_flush_takes_over_from_a_turn_that_has_more_to_do(
    not_started: Servers, peers: FakePeers
) -> None:
    gate = peers.told["xcom.SendBatch"] = Gate(_accepted(1))
    await not_started.start_positions()
    await not_started.start_alerts(xcom_address=peers.address)
    await _raised(not_started)
    async with asyncio.timeout(30):
        await gate.reached.wait()
    id = await not_started.hold(HIGH_MARK)
    await not_started.create()
    await not_started.at(id, HIGH_MARK)
    resting = await _resting_count(not_started)
    flush = asyncio.ensure_future(not_started.flush())
    await not_started.until(lambda: _sleeps(not_started, resting))
    gate.opened.set()
    async with asyncio.timeout(30):
        answer = await flush
    assert (answer.sent_count, answer.waiting_count) == (1, 0)


async def test_many_rows_are_one_call_worst_first(not_started: Servers, peers: FakePeers) -> None:
    peers.told["xcom.SendBatch"] = Gate(_accepted(5))
    peers.told["xcom.SendBatch"].opened.set()
    await not_started.start_positions()
    await not_started.start_alerts(xcom_address=peers.address)
    await _raised(not_started, 5)
    await not_started.until(lambda: _is_empty(not_started))
    (batch,) = peers.requests("xcom.SendBatch")
    assert len(batch.requests) == 5
    assert not peers.requests("xcom.Send")


async def test_one_message_that_breaks_a_rule_keeps_no_other_back(
    not_started: Servers, peers: FakePeers
) -> None:
    refuse = refuses(InvalidArgument("INVALID_FIELD", "subject"))

    async def only_alone(request: xcom_pb.SendBatchRequest, context: object) -> object:
        if len(request.requests) > 1:
            return await refuse(request, context)
        return _accepted(1)

    peers.told["xcom.SendBatch"] = only_alone
    await not_started.start_positions()
    await not_started.start_alerts(xcom_address=peers.address)
    await _raised(not_started, 3)
    await not_started.until(lambda: _is_empty(not_started))
    sizes = [len(one.requests) for one in peers.requests("xcom.SendBatch")]
    assert sizes == [3, 1, 1, 1]


async def test_one_that_is_refused_for_its_words_is_told_without_them(
    not_started: Servers, peers: FakePeers
) -> None:
    reason = xcom_pb.ERROR_REASON_INVALID_FIELD
    refused = xcom_pb.SendResult(failure=xcom_pb.SendFailure(reason=reason, detail="body"))

    async def only_plain(request: xcom_pb.SendBatchRequest, context: object) -> object:
        if all("could not be accepted" in one.subject for one in request.requests):
            return _accepted(len(request.requests))
        return xcom_pb.SendBatchResponse(results=[refused] * len(request.requests))

    peers.told["xcom.SendBatch"] = only_plain
    await not_started.start_positions()
    await not_started.start_alerts(xcom_address=peers.address)
    await _raised(not_started)
    await not_started.until(lambda: _is_empty(not_started))
    asked, plain = [one.requests[0] for one in peers.requests("xcom.SendBatch")]
    id = asked.facts["alert_id"]
    assert plain.subject == f"HIGH: a message of alert {id} could not be accepted: INVALID_FIELD"
    assert (plain.level, plain.kind) == (xcom_pb.LEVEL_HIGH, xcom_pb.KIND_DANGER)
    assert (plain.request_id, plain.incident_key) == (asked.request_id, asked.incident_key)
    assert plain.facts["ledger_head"] == asked.facts["ledger_head"]
