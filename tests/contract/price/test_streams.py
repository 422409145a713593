"""Pyth's stream of prices: opened in the live market, a sign to look and no price."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sonic.price.v1 import price_pb2 as pb
from sonic.price.v1 import price_pb2_grpc as rpc

from services.price.sources.pyth import FEEDS
from shared.rpc.client import Channel
from tests.contract.price.bodies import COINGECKO_PATH, NOW_SECOND, coins
from tests.contract.price.conftest import Servers
from tests.fakes.http_provider import HttpProvider
from tests.fakes.pushing import push
from tests.fakes.streaming import FakeEventSource, event_server


@pytest.fixture
async def hermes() -> AsyncIterator[FakeEventSource]:
    async with event_server() as made:
        yield made


@pytest.fixture
async def provider() -> AsyncIterator[HttpProvider]:
    async with HttpProvider() as made:
        yield made


@asynccontextmanager
async def watching(servers: Servers) -> AsyncIterator[list[pb.WatchStreamsResponse]]:
    assert servers.app is not None
    channel = Channel(servers.app.address)
    stub: Any = channel.stub(rpc.StreamsServiceStub)
    heard: list[pb.WatchStreamsResponse] = []

    async def watch() -> None:
        async for answer in stub.WatchStreams(pb.WatchStreamsRequest()):
            heard.append(answer)  # noqa: PERF401  # looked at while it grows

    task = asyncio.create_task(watch())
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await channel.stop()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


def event(asset: str, price_usd: float) -> str:
    price = {"price": str(round(price_usd * 1e8)), "conf": "1", "expo": -8, "publish_time": 1}
    body = {"binary": {}, "parsed": [{"id": FEEDS[asset], "price": price}]}
    return f"data: {json.dumps(body)}\n\n"


async def test_a_price_that_moved_since_the_last_look_is_told_once(
    servers: Servers, provider: HttpProvider, hermes: FakeEventSource
) -> None:
    stub = await servers.start(
        sonic_live=True,
        sonic_streams=True,
        price_sources=("coingecko",),
        coingecko_url=provider.url,
        pyth_hermes_url=hermes.url,
    )
    provider.answer(COINGECKO_PATH, json=coins(NOW_SECOND, 1.0))
    answer = await stub.RefreshPrices(pb.RefreshPricesRequest(force=True))
    (btc,) = [price.price_usd for price in answer.prices if price.asset == "BTC"]
    async with watching(servers) as heard:
        await until(lambda: hermes.open_count == 1)
        (line,) = hermes.requests
        assert line.startswith("GET /v2/updates/price/stream?") and FEEDS["BTC"] in line
        await until(lambda: heard[-1].streams[0].state == pb.STREAM_STATE_CONNECTED)
        for factor in (1.001, 0.998, 1.004):
            await hermes.send(event("BTC", btc * factor))
        await hermes.send(event("ETH", -1.0) + "data: {}\n\n" + "data: what\n\n")
        await hermes.send(event("BTC", btc * 1.006) * 3)
        await until(lambda: any(one.events for one in heard))
        assert [list(one.events) for one in heard if one.events] == [["pyth price"]]
    known = await stub.GetPrice(pb.GetPriceRequest(asset="BTC"))
    assert known.price_usd == btc


async def test_in_the_demo_market_and_without_the_setting_it_is_not_opened(
    servers: Servers, hermes: FakeEventSource
) -> None:
    stub = await servers.start(sonic_streams=True, pyth_hermes_url=hermes.url)
    await stub.RefreshPrices(pb.RefreshPricesRequest())
    async with watching(servers) as heard:
        await until(lambda: bool(heard) and heard[-1].streams[0].reason == "NOTHING_TO_WATCH")
        await push(servers.clock, 20.0)
    await servers.start(sonic_live=True, pyth_hermes_url=hermes.url)
    async with watching(servers) as heard:
        await until(lambda: bool(heard))
        assert not heard[0].streams
    assert not hermes.requests
