"""From what a venue's websocket tells to the cycle that looks, through every server and on the
identities of each.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sonic.cyclone.v1 import cyclone_pb2
from sonic.cyclone.v1 import cyclone_pb2_grpc as cyclone_rpc
from sonic.positions.v1 import positions_pb2
from sonic.positions.v1 import positions_pb2_grpc as positions_rpc

from services.cli import doctor
from services.cli.connection import System
from tests.contract.cyclone.conftest import until
from tests.e2e.conftest import OpenSystem
from tests.fakes.streaming import FakeWebsocket, websocket_server

pytestmark = pytest.mark.slow

NOWHERE = "http://127.0.0.1:9"
_ADDRESSES = (
    "HYPERLIQUID_URL",
    "DYDX_INDEXER_URL",
    "JUPITER_API_BASE",
    "COINGECKO_URL",
    "PYTH_HERMES_URL",
    "COINBASE_URL",
    "KRAKEN_URL",
    "BINANCE_URL",
)
FILL = {"channel": "user", "data": {"fills": [{"coin": "BTC", "px": "1"}]}}


@pytest.fixture
async def venue() -> AsyncIterator[FakeWebsocket]:
    async with websocket_server(pong='{"channel": "pong"}') as made:
        yield made


@pytest.fixture
async def servers(open_system: OpenSystem, venue: FakeWebsocket) -> AsyncIterator[System]:
    settings = {
        "SONIC_SCHEDULE": "1",
        "SONIC_STREAMS": "1",
        "HYPERLIQUID_STREAM_URL": venue.url,
        "DYDX_STREAM_URL": "",
        **dict.fromkeys(_ADDRESSES, NOWHERE),
    }
    async with open_system(settings) as made:
        yield made


async def test_a_fill_is_followed_by_a_cycle_of_its_own(
    servers: System, venue: FakeWebsocket
) -> None:
    wallets = await servers.stub("positions", positions_rpc.WalletsServiceStub)
    wallet = positions_pb2.Wallet(
        name="main", chain=positions_pb2.CHAIN_ETHEREUM, public_address="0x" + "ab" * 20
    )
    await wallets.CreateWallet(positions_pb2.CreateWalletRequest(wallet=wallet))
    cycles = await servers.stub("cyclone", cyclone_rpc.CycloneServiceStub)

    async def is_open() -> bool:
        answer = await cycles.ListStreams(cyclone_pb2.ListStreamsRequest())
        states = {one.name: one.state for one in answer.streams}
        return states.get("hyperliquid") == cyclone_pb2.STREAM_STATE_CONNECTED

    await until(is_open)
    seen = await doctor.streams(servers)
    assert seen.verdict == "ok" and "hyperliquid CONNECTED" in seen.found
    await venue.send(*[FILL] * 100)

    async def pulled() -> list[cyclone_pb2.Cycle]:
        listed = (await cycles.ListCycles(cyclone_pb2.ListCyclesRequest())).cycles
        return [one for one in listed if one.cause == cyclone_pb2.CAUSE_STREAM]

    (one,) = await until(pulled)
    request = cyclone_pb2.ListEventsRequest(cycle_id=one.id, source="stream")
    (line,) = (await cycles.ListEvents(request)).events
    assert line.message == "pulled forward by hyperliquid fill"


async def test_a_stream_that_is_lost_is_said_by_doctor(
    servers: System, venue: FakeWebsocket
) -> None:
    await venue.stop()
    wallets = await servers.stub("positions", positions_rpc.WalletsServiceStub)
    wallet = positions_pb2.Wallet(
        name="main", chain=positions_pb2.CHAIN_ETHEREUM, public_address="0x" + "cd" * 20
    )
    await wallets.CreateWallet(positions_pb2.CreateWalletRequest(wallet=wallet))

    async def is_lost() -> bool:
        return (await doctor.streams(servers)).verdict == "warning"

    await until(is_lost)
    seen = await doctor.streams(servers)
    assert "hyperliquid RECONNECTING" in seen.found and "docs/streams.md" in seen.fix
