"""A venue in trouble through real servers and a played indexer: told once, ended once, whoever runs
the monitors.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sonic.monitor.v1 import monitor_pb2 as pb
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.xcom.v1 import xcom_pb2

from tests.contract.monitor.conftest import Servers, badges_of, cycle, facts, runs_of
from tests.contract.monitor.played_venue import ACCOUNT, Venue
from tests.fakes.http_provider import HttpProvider
from tests.fakes.peers import FakePeers

pytestmark = pytest.mark.slow


@pytest.fixture
async def venue(servers: Servers) -> AsyncIterator[Venue]:
    prices = FakePeers()
    await prices.start()
    async with HttpProvider() as indexer:
        yield Venue(servers, indexer, prices)
    await prices.stop()


async def test_a_frozen_mark_is_told_once_and_ended_once_over_a_restart_and_two_replicas(
    venue: Venue,
) -> None:
    first = await venue.start()
    second = await venue.monitor()
    assert await venue.follow(first, second, times=2) == "OK"
    # From here the mark stands still, and the market moves on.
    assert await venue.look(first, second, times=5, moves_percent=-0.2) == "DEGRADED"
    third = await venue.monitor()
    await venue.look(first, second, third, times=6, moves_percent=-0.2)
    (begun,) = await venue.told(1)
    assert begun.level == xcom_pb2.LEVEL_MEDIUM
    assert "the mark of BTC stands still since 03:02 UTC while the market moved" in begun.body
    assert "ESTIMATED" in begun.body
    assert "dydx DEGRADED" in (await badges_of(first))["venue_badge"].value
    assert await venue.follow(third, second, times=10) == "OK"
    _, ended = await venue.told(2)
    assert "all is well again: dydx" in ended.subject
    await venue.follow(first, second, third, times=3)
    await venue.told(2)


async def test_a_halt_and_a_venue_that_fails_are_high_where_positions_are_held(
    venue: Venue,
) -> None:
    monitor = await venue.start()
    await venue.follow(monitor, times=1)
    venue.status = "PAUSED"
    assert await venue.follow(monitor, times=3) == "DOWN"
    (halted,) = await venue.told(1)
    assert halted.level == xcom_pb2.LEVEL_HIGH
    assert "you cannot act on dydx (trading is halted: BTC, ETH" in halted.subject
    assert "% by market price" in halted.subject
    stub = await venue.servers.stub("positions", positions_pb2_grpc.PositionsServiceStub)
    held = (await stub.ListPositions(positions_pb2.ListPositionsRequest())).positions
    assert all(positions_pb2.FLAG_TRADING_HALTED in one.flags for one in held) and held
    venue.status = "ACTIVE"
    await venue.follow(monitor, times=7)
    await venue.told(2)
    venue.account = {"errors": [{"msg": "the indexer is behind"}]}
    assert await venue.follow(monitor, times=1) == "DEGRADED"
    assert await venue.follow(monitor, times=3) == "DOWN"
    _, _, failing = await venue.told(3)
    assert failing.level == xcom_pb2.LEVEL_HIGH
    assert "1 of 1 wallets cannot be read" in failing.subject
    venue.account = ACCOUNT
    await venue.follow(monitor, times=7)
    *_, ended = await venue.told(4)
    assert "all is well again" in ended.subject


async def test_positions_that_do_not_answer_end_no_trouble(venue: Venue) -> None:
    monitor = await venue.start()
    venue.status = "PAUSED"
    await venue.follow(monitor, times=2)
    await venue.told(1)
    await venue.servers.apps["positions"].stop()
    for number in range(100, 107):
        venue.servers.clock.advance(60)
        await cycle(monitor, number)
    (run, *_) = await runs_of(monitor, "venue")
    assert run.status == pb.RUN_STATUS_ERROR
    assert facts(run)["venues"]["dydx"]["told"] == "DOWN", "what is remembered outlives it"
    await venue.told(1)


async def evidence(monitor: Any) -> object:
    (run, *_) = await runs_of(monitor, "venue")
    return facts(run)["venues"]["dydx"]["evidence"]


async def test_a_list_that_shrinks_is_told_once_and_ended_once(venue: Venue) -> None:
    venue.hold("SOL", "LINK", "DOGE", "AVAX")
    monitor = await venue.start()
    assert await venue.follow(monitor, times=2) == "OK", await evidence(monitor)
    venue.account = ACCOUNT
    assert await venue.follow(monitor, times=1) == "DEGRADED"
    assert await venue.follow(monitor, times=7) == "DEGRADED"
    (begun,) = await venue.told(1)
    assert begun.level == xcom_pb2.LEVEL_MEDIUM
    assert "its list of positions shrank from 6 to 2 at one look" in begun.body
    assert await venue.follow(monitor, times=15) == "OK"
    _, ended = await venue.told(2)
    assert "all is well again: dydx" in ended.subject
    await venue.follow(monitor, times=3)
    await venue.told(2)
