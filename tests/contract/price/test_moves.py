"""A year of hourly candles, from providers and the own history, and the moves made of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import asyncpg
import numpy as np
import pytest
from sonic.price.v1 import price_pb2 as pb
from sonic.price.v1 import price_pb2_grpc as rpc

from services.price.domain.moves import demo_hours
from shared.clock import PushedClock
from shared.touch import KEPT_HOURS, START_WINDOW_HOURS, History, Hours, history
from tests.contract.price.bodies import NOW_SECOND
from tests.contract.price.conftest import Servers
from tests.fakes.databases import Databases
from tests.fakes.http_provider import HttpProvider
from tests.fakes.pushing import push

HOUR = 3600
NOW_HOUR = NOW_SECOND // HOUR
SINCE = NOW_HOUR - KEPT_HOURS
KLINES = "GET /api/v3/klines"
COINBASE = "GET /products/SOL-USD/candles"
KRAKEN = "GET /0/public/OHLC"
WAIT_SECONDS = 60.0


def candle(hour: int) -> tuple[float, float, float, float]:
    """Open, high, low, close of one hour of the providers' market."""
    before, close = (
        100 * np.exp(0.2 * np.sin(at / 900) + 0.01 * np.sin(at * 2.4)) for at in (hour - 1, hour)
    )
    up, down = np.exp(0.005 * np.array([np.sin(hour) ** 2, np.cos(hour) ** 2]))
    high, low = max(before, close) * up, min(before, close) / down
    return round(before, 4), round(high, 4) + 0.0001, round(low, 4) - 0.0001, round(close, 4)


def whole(first: int, last: int) -> Hours:
    rows = np.array([candle(hour) for hour in range(first, last)])
    return Hours(np.arange(first, last), rows[:, 1], rows[:, 2], rows[:, 3])


