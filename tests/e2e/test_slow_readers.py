"""Who watches and does not read: the server keeps nothing for them, and says what it left out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc
from sonic.hedges.v1 import hedges_pb2 as hedges_pb
from sonic.hedges.v1 import hedges_pb2_grpc as hedges_rpc
from sonic.positions.v1 import positions_pb2 as positions_pb
from sonic.positions.v1 import positions_pb2_grpc as positions_rpc

from services.cli.connection import connected
from services.hedges.loop import HedgeFeed
from shared.clock import PushedClock
from tests.contract.alerts.conftest import START, Servers
from tests.e2e.standing import RunningSystem
from tests.fakes.databases import Databases

# Their alerts are several times what a connection takes before it is read.
COUNT = 1_500


@pytest.fixture
async def servers(databases: Databases, tmp_path: Path) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        made = Servers(databases, tmp_path / "state", stack)
        await made.start_positions()
        await made.start_alerts()
        await made.only(pb.ALERT_TYPE_TRAVEL_PERCENT)
        yield made


async def _marked(servers: Servers, mark: float) -> None:
    """Every position at this mark ten seconds later, evaluated."""
    servers.clock.advance(10)
    lines = [
        "id,asset,side,entry_price_usd,liquidation_price_usd,mark_price_usd,size_usd,collateral_usd"
    ]
    lines += [f"p{number},SOL,LONG,100,80,{mark},1000,200" for number in range(COUNT)]
    content = "\n".join(lines).encode()
    request = positions_pb.ImportPositionsRequest(
        format=positions_pb.FILE_FORMAT_CSV, content=content
    )
    await servers.positions.ImportPositions(request)
    await servers.create()
    await servers.evaluate()


@pytest.fixture
async def slow_reader(servers: Servers) -> AsyncIterator[rpc.AttentionServiceStub]:
    """A connection of its own that never takes more than 64 KiB unread."""
    options = [("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(
        servers.apps["alerts"].address, options=options
    ) as channel:
        yield rpc.AttentionServiceStub(channel)


@pytest.mark.slow
async def test_who_does_not_read_alerts_gets_the_newest_of_them_and_a_mark(
    servers: Servers, slow_reader: rpc.AttentionServiceStub
) -> None:
    await _marked(servers, 101.0)
    slow = aiter(slow_reader.WatchAlerts(pb.WatchAlertsRequest()))
    quick = aiter(servers.attention.WatchAlerts(pb.WatchAlertsRequest(min_level=pb.LEVEL_LOW)))
    assert not (await anext(quick)).alerts
    shown = {alert.id: alert.level for alert in (await anext(slow)).alerts}
    for mark, level in ((95.0, pb.LEVEL_LOW), (92.0, pb.LEVEL_MEDIUM), (89.0, pb.LEVEL_HIGH)):
        await _marked(servers, mark)
        told = await anext(quick)
        assert {alert.level for alert in told.alerts} == {level}
        assert not told.gap
        heard = len(told.alerts)
        while heard < COUNT:
            heard += len((await anext(quick)).alerts)
    gaps, levels = [], set()
    async with asyncio.timeout(20):
        while set(shown.values()) != {pb.LEVEL_HIGH} or len(shown) < COUNT:
            news = await anext(slow)
            shown |= {alert.id: alert.level for alert in news.alerts}
            levels |= {alert.level for alert in news.alerts}
            gaps.append(news.gap)
    assert any(gaps)
    assert pb.LEVEL_MEDIUM not in levels, "what was left out is not told"


async def test_who_does_not_read_hedges_gets_the_newest_of_them_and_a_mark(
    databases: Databases, tmp_path: Path
) -> None:
    clock = PushedClock(START)
    standing = RunningSystem(databases, tmp_path, clock, {"SONIC_LIVE": "1"})
    async with AsyncExitStack() as stack:
        stack.push_async_callback(standing.stop_all)
        for name in ("price", "positions", "hedges"):
            await standing.start(name)
        servers = await stack.enter_async_context(connected(standing.addresses))
        positions = await servers.stub("positions", positions_rpc.PositionsServiceStub)
        lines = ["id,asset,side,entry_price_usd,liquidation_price_usd,size_usd,collateral_usd"]
        lines += ["long,SOL,LONG,100,80,1000,200", "short,SOL,SHORT,100,120,1000,200"]
        content, kind = "\n".join(lines).encode(), positions_pb.FILE_FORMAT_CSV
        await positions.ImportPositions(
            positions_pb.ImportPositionsRequest(format=kind, content=content)
        )
        hedges = await servers.stub("hedges", hedges_rpc.HedgesServiceStub)
        await hedges.LinkHedges(hedges_pb.LinkHedgesRequest())
        feed = standing.part("hedges", HedgeFeed)
        news = feed.watch("", "")
        (hedge,) = (await anext(news)).hedges

        async def noted(note: str) -> None:
            await hedges.UpdateHedge(
                hedges_pb.UpdateHedgeRequest(hedge=hedges_pb.Hedge(id=hedge.id, note=note))
            )
            await asyncio.sleep(0.1)  # the feed has looked

        for note in ("one", "two"):
            reading = asyncio.ensure_future(anext(news))
            await asyncio.sleep(0.1)
            await noted(note)
            told = await reading
            assert ([one.note for one in told.hedges], told.gap) == ([note], False)
        for note in ("three", "four", "five"):
            await noted(note)
        told = await anext(news)
        assert ([one.note for one in told.hedges], told.gap) == (["five"], True)
        await news.aclose()
