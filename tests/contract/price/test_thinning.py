"""The history thins with its age: its candles stay what they were, and rows by hand all stay."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import datetime, timedelta
from itertools import pairwise

import asyncpg
import pytest
from sonic.price.v1 import price_pb2 as pb
from sonic.price.v1 import price_pb2_grpc as rpc

from services.price.domain.prices import MANUAL_SOURCE
from tests.contract.price.conftest import Servers
from tests.contract.price.source_bench import REFERENCE_TIME
from tests.fakes.databases import Databases

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Two hours each, a row every ten seconds.
RECENT, OF_MINUTES, OF_HOURS, OVER = (REFERENCE_TIME - days * DAY for days in (1, 10, 30, 401))
_INSERT = (
    "insert into price_history (market, asset, price_usd, price_time, source, quality)"
    # The demo market has an hourly past already.
    " values (1, $1, $2, $3, $4, 1) on conflict do nothing"
)
Candles = dict[datetime, tuple[float, float, float, float]]


def _source(number: int) -> str:
    return MANUAL_SOURCE if number % 97 == 50 else "demo-a+demo-b"


async def _seeded(databases: Databases) -> None:
    chance = random.Random(5)
    rows = [
        ("BTC", 100.0 + chance.random(), start + number * timedelta(seconds=10), _source(number))
        for start in (RECENT, OF_MINUTES, OF_HOURS, OVER)
        for number in range(720)
    ]
    connection = await asyncpg.connect(databases.url("price"))
    try:
        await connection.executemany(_INSERT, rows)
    finally:
        await connection.close()


async def _rows(databases: Databases, source: str = "%") -> dict[datetime, int]:
    """How many there are of each stretch."""
    connection = await asyncpg.connect(databases.url("price"))
    try:
        return {
            start: await connection.fetchval(
                "select count(*) from price_history where asset = 'BTC' and source like $1"
                " and price_time >= $2 and price_time < $2 + interval '2 hours'",
                source,
                start,
            )
            for start in (RECENT, OF_MINUTES, OF_HOURS, OVER)
        }
    finally:
        await connection.close()


async def _candles(
    price: rpc.PriceServiceStub, interval: pb.Interval.ValueType, start: datetime
) -> Candles:
    request = pb.ListCandlesRequest(asset="BTC", interval=interval, page_size=500)
    request.start_time.FromDatetime(start)
    request.end_time.FromDatetime(start + 2 * HOUR)
    found = await price.ListCandles(request)
    return {
        one.start_time.ToDatetime(): (one.open_usd, one.high_usd, one.low_usd, one.close_usd)
        for one in found.candles
    }


async def _until_thinned(databases: Databases, hours_count: int) -> None:
    end = time.monotonic() + 30
    while (await _rows(databases))[OF_HOURS] != hours_count:
        assert time.monotonic() < end, await _rows(databases)
        await asyncio.sleep(0.02)


async def _filled(
    servers: Servers, databases: Databases, **settings: object
) -> rpc.PriceServiceStub:
    """A server that has a price of BTC, and starts again with these rows behind it."""
    price = await servers.start(price_assets=("BTC",))
    await price.RefreshPrices(pb.RefreshPricesRequest())
    assert servers.app is not None
    await servers.app.stop()
    await _seeded(databases)
    return await servers.start(price_assets=("BTC",), **settings)


@pytest.mark.slow
async def test_old_prices_become_minutes_then_hours_then_nothing_with_the_same_candles(
    servers: Servers, databases: Databases
) -> None:
    kept_all = {
        f"price_history_{name}_days": 0 for name in ("minutes_after", "hours_after", "kept")
    }
    price = await _filled(servers, databases, **kept_all)
    whole = await _rows(databases)
    assert set(whole.values()) == {720}
    hours = {start: await _candles(price, pb.INTERVAL_HOUR, start) for start in whole}
    minutes = {start: await _candles(price, pb.INTERVAL_MINUTE, start) for start in whole}
    by_hand = await _rows(databases, MANUAL_SOURCE)
    assert servers.app is not None
    await servers.app.stop()
    price = await servers.start(price_assets=("BTC",))
    await _until_thinned(databases, 2 * 4 + by_hand[OF_HOURS])
    # The minutes come after the hours.
    end = time.monotonic() + 30
    while (await _rows(databases))[OF_MINUTES] > 120 * 4 + by_hand[OF_MINUTES]:
        assert time.monotonic() < end
        await asyncio.sleep(0.02)
    thinned = await _rows(databases)
    assert (thinned[RECENT], thinned[OVER]) == (720, 0)
    assert await _rows(databases, MANUAL_SOURCE) == {**by_hand, OVER: 0}
    for start in (RECENT, OF_MINUTES, OF_HOURS):
        assert await _candles(price, pb.INTERVAL_HOUR, start) == hours[start]
    for start in (RECENT, OF_MINUTES):
        assert await _candles(price, pb.INTERVAL_MINUTE, start) == minutes[start]


async def test_rows_that_stay_name_the_row_that_is_before_them_now(
    servers: Servers, databases: Databases
) -> None:
    price = await _filled(servers, databases, price_history_minutes_after_days=0)
    by_hand = (await _rows(databases, MANUAL_SOURCE))[OF_HOURS]
    await _until_thinned(databases, 2 * 4 + by_hand)
    request = pb.ListPriceHistoryRequest(asset="BTC", page_size=500)
    request.start_time.FromDatetime(OF_HOURS)
    request.end_time.FromDatetime(OF_HOURS + 2 * HOUR)
    found = list(reversed((await price.ListPriceHistory(request)).records))
    assert len(found) == 2 * 4 + by_hand
    for before, row in pairwise(found):
        assert (row.previous_price_usd, row.previous_price_time) == (
            before.price_usd,
            before.price_time,
        )


@pytest.mark.parametrize("days", [0, 3])
async def test_the_age_from_which_hours_are_thinned_is_a_setting(
    servers: Servers, databases: Databases, days: int
) -> None:
    settings = {"price_history_minutes_after_days": 0, "price_history_hours_after_days": days}
    price = await _filled(servers, databases, **settings)
    by_hand = await _rows(databases, MANUAL_SOURCE)
    if days:
        await _until_thinned(databases, 2 * 4 + by_hand[OF_HOURS])
        assert (await _rows(databases))[OF_MINUTES] == 2 * 4 + by_hand[OF_MINUTES]
    # What is over its time goes first, so all is done when the newest row has its links.
    assert (await _rows(databases))[RECENT] == 720
    assert await price.GetPrice(pb.GetPriceRequest(asset="BTC"))
