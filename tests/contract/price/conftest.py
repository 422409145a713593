"""A whole price server on a free port and a database of its own, at a time that tests push."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from sonic.price.v1 import price_pb2_grpc as rpc

from services.price.server import Config, build
from shared.clock import PushedClock
from shared.lifecycle import App
from shared.rpc.client import Channel
from tests.contract.price.source_bench import REFERENCE_TIME, HurriedClock, SourceBench
from tests.fakes.databases import Databases
from tests.fakes.http_provider import HttpProvider

NOWHERE = "http://127.0.0.1:9"


class Servers:
    """Starts price servers on this test's database."""

    def __init__(self, database_url: str, clock: PushedClock, stack: AsyncExitStack) -> None:
        self._database_url = database_url
        self._stack = stack
        self.clock = clock
        self.app: App | None = None

    async def start(self, **settings: object) -> rpc.PriceServiceStub:
        """A server with these settings, and a stub that talks to it."""
        config = Config.model_validate(
            {
                "listen_address": "127.0.0.1:0",
                "database_url": self._database_url,
                "coingecko_url": NOWHERE,
                "pyth_hermes_url": NOWHERE,
                "binance_url": NOWHERE,
                "coinbase_url": NOWHERE,
                "kraken_url": NOWHERE,
                "yahoo_url": NOWHERE,
                "shutdown_grace_seconds": 1.0,
                **settings,
            }
        )
        self.app = await self._stack.enter_async_context(build(config, self.clock))
        channel = Channel(self.app.address)
        await self._stack.enter_async_context(App("channel", [channel]))
        return channel.stub(rpc.PriceServiceStub)


@pytest.fixture
def clock() -> PushedClock:
    return HurriedClock(REFERENCE_TIME)


@pytest.fixture
async def servers(databases: Databases, clock: PushedClock) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        yield Servers(databases.url("price"), clock, stack)


@pytest.fixture
async def bench() -> AsyncIterator[SourceBench]:
    async with HttpProvider() as provider:
        bench = SourceBench(provider)
        yield bench
        await bench.close()