def script_binance(provider: HttpProvider, until: int = NOW_HOUR) -> None:
    """Every page that is asked for, of whole thousands of hours."""
    for number in range(SINCE // 1000, until // 1000 + 1):
        start, end = number * 1000, min(number * 1000 + 1000, until)
        rows: list[list[Any]] = [
            [hour * HOUR * 1000, *map(str, candle(hour)), "1", 0] for hour in range(start, end)
        ]
        where = {"symbol": "SOLUSDT", "startTime": str(start * HOUR * 1000)}
        provider.answer(KLINES, json=rows, where=where)


@pytest.fixture
async def provider() -> AsyncIterator[HttpProvider]:
    async with HttpProvider() as provider:
        yield provider


async def moves(
    stub: rpc.PriceServiceStub, clock: PushedClock, count: int = 1, *known: int
) -> dict[str, pb.Moves]:
    """What is served, once it is that of so many assets."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            request = pb.ReadMovesRequest(known_versions=known)
            found = {one.asset: one async for one in stub.ReadMoves(request)}
            if len(found) >= count:
                return found
            await push(clock, 5)


def same(found: pb.Moves, expected: History) -> None:
    assert len(found.up) == len(expected) <= START_WINDOW_HOURS
    np.testing.assert_array_equal(found.up, expected.up)
    np.testing.assert_array_equal(found.down, expected.down)


async def test_the_demo_market_has_a_year_of_its_own_that_says_so_and_travels_once(
    servers: Servers,
) -> None:
    stub = await servers.start()
    assert [one async for one in stub.ReadMoves(pb.ReadMovesRequest())] == []
    await stub.RefreshPrices(pb.RefreshPricesRequest())
    found = await moves(stub, servers.clock, 3)
    assert set(found) == {"BTC", "ETH", "SOL"}
    for asset, one in found.items():
        assert (one.source, one.market, one.horizon_hours) == ("demo", pb.MARKET_DEMO, 24)
        same(one, history(demo_hours("sonic", asset)))
        assert list(one.up) == sorted(one.up) and one.ByteSize() < 160_000
    again = await moves(stub, servers.clock, 3, found["BTC"].version)
    assert not again["BTC"].up and again["BTC"].version == found["BTC"].version
    assert len(again["ETH"].up) == len(found["ETH"].up)
    assert again["ETH"].version != again["BTC"].version


@pytest.mark.slow
async def test_a_live_asset_learns_from_the_candles_of_a_provider_and_keeps_them(
    servers: Servers, provider: HttpProvider, clock: PushedClock
) -> None:
    script_binance(provider)
    asked = {"sonic_live": True, "price_assets": ("SOL",), "price_sources": ("pyth",)}
    stub = await servers.start(**asked, binance_url=provider.url)
    (found,) = (await moves(stub, clock)).values()
    assert (found.source, found.market) == ("binance", pb.MARKET_LIVE)
    same(found, history(whole(SINCE, NOW_HOUR)))
    assert found.newest_hour_time.ToDatetime(UTC) == datetime.fromtimestamp(NOW_SECOND - HOUR, UTC)
    pages = len(provider.asked(KLINES))
    provider.forget()
    again = await servers.start(**asked, binance_url=provider.url)
    (kept,) = (await moves(again, clock)).values()
    assert kept.version == found.version and not provider.asked(KLINES) and pages >= 10
    # An hour later one more page, and other moves.
    script_binance(provider, NOW_HOUR + 1)
    clock.advance(HOUR)
    async with asyncio.timeout(WAIT_SECONDS):
        while (await moves(again, clock))["SOL"].version == found.version:
            await push(clock, 60)
    same((await moves(again, clock))["SOL"], history(whole(SINCE + 1, NOW_HOUR + 1)))


async def test_who_refuses_is_followed_by_the_next_provider(
    servers: Servers, provider: HttpProvider, clock: PushedClock
) -> None:
    provider.answer(KLINES, status=451, json={"msg": "region"})
    start = (NOW_HOUR - 1) // 300 * 300
    rows = [
        [hour * HOUR, candle(hour)[2], candle(hour)[1], candle(hour)[0], candle(hour)[3], 1.5]
        for hour in range(start - 1500, NOW_HOUR)
    ]
    for first in range(start - 1500, start + 1, 300):
        moment = datetime.fromtimestamp(first * HOUR, UTC).isoformat()
        page = [row for row in rows if first <= row[0] // HOUR < first + 300]
        provider.answer(COINBASE, json=page[::-1], where={"start": moment})
    provider.answer(COINBASE, json=[])
    stub = await servers.start(
        sonic_live=True,
        price_assets=("SOL",),
        price_sources=("pyth",),
        binance_url=provider.url,
        coinbase_url=provider.url,
    )
    (found,) = (await moves(stub, clock)).values()
    assert found.source == "coinbase"
    same(found, history(whole(start - 1500, NOW_HOUR)))


async def test_kraken_gives_its_month_and_a_broken_candle_refuses_the_page(
    servers: Servers, provider: HttpProvider, clock: PushedClock
) -> None:
    first = NOW_HOUR // 720 * 720
    rows = [
        [hour * HOUR, *map(str, candle(hour)), "1.0", "2.0", 3]
        for hour in range(first - 720, NOW_HOUR + 1)
    ]
    provider.answer(KRAKEN, json={"error": [], "result": {"SOLUSD": rows, "last": 1}})
    broken = [[row[0] * 1000, "1", "0.5", "1", "1", "1", 0] for row in rows[-1:]]
    provider.answer(KLINES, json=broken)
    stub = await servers.start(
        sonic_live=True,
        price_assets=("SOL",),
        price_sources=("pyth",),
        price_candle_sources=("binance", "kraken"),
        binance_url=provider.url,
        kraken_url=provider.url,
    )
    (found,) = (await moves(stub, clock)).values()
    assert found.source == "kraken"
    same(found, history(whole(first - 720, NOW_HOUR)))


async def test_own_hours_count_where_they_were_wholly_looked_at_and_outlive_the_history(
    servers: Servers, databases: Databases, clock: PushedClock
) -> None:
    nothing: dict[str, Any] = {"price_candle_sources": (), "price_sources": ("pyth",)}
    stub = await servers.start(sonic_live=True, price_assets=("SOL",), **nothing)
    await stub.RefreshPrices(pb.RefreshPricesRequest())
    database = await asyncpg.connect(databases.url("price"))
    try:
        # Every five minutes for 100 hours; of hour 50 a stretch of 15 minutes is missing.
        times = [
            datetime.fromtimestamp(NOW_SECOND, UTC) - timedelta(minutes=5 * n)
            for n in range(12 * 100, 0, -1)
        ]
        base = NOW_HOUR - 100
        times = [
            one
            for one in times
            if not (one.timestamp() // HOUR == base + 50 and 20 <= one.minute < 35)
        ]
        rows = [
            (2, "SOL", 100 + np.sin(n / 7), one, 100.0, before, "pyth", 2)
            for n, (before, one) in enumerate(pairwise(times))
        ]
        await database.executemany(
            "insert into price_history (market, asset, price_usd, price_time, previous_price_usd,"
            " previous_price_time, source, quality) values ($1, $2, $3, $4, $5, $6, $7, $8)",
            rows,
        )
        (found,) = (await moves(stub, clock)).values()
        assert found.source == "own"
        held = await database.fetch("select hour, high_usd, low_usd from hourly_candle")
        hours = {row["hour"] for row in held}
        # The first hour begins without one before it, and one has a stretch nobody looked at.
        assert set(range(base + 1, NOW_HOUR)) - hours == {base + 50}
        inside = [row[2] for row in rows if row[3].timestamp() // HOUR == base + 60]
        (one,) = [row for row in held if row["hour"] == base + 60]
        assert (one["high_usd"], one["low_usd"]) == (max(inside), min(inside))
        await database.execute("delete from price_history")
    finally:
        await database.close()
    again = await servers.start(sonic_live=True, price_assets=("SOL",), **nothing)
    (kept,) = (await moves(again, clock)).values()
    assert kept.version == found.version
