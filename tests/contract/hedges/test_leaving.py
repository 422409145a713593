"""A member that leaves between the two readings of a pass, and is back before the next one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from sonic.hedges.v1 import hedges_pb2 as pb
from sonic.hedges.v1 import hedges_pb2_grpc as rpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc

from shared.lifecycle import App
from shared.rpc.client import Channel
from shared.rpc.server import GrpcServer
from tests.contract.hedges.conftest import Bench, hedges_of
from tests.fakes.databases import Databases


class Relay(positions_pb2_grpc.PositionsServiceServicer):
    """Hands readings on to the real server; `before_ids` happens before one by keys."""

    def __init__(self, channel: Channel) -> None:
        self._stub = channel.stub(positions_pb2_grpc.PositionsServiceStub)
        self.before_ids: Callable[[], Awaitable[object]] | None = None

    async def ReadColumns(self, request: Any, context: Any) -> AsyncIterator[Any]:
        if request.position_keys and self.before_ids is not None:
            await self.before_ids()
        async for part in self._stub.ReadColumns(request):
            yield part


async def test_a_member_that_left_within_a_pass_and_came_back_is_a_member_again(
    bench: Bench, databases: Databases
) -> None:
    members = {
        await bench.hold("BTC", "LONG"),
        await bench.hold("BTC", "SHORT"),
        third := await bench.hold("BTC", "SHORT"),
    }

    async def set_status(status: positions_pb2.Status) -> None:
        position = positions_pb2.Position(id=third, status=status)
        await bench.positions.UpdatePosition(positions_pb2.UpdatePositionRequest(position=position))

    to_positions = Channel(bench.positions_app.address)
    relay = Relay(to_positions)
    server = GrpcServer(
        "127.0.0.1:0",
        [(positions_pb2_grpc.add_PositionsServiceServicer_to_server, relay)],
        service_names=[],
    )
    async with (
        App("relay", [to_positions, server]),
        hedges_of(databases, server, bench.clock) as hedges,
    ):
        to_hedges = Channel(hedges.address)
        stub: rpc.HedgesServiceStub = to_hedges.stub(rpc.HedgesServiceStub)
        relay.before_ids = lambda: set_status(positions_pb2.STATUS_CLOSED)
        await stub.LinkHedges(pb.LinkHedgesRequest())
        (hedge,) = await bench.listed()
        assert set(hedge.position_ids) == members - {third}
        relay.before_ids = None
        await set_status(positions_pb2.STATUS_ACTIVE)
        await stub.LinkHedges(pb.LinkHedgesRequest())
        (hedge,) = await bench.listed()
        assert set(hedge.position_ids) == members
        await to_hedges.stop()
