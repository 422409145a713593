"""Both servers over gRPC: hedges, and the real positions server beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from sonic.hedges.v1 import hedges_pb2 as pb
from sonic.hedges.v1 import hedges_pb2_grpc as rpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.price.v1 import price_pb2

from services.hedges import server as hedges_server
from services.positions import server as positions_server
from shared.clock import PushedClock
from shared.lifecycle import App
from shared.rpc.client import Channel
from tests.fakes.databases import Databases
from tests.fakes.peers import FakePeers, answers

START = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


@dataclass
class Bench:
    """Both servers, and what a test says to them."""

    hedges: rpc.HedgesServiceStub
    positions: positions_pb2_grpc.PositionsServiceStub
    positions_app: App
    clock: PushedClock

    async def hold(
        self, asset: str, side: str, wallet: str = "main", size_usd: float = 1000.0, **terms: float
    ) -> str:
        sign = 1 if side == "LONG" else -1
        given = {
            "entry_price_usd": 100.0,
            "mark_price_usd": 90.0,
            "liquidation_price_usd": 100.0 - sign * 50.0,
            "collateral_usd": size_usd / 10,
        }
        position = positions_pb2.Position(
            wallet=wallet,
            asset=asset,
            side=positions_pb2.Side.Value(f"SIDE_{side}"),
            size_usd=size_usd,
            **(given | terms),
        )
        made = await self.positions.CreatePosition(
            positions_pb2.CreatePositionRequest(position=position)
        )
        return str(made.id)

    async def link(self, cycle_id: str = "", epoch: int = 0) -> pb.LinkHedgesResponse:
        await self.positions.EnrichPositions(positions_pb2.EnrichPositionsRequest())
        return await self.hedges.LinkHedges(pb.LinkHedgesRequest(cycle_id=cycle_id, epoch=epoch))

    async def pair(self) -> tuple[str, str, str]:
        """The pair of the oracle at 105, linked: ids of the hedge, the long and the short."""
        terms = {"mark_price_usd": 105.0, "collateral_usd": 500.0}
        long = await self.hold("BTC", "LONG", liquidation_price_usd=55.0, **terms)
        short = await self.hold(
            "BTC", "SHORT", entry_price_usd=110.0, liquidation_price_usd=160.0, **terms
        )
        await self.link()
        (hedge,) = await self.listed()
        return hedge.id, long, short

    async def drop(self, id: str) -> None:
        await self.positions.DeletePosition(positions_pb2.DeletePositionRequest(id=id))

    async def forget_liquidation(self, id: str) -> None:
        """The liquidation price becomes unknown."""
        request = positions_pb2.UpdatePositionRequest(position=positions_pb2.Position(id=id))
        request.update_mask.paths.append("liquidation_price_usd")
        await self.positions.UpdatePosition(request)

    async def listed(self) -> list[pb.Hedge]:
        return list((await self.hedges.ListHedges(pb.ListHedgesRequest())).hedges)


def hedges_of(databases: Databases, positions_app: App, clock: PushedClock, **settings: str) -> App:
    """A hedges server on the test's database; two of them are two replicas."""
    return hedges_server.build(
        hedges_server.Config(
            listen_address="127.0.0.1:0",
            database_url=databases.url("hedges"),
            positions_address=positions_app.address,
            **settings,
        ),
        clock,
    )


@pytest.fixture
async def bench(databases: Databases) -> AsyncIterator[Bench]:
    clock = PushedClock(START)
    # A price service without prices: one that is away costs every call its retries.
    market = FakePeers()
    market.told["price.ListPrices"] = answers(price_pb2.ListPricesResponse())
    await market.start()
    positions_app = positions_server.build(
        positions_server.Config(
            listen_address="127.0.0.1:0",
            database_url=databases.url("positions"),
            price_address=market.address,
        ),
        clock,
    )
    async with positions_app:
        hedges_app = hedges_of(databases, positions_app, clock)
        to_positions = Channel(positions_app.address)
        async with hedges_app:
            to_hedges = Channel(hedges_app.address)
            yield Bench(
                to_hedges.stub(rpc.HedgesServiceStub),
                to_positions.stub(positions_pb2_grpc.PositionsServiceStub),
                positions_app,
                clock,
            )
            await to_hedges.stop()
            await to_positions.stop()
    await market.stop()
