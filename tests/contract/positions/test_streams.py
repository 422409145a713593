"""What venues tell between two looks: through a whole positions server, over real websockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import generate_latest
from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from shared import metrics
from shared.clock import PushedClock
from shared.rpc.client import Channel
from tests.contract.positions.conftest import Servers
from tests.fakes.pushing import push
from tests.fakes.streaming import FakeWebsocket, websocket_server

FIRST, SECOND = "0x" + "ab" * 20, "0x" + "cd" * 20
FILL = {"channel": "user", "data": {"fills": [{"coin": "BTC", "px": "1"}]}}
Open = Callable[..., Awaitable[Servers]]


@pytest.fixture
async def hyperliquid() -> AsyncIterator[FakeWebsocket]:
    async with websocket_server(
        ["Websocket connection established."], '{"channel": "pong"}'
    ) as made:
        yield made


@pytest.fixture
async def dydx() -> AsyncIterator[FakeWebsocket]:
    async with websocket_server(['{"type": "connected", "connection_id": "1"}']) as made:
        yield made


class Watching:
    """Everything one watcher was told."""

    def __init__(self) -> None:
        self.streams: dict[str, pb.Stream] = {}
        self.told: list[str] = []
        self.message_count = 0

    def stands(self, name: str) -> tuple[int, str]:
        stream = self.streams.get(name, pb.Stream())
        return stream.state, stream.reason

    def is_open(self, name: str) -> bool:
        return self.stands(name)[0] == pb.STREAM_STATE_CONNECTED


@asynccontextmanager
async def watching(servers: Servers) -> AsyncIterator[Watching]:
    channel = Channel(servers.address)
    stub: Any = channel.stub(rpc.StreamsServiceStub)
    made = Watching()

    async def watch() -> None:
        async for answer in stub.WatchStreams(pb.WatchStreamsRequest()):
            made.streams = {one.name: one for one in answer.streams}
            made.told += answer.events
            made.message_count += 1

    task = asyncio.create_task(watch())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await channel.stop()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


async def pushed_until(clock: PushedClock, holds: Callable[[], bool]) -> None:
    """Looks come by the clock, answers by the network."""
    async with asyncio.timeout(60):
        while not holds():
            await push(clock, 5.0)


def users(venue: FakeWebsocket) -> list[str]:
    asked = [one["subscription"] for one in venue.subscriptions if "subscription" in one]  # type: ignore[index,operator]  # JSON
    return [one["user"].lower() for one in asked if "user" in one]


async def add(servers: Servers, name: str, address: str) -> None:
    wallet = pb.Wallet(name=name, chain=pb.CHAIN_ETHEREUM, public_address=address)
    await servers.wallets.CreateWallet(pb.CreateWalletRequest(wallet=wallet))


@pytest.mark.slow
async def test_off_by_default_and_nothing_to_watch_in_the_demo(
    open_system: Open, hyperliquid: FakeWebsocket, clock: PushedClock
) -> None:
    off = await open_system(hyperliquid_stream_url=hyperliquid.url)
    async with watching(off) as one:
        await until(lambda: one.message_count == 1)
        assert not one.streams
    demo = await open_system(
        hyperliquid_stream_url=hyperliquid.url, dydx_stream_url="", sonic_streams=True
    )
    await demo.positions.SyncPositions(pb.SyncPositionsRequest())
    async with watching(demo) as one:
        await until(lambda: one.stands("hyperliquid") == (pb.STREAM_STATE_OFF, "NOTHING_TO_WATCH"))
        assert set(one.streams) == {"hyperliquid"}
        await push(clock, 20.0)
    assert not hyperliquid.asked


async def test_wallets_are_followed_fills_are_told_and_a_lost_connection_is_opened_again(
    open_system: Open, hyperliquid: FakeWebsocket, clock: PushedClock
) -> None:
    servers = await open_system(
        hyperliquid_stream_url=hyperliquid.url, dydx_stream_url="", sonic_streams=True
    )
    await add(servers, "kelp", FIRST)
    async with watching(servers) as one:
        await until(lambda: one.is_open("hyperliquid") and users(hyperliquid) == [FIRST])
        await hyperliquid.send(FILL, FILL)
        await until(lambda: one.told == ["hyperliquid fill"])

        await add(servers, "wrack", SECOND)
        await pushed_until(clock, lambda: users(hyperliquid) == [FIRST, SECOND])

        await hyperliquid.hang_up()
        await pushed_until(clock, lambda: len(hyperliquid.asked) == 3)
        await until(lambda: one.is_open("hyperliquid") and users(hyperliquid) == [FIRST, SECOND])
        await hyperliquid.send({"channel": "user", "data": {"liquidation": {"lid": 1}}})
        await until(lambda: "hyperliquid liquidation" in one.told)

        for name in ("kelp", "wrack"):
            request = pb.UpdateWalletRequest(wallet=pb.Wallet(name=name))
            request.update_mask.paths.append("active")
            await servers.wallets.UpdateWallet(request)
        await pushed_until(clock, lambda: not hyperliquid.connections)
        await until(lambda: one.stands("hyperliquid")[0] == pb.STREAM_STATE_OFF)
    shown = generate_latest(metrics.process().registry).decode()
    assert 'sonic_stream_events_total{kind="fill",stream="hyperliquid"}' in shown
    assert not [word for word in (FIRST, SECOND, "kelp", "wrack") if word in shown.lower()]


async def test_beyond_ten_accounts_the_others_are_only_polled_and_it_says_so(
    open_system: Open, hyperliquid: FakeWebsocket
) -> None:
    servers = await open_system(
        hyperliquid_stream_url=hyperliquid.url, dydx_stream_url="", sonic_streams=True
    )
    for place in range(12):
        await add(servers, f"wallet {place:02}", f"0x{place:040x}")
    async with watching(servers) as one:
        await until(
            lambda: (
                one.stands("hyperliquid") == (pb.STREAM_STATE_CONNECTED, "NOT_FOLLOWED 2")
                and len(users(hyperliquid)) == 10
            )
        )


async def test_a_mark_that_moved_is_told_and_one_that_trembles_is_not(
    open_system: Open, hyperliquid: FakeWebsocket, clock: PushedClock
) -> None:
    servers = await open_system(
        hyperliquid_stream_url=hyperliquid.url, dydx_stream_url="", sonic_streams=True
    )
    await add(servers, "kelp", FIRST)
    await servers.create(wallet="kelp", venue="hyperliquid")
    await servers.positions.EnrichPositions(pb.EnrichPositionsRequest())
    async with watching(servers) as one:
        await until(lambda: one.is_open("hyperliquid") and len(hyperliquid.subscriptions) == 2)

        def mark(price: float) -> dict[str, object]:
            return {"channel": "activeAssetCtx", "data": {"coin": "BTC", "ctx": {"markPx": price}}}

        await hyperliquid.send(*[mark(price) for price in (75.1, 74.9, 75.2, 75.3)], FILL)
        await until(lambda: bool(one.told))
        assert one.told == ["hyperliquid fill"]
        await hyperliquid.send(mark(74.6), mark(74.6))
        await until(lambda: one.told == ["hyperliquid fill", "hyperliquid mark"])


async def test_dydx_is_followed_on_its_own(
    open_system: Open, dydx: FakeWebsocket, hyperliquid: FakeWebsocket
) -> None:
    servers = await open_system(
        hyperliquid_stream_url=hyperliquid.url, dydx_stream_url=dydx.url, sonic_streams=True
    )
    address = "dydx199tqg4wdlnu4qjlxchpd7seg454937hjrknju4"
    wallet = pb.Wallet(name="first", chain=pb.CHAIN_DYDX, public_address=address)
    await servers.wallets.CreateWallet(pb.CreateWalletRequest(wallet=wallet))
    async with watching(servers) as one:
        await until(lambda: one.is_open("dydx") and bool(dydx.subscriptions))
        assert dydx.subscriptions == [
            {
                "type": "subscribe",
                "batched": True,
                "channel": "v4_parent_subaccounts",
                "id": f"{address}/0",
            }
        ]
        assert one.stands("hyperliquid") == (pb.STREAM_STATE_OFF, "NOTHING_TO_WATCH")
        contents = [{"fills": [{"type": "LIQUIDATED"}]}]
        told = {"type": "channel_batch_data", "channel": "v4_parent_subaccounts"}
        await dydx.send({**told, "contents": contents})
        await until(lambda: one.told == ["dydx liquidation"])
