"""A whole positions server on a free port and a database of its own, with a price peer that tests
script.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import grpc
import pytest
from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc
from sonic.price.v1 import price_pb2, price_pb2_grpc

from services.positions.server import Config, build
from shared.clock import PushedClock
from shared.codec import to_timestamp
from shared.lifecycle import App
from shared.rpc.client import Channel
from shared.rpc.server import GrpcServer
from tests.fakes.databases import Databases

START = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
NOWHERE = "127.0.0.1:9"
_FILE_BYTES = 65 * 1024 * 1024


class PricePeer(price_pb2_grpc.PriceServiceServicer):
    """Answers ListPrices with what a test has set; `down` refuses every call."""

    def __init__(self, clock: PushedClock) -> None:
        self._clock = clock
        self._prices: dict[str, price_pb2.Price] = {}
        self.down = False
        self.moves: list[price_pb2.Moves] = []
        self.market = price_pb2.MARKET_UNSPECIFIED
        # High and low by minute since 1970, by asset; minutes without any are not answered.
        self.minutes: dict[str, dict[int, tuple[float, float]]] = {}
        self.minutes_asked_count = 0
        # Hourly closes until now by asset, the oldest first; without any no candles are answered.
        self.closes: dict[str, list[float]] = {}
        self.candles_asked: list[str] = []

    def set(
        self, asset, price_usd, *, age_seconds=0.0, quality=price_pb2.QUALITY_GOOD, volatility=None
    ):
        price = price_pb2.Price(
            asset=asset, price_usd=price_usd, quality=quality, market=self.market
        )
        price.price_time.FromDatetime(self._clock.now())
        price.price_time.seconds -= int(age_seconds)
        if volatility is not None:
            price.hourly_volatility_ratio = volatility
        self._prices[asset] = price

    async def ReadMoves(self, request, context):
        for moves in self.moves:
            known = moves.version in request.known_versions
            yield price_pb2.Moves(asset=moves.asset, version=moves.version) if known else moves

    async def ReadMinutes(self, request, context):
        self.minutes_asked_count += 1
        end = min(request.end_time.seconds or self._clock.now().timestamp(), 2**40)
        for asset in request.assets:
            known = sorted(
                (minute, *ends)
                for minute, ends in self.minutes.get(asset, {}).items()
                if request.start_time.seconds <= 60 * minute < end
            )
            minute, high, low = zip(*known, strict=True) if known else ((), (), ())
            yield price_pb2.Minutes(
                asset=asset,
                source="fake" if known else "",
                failure="" if known else "NO_CANDLES",
                minute=minute,
                high_usd=high,
                low_usd=low,
            )

    async def ListCandles(self, request, context):
        self.candles_asked.append(request.asset)
        if self.down:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "down")
        closes = self.closes.get(request.asset, [])[-request.page_size :]
        hour = int(self._clock.now().timestamp()) // 3600 - len(closes)
        candles = [
            price_pb2.Candle(close_usd=close, complete=True) for close in closes if close > 0
        ]
        for number, candle in enumerate(candles, hour):
            candle.start_time.seconds = 3600 * number
        return price_pb2.ListCandlesResponse(candles=candles)

    async def ListPrices(self, request, context):
        if self.down:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "down")
        return price_pb2.ListPricesResponse(prices=self._prices.values())


class Servers:
    """One positions server and typed stubs to it."""

    def __init__(
        self, channel: Channel, clock: PushedClock, price: PricePeer, databases: Databases
    ) -> None:
        self.address = channel.target
        self.clock = clock
        self.price = price
        self.databases = databases
        self.positions = channel.stub(rpc.PositionsServiceStub)
        self.columns = channel.stub(rpc.PositionsServiceStub, columns=["ReadColumns"])
        self.portfolio = channel.stub(rpc.PortfolioServiceStub)
        self.wallets = channel.stub(rpc.WalletsServiceStub)
        self.risk = channel.stub(rpc.RiskServiceStub)
        self.files = channel.stub(rpc.FilesServiceStub)
        self.sessions = channel.stub(rpc.SessionsServiceStub)
        self.brokers = channel.stub(rpc.BrokersServiceStub)
        self.accounts = channel.stub(rpc.AccountsServiceStub)
        self.touches = channel.stub(rpc.TouchesServiceStub)

    async def create(self, **fields: object) -> pb.Position:
        """A long of BTC at 100, liquidated at 50, marked at 75, unless told otherwise."""
        terms = {
            "asset": "BTC",
            "side": pb.SIDE_LONG,
            "entry_price_usd": 100.0,
            "liquidation_price_usd": 50.0,
            "mark_price_usd": 75.0,
            "size_usd": 1000.0,
            "collateral_usd": 100.0,
        }
        request = pb.CreatePositionRequest(position=pb.Position(**{**terms, **fields}))
        return await self.positions.CreatePosition(request)


@pytest.fixture
def clock() -> PushedClock:
    return PushedClock(START)


@pytest.fixture
async def price(clock: PushedClock) -> AsyncIterator[PricePeer]:
    peer = PricePeer(clock)
    server = GrpcServer(
        "127.0.0.1:0",
        [(price_pb2_grpc.add_PriceServiceServicer_to_server, peer)],
        service_names=[],
        grace_seconds=0.2,
    )
    async with App("price", [server]):
        peer.address = server.address
        yield peer


@pytest.fixture
async def open_system(databases: Databases, clock: PushedClock, price: PricePeer):
    """Starts positions servers on this test's database: `await open_system(sonic_live=True)`."""
    async with AsyncExitStack() as stack:

        async def start(**settings: object) -> Servers:
            config = Config.model_validate(
                {
                    "listen_address": "127.0.0.1:0",
                    "database_url": databases.url("positions"),
                    "price_address": price.address,
                    "jupiter_api_base": f"http://{NOWHERE}",
                    "dydx_indexer_url": f"http://{NOWHERE}",
                    "hyperliquid_url": f"http://{NOWHERE}",
                    "shutdown_grace_seconds": 1.0,
                    **settings,
                }
            )
            app = await stack.enter_async_context(build(config, clock))
            channel = Channel(app.address, max_message_bytes=_FILE_BYTES)
            await stack.enter_async_context(App("channel", [channel]))
            return Servers(channel, clock, price, databases)

        yield start


@pytest.fixture
async def servers(open_system) -> Servers:
    """One server in mode DEMO with no wallet and no price."""
    return await open_system()


@pytest.fixture
def stamp():
    """A moment as a Timestamp."""
    return to_timestamp
