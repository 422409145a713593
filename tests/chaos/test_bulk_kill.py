"""A hundred thousand positions, and the server killed while it works on them: no row is lost."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc

from services.cli.connection import House
from shared.errors import SonicError
from tests.bench.cycles import fill
from tests.chaos.conftest import house_of, up
from tests.chaos.test_kills import until_serving

pytestmark = pytest.mark.timeout(300)
COUNT = 100_000


async def held(house: House) -> int:
    stub = await house.stub("positions", positions_pb2_grpc.PortfolioServiceStub)
    totals = await stub.GetTotals(positions_pb2.GetTotalsRequest(), timeout=60)
    return int(totals.position_count)


async def test_no_row_is_lost_when_the_server_is_killed_while_it_enriches(home: Path) -> None:
    async with up(home, {}) as running:
        await fill(running.addresses, COUNT)
        async with house_of(running) as house:
            stub = await house.stub("positions", positions_pb2_grpc.PositionsServiceStub)
            await stub.EnrichPositions(positions_pb2.EnrichPositionsRequest(), timeout=60)
            before = await held(house)
            for delay_seconds in (0.02, 0.06, 0.12):
                enriching = asyncio.create_task(enrich(stub))
                await asyncio.sleep(delay_seconds)
                running.kill("positions", signal.SIGKILL)
                await enriching
                await until_serving(running, "positions")
                await stub.EnrichPositions(positions_pb2.EnrichPositionsRequest(), timeout=60)
                assert await held(house) == before
            assert before >= COUNT


async def enrich(stub: positions_pb2_grpc.PositionsServiceStub) -> None:
    """One pass that may be cut off."""
    try:
        await stub.EnrichPositions(positions_pb2.EnrichPositionsRequest(), timeout=60)
    except SonicError:
        return
