"""The monthly message of real servers: once a month, tried again, by one of two processes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc
from sonic.alerts.v1 import alerts_pb2
from sonic.xcom.v1 import xcom_pb2

from shared.clock import PushedClock
from shared.errors import AlreadyExists, InvalidArgument
from tests.contract.cyclone.conftest import Servers, until
from tests.fakes.peers import aborts, answers, refuses
from tests.fakes.pushing import push

BEFORE = datetime(2026, 11, 30, 22, 59, 30, tzinfo=UTC)
MONTHLY = {"scorecard_tell_at": "00:00", "scorecard_tell_zone": "Europe/Berlin"}
CARD = alerts_pb2.Scorecard(
    liquidation_count=1,
    liquidations=[
        alerts_pb2.ScoredLiquidation(
            asset="SOL", position_id="p-1", telling=alerts_pb2.TELLING_NOT_TOLD
        )
    ],
)


async def test_it_is_told_once_and_tried_until_both_answer(servers: Servers) -> None:
    asked: list[alerts_pb2.GetScorecardRequest] = []
    sent: list[xcom_pb2.SendRequest] = []

    async def scorecard(request: Any, _context: Any) -> alerts_pb2.Scorecard:
        asked.append(request)
        return CARD

    async def send(request: Any, _context: Any) -> xcom_pb2.Message:
        sent.append(request)
        return xcom_pb2.Message(id="msg-1")

    clock = PushedClock(BEFORE)
    servers.peers.told["alerts.GetScorecard"] = aborts(grpc.StatusCode.UNAVAILABLE)
    servers.peers.told["xcom.Send"] = send
    await servers.start(clock, **MONTHLY, scorecard_tell_channels=("email",))
    await push(clock, 31)
    assert sent == []
    servers.peers.told["alerts.GetScorecard"] = scorecard

    async def told() -> bool:
        await push(clock, 61)
        return bool(sent)

    await until(told)
    (request,) = sent
    assert request.request_id == "scorecard-2026-11"
    assert request.subject.startswith("Alerts in November 2026: 1 liquidation, 1 nobody")
    assert "liquidation of SOL p-1" in request.body
    assert (request.level, request.kind) == (xcom_pb2.LEVEL_LOW, xcom_pb2.KIND_NEWS)
    assert list(request.channels) == ["email"]
    assert {one.days for one in asked} == {30}
    for _ in range(4):
        await push(clock, 700)
    assert len(sent) == 1


async def test_what_another_process_told_is_settled(servers: Servers) -> None:
    asked = 0
    refuse = refuses(AlreadyExists("REQUEST_ID_REUSED", "told with other words"))

    async def counted(request: Any, context: Any) -> Any:
        nonlocal asked
        asked += 1
        return await refuse(request, context)

    servers.peers.told["alerts.GetScorecard"] = answers(CARD)
    servers.peers.told["xcom.Send"] = counted
    clock = PushedClock(BEFORE)
    await servers.start(clock, **MONTHLY)
    await push(clock, 31)
    await until(lambda: asked)
    for _ in range(4):
        await push(clock, 700)
    assert asked == 1


async def test_a_channel_that_is_none_costs_nobody_the_month(servers: Servers) -> None:
    asked: list[list[str]] = []
    refuse = refuses(InvalidArgument("UNKNOWN_NAME", "no channel carrier-pigeon"))
    take = answers(xcom_pb2.Message(id="msg-1"))

    async def picky(request: Any, context: Any) -> Any:
        asked.append(list(request.channels))
        return await (refuse if request.channels else take)(request, context)

    servers.peers.told["alerts.GetScorecard"] = answers(CARD)
    servers.peers.told["xcom.Send"] = picky
    clock = PushedClock(BEFORE)
    await servers.start(clock, **MONTHLY, scorecard_tell_channels=("carrier-pigeon",))
    await push(clock, 31)
    await until(lambda: len(asked) > 1)
    for _ in range(4):
        await push(clock, 700)
    assert asked == [["carrier-pigeon"], []]
