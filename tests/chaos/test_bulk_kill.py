"""A hundred thousand positions, and the server killed while it works on them: no row is lost."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import pytest
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc

from services.cli.certificates import operators
from services.cli.connection import System
from shared.errors import SonicError
from tests.bench.cycles import fill
from tests.bench.provider_json import jupiter_body
from tests.chaos.conftest import system_of, up
from tests.chaos.test_kills import until_serving
from tests.e2e.world import base58_address
from tests.fakes.http_provider import HttpProvider

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
COUNT = 100_000
WALLETS = 20  # an answer of a provider is no longer than the system takes


async def held(servers: System) -> int:
    stub = await servers.stub("positions", positions_pb2_grpc.PortfolioServiceStub)
    totals = await stub.GetTotals(positions_pb2.GetTotalsRequest(), timeout=60)
    return int(totals.position_count)


async def test_no_row_is_lost_when_the_server_is_killed_while_it_enriches(home: Path) -> None:
    async with up(home, {}) as running:
        await fill(running.addresses, COUNT, tls=operators(home / "tls"))
        async with system_of(running) as servers:
            stub = await servers.stub("positions", positions_pb2_grpc.PositionsServiceStub)
            await stub.EnrichPositions(positions_pb2.EnrichPositionsRequest(), timeout=60)
            before = await held(servers)
            for delay_seconds in (0.02, 0.06, 0.12):
                enriching = asyncio.create_task(enrich(stub))
                await asyncio.sleep(delay_seconds)
                running.kill("positions", signal.SIGKILL)
                await enriching
                await until_serving(running, "positions")
                await stub.EnrichPositions(positions_pb2.EnrichPositionsRequest(), timeout=60)
                assert await held(servers) == before
            assert before >= COUNT


async def enrich(stub: positions_pb2_grpc.PositionsServiceStub) -> None:
    """One pass that may be cut off."""
    try:
        await stub.EnrichPositions(positions_pb2.EnrichPositionsRequest(), timeout=60)
    except SonicError:
        return


async def test_no_row_is_lost_when_the_server_is_killed_while_it_syncs(home: Path) -> None:
    chance = random.Random(11)
    addresses = [base58_address(chance) for _ in range(WALLETS)]
    async with HttpProvider() as jupiter:
        tell(jupiter, addresses, 97_400.0)
        settings = {"SONIC_LIVE": "1", "JUPITER_API_BASE": jupiter.url, "JUPITER_API_VERSION": "v1"}
        async with up(home, settings) as running, system_of(running) as servers:
            await watch(servers, addresses)
            stub = await servers.stub("positions", positions_pb2_grpc.PositionsServiceStub)
            await whole(stub)
            for round_number, delay_seconds in enumerate((0.6, 1.5, 2.5), 1):
                # Every mark moves, so that every row is written.
                tell(jupiter, addresses, 97_400.0 + round_number)
                syncing = asyncio.create_task(sync(stub))
                await asyncio.sleep(delay_seconds)
                running.kill("positions", signal.SIGKILL)
                assert await syncing is None, "the kill came too late to hurt"
                await until_serving(running, "positions")
                assert await held(servers) == COUNT
                await whole(stub)
                assert await marks(stub) == {97_400.0 + round_number}


def tell(jupiter: HttpProvider, addresses: list[str], mark_usd: float) -> None:
    """Every wallet holds its share of the positions at this mark."""
    share = COUNT // WALLETS
    for place, address in enumerate(addresses):
        body = jupiter_body(range(place * share, (place + 1) * share), mark_usd)
        jupiter.answer("GET /v1/positions", text=body, where={"walletAddress": address})


async def watch(servers: System, addresses: list[str]) -> None:
    stub = await servers.stub("positions", positions_pb2_grpc.WalletsServiceStub)
    for place, address in enumerate(addresses):
        wallet = positions_pb2.Wallet(
            name=f"w{place}", chain=positions_pb2.CHAIN_SOLANA, public_address=address
        )
        await stub.CreateWallet(positions_pb2.CreateWalletRequest(wallet=wallet))


async def sync(
    stub: positions_pb2_grpc.PositionsServiceStub,
) -> positions_pb2.SyncPositionsResponse | None:
    """One sync by hand; None when it was cut off."""
    try:
        return await stub.SyncPositions(positions_pb2.SyncPositionsRequest(), timeout=60)
    except SonicError:
        return None


async def whole(stub: positions_pb2_grpc.PositionsServiceStub) -> None:
    """A sync in which every wallet answers in full and nothing is missing."""
    synced = await sync(stub)
    assert synced is not None
    states = {one.state for one in synced.wallets}
    assert states == {positions_pb2.WALLET_SYNC_STATE_COMPLETE}, [
        one.reason for one in synced.wallets
    ]
    assert (synced.active_count, synced.stale_count) == (COUNT, 0)
    assert sum(one.closed_count for one in synced.wallets) == 0


async def marks(stub: positions_pb2_grpc.PositionsServiceStub) -> set[float]:
    """The different marks of all positions."""
    request = positions_pb2.ReadColumnsRequest(columns=["mark_price_usd"])
    found: set[float] = set()
    async for piece in stub.ReadColumns(request, timeout=60):
        found.update(piece.mark_price_usd)
    return found
