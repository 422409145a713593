"""Candles from the history, and history from candles, through the real server and a real socket."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sonic.price.v1 import price_pb2 as pb
from sonic.price.v1 import price_pb2_grpc as rpc

from shared.errors import InvalidArgument, NotFound, Unavailable
from tests.contract.price.bodies import NOW_SECOND
from tests.contract.price.conftest import Servers
from tests.fakes.databases import Databases
from tests.fakes.http_provider import HttpProvider

KLINES = "GET /api/v3/klines"
FIXTURES = Path(__file__).parents[2] / "fixtures"
FIVE = 300
HOUR = 3600


def at(second: int) -> Timestamp:
    return Timestamp(seconds=second)


def kline(start_second: int, *prices: str, span_seconds: int = HOUR) -> list[Any]:
    first, high, low, last = prices
    closed = (start_second + span_seconds) * 1000 - 1
    return [
        start_second * 1000,
        first,
        high,
        low,
        last,
        "10.5",
        closed,
        "1000.0",
        100,
        "5.0",
        "500.0",
        "0",
    ]


def hours(start: int, end: int) -> list[list[Any]]:
    """Candles of the hours from `start` to before `end`, counted from seven days before now."""
    return [
        kline(NOW_SECOND + (place - 168) * HOUR, "100.0", "120.0", "90.0", f"{100 + place % 7}.5")
        for place in range(start, end)
    ]


@pytest.fixture
async def provider() -> AsyncIterator[HttpProvider]:
    async with HttpProvider() as provider:
        yield provider


@pytest.fixture
async def live(servers: Servers, provider: HttpProvider) -> rpc.PriceServiceStub:
    return await servers.start(sonic_live=True, binance_url=provider.url + "/mirror")


async def backfill(
    stub: rpc.PriceServiceStub,
    first: int,
    last: int,
    asset: str = "SOL",
    interval: int = pb.INTERVAL_HOUR,
) -> list[pb.BackfillHistoryResponse]:
    request = pb.BackfillHistoryRequest(
        asset=asset,
        interval=pb.Interval.ValueType(interval),
        start_time=at(first),
        end_time=at(last),
    )
    return [message async for message in stub.BackfillHistory(request)]


async def prices(stub: rpc.PriceServiceStub, asset: str = "SOL") -> list[pb.PriceRecord]:
    found = await stub.ListPriceHistory(pb.ListPriceHistoryRequest(asset=asset, page_size=500))
    return list(reversed(found.records))


WEEK = NOW_SECOND - 168 * HOUR
ROUTE = KLINES.replace(" ", " /mirror")


async def test_a_week_of_hours_becomes_linked_rows_and_volatility(
    live: rpc.PriceServiceStub, provider: HttpProvider
) -> None:
    provider.answer(ROUTE, json=hours(0, 168))
    (message,) = await backfill(live, WEEK, NOW_SECOND)
    assert (message.fetched_count, message.inserted_count, message.known_count) == (168, 168, 0)
    assert (message.done, list(message.gaps), message.covered_until_time) == (
        True,
        [],
        at(NOW_SECOND),
    )
    assert provider.asked(ROUTE)[0].query == {
        "symbol": "SOLUSDT",
        "interval": "1h",
        "startTime": str(WEEK * 1000),
        "endTime": str(NOW_SECOND * 1000 - 1),
        "limit": "1000",
    }
    rows = await prices(live)
    assert [row.price_usd for row in rows[:3]] == [100.5, 101.5, 102.5]
    assert rows[0].price_time.ToMilliseconds() == (WEEK + HOUR) * 1000 - 1
    for before, row in pairwise(rows):
        assert (row.previous_price_usd, row.previous_price_time) == (
            before.price_usd,
            before.price_time,
        )
    assert {(row.source, row.quality) for row in rows} == {("binance", pb.QUALITY_SINGLE)}
    price = await live.GetPrice(pb.GetPriceRequest(asset="SOL"))
    assert (price.price_usd, price.quality) == (rows[-1].price_usd, pb.QUALITY_STALE)
    refreshed = await live.RefreshPrices(pb.RefreshPricesRequest(force=True, assets=["SOL"]))
    assert refreshed.prices[0].hourly_volatility_ratio > 0


async def test_again_it_writes_nothing_and_keeps_what_was_there(
    live: rpc.PriceServiceStub, provider: HttpProvider
) -> None:
    manual = pb.InsertPriceRequest(asset="SOL", price_usd=55.0, price_time=at(WEEK + HOUR + 60))
    await live.InsertPrice(manual)
    provider.answer(ROUTE, json=hours(0, 24))
    await backfill(live, WEEK, WEEK + 24 * HOUR)
    before = await prices(live)
    (message,) = await backfill(live, WEEK, WEEK + 24 * HOUR)
    assert (message.inserted_count, message.known_count) == (0, 24)
    assert await prices(live) == before
    assert [row.price_usd for row in before[:3]] == [100.5, 55.0, 101.5]
    assert [row.previous_price_usd for row in before[1:3]] == [100.5, 55.0]


async def test_a_gap_of_the_provider_is_told_and_stays_a_gap(
    live: rpc.PriceServiceStub, provider: HttpProvider
) -> None:
    provider.answer(ROUTE, json=hours(0, 10) + hours(13, 20))
    (message,) = await backfill(live, WEEK, WEEK + 24 * HOUR)
    holes = [(gap.start_time.ToSeconds(), gap.interval_count) for gap in message.gaps]
    assert holes == [(WEEK + 10 * HOUR, 3), (WEEK + 20 * HOUR, 4)]
    candles = await live.ListCandles(
        pb.ListCandlesRequest(asset="SOL", start_time=at(WEEK), end_time=at(WEEK + 24 * HOUR))
    )
    assert len(candles.candles) == 17
    assert list(candles.gaps) == list(message.gaps)


async def test_the_recorded_candles_with_a_gap_and_out_of_order(
    live: rpc.PriceServiceStub, provider: HttpProvider
) -> None:
    gapped = json.loads((FIXTURES / "garbage" / "binance_klines_gap.json").read_text())
    first = gapped[0][0] // 1000
    provider.answer(ROUTE, json=gapped)
    (message,) = await backfill(live, first, first + 12 * FIVE, interval=pb.INTERVAL_FIVE_MINUTES)
    assert sum(gap.interval_count for gap in message.gaps) == 3 == 12 - message.fetched_count
    kept = await prices(live)
    provider.answer(
        ROUTE, json=json.loads((FIXTURES / "garbage" / "binance_klines_unsorted.json").read_text())
    )
    with pytest.raises(Unavailable) as caught:
        await backfill(live, first, first + 12 * FIVE, interval=pb.INTERVAL_FIVE_MINUTES)
    assert caught.value.reason == "PROVIDER_BAD_BODY"
    assert await prices(live) == kept


async def test_more_than_a_thousand_candles_come_in_pages(
    live: rpc.PriceServiceStub, servers: Servers, provider: HttpProvider
) -> None:
    minute = [
        kline(WEEK + place * 60, "1.0", "1.0", "1.0", "1.0", span_seconds=60)
        for place in range(1500)
    ]
    provider.answer(ROUTE, json=minute[:1000], where={"startTime": str(WEEK * 1000)})
    provider.answer(ROUTE, json=minute[1000:], where={"startTime": str((WEEK + 60_000) * 1000)})
    told = await backfill(live, WEEK, WEEK + 90_000, interval=pb.INTERVAL_MINUTE)
    assert [(one.fetched_count, one.done) for one in told] == [(1000, False), (1500, True)]


async def test_what_was_written_stays_when_a_later_page_fails(
    live: rpc.PriceServiceStub, provider: HttpProvider
) -> None:
    minute = [
        kline(WEEK + place * 60, "1.0", "1.0", "1.0", "1.0", span_seconds=60)
        for place in range(1000)
    ]
    provider.answer(ROUTE, json=minute, times=1)
    provider.answer(ROUTE, status=429, json={"code": -1003}, headers={"retry-after": "17"})
    with pytest.raises(Unavailable) as caught:
        await backfill(live, WEEK, WEEK + 90_000, interval=pb.INTERVAL_MINUTE)
    assert (caught.value.reason, caught.value.retry_after) == (
        "PROVIDER_RATE_LIMITED",
        timedelta(seconds=17),
    )
    assert len(await prices(live)) == 500


@pytest.mark.parametrize(
    "row",
    [
        None,
        [],
        {"open": 1},
        kline(WEEK, "1.0", "2.0", "0.5", "1.5")[:6],
        kline(WEEK, "1.0", "2.0", "0.5", "3.0"),
        kline(WEEK, "1.0", "0.9", "0.5", "0.8"),
        kline(WEEK, "1.0", "2.0", "0.0", "1.5"),
        kline(WEEK, "1.0", "2.0", "-0.5", "1.5"),
        kline(WEEK, "1.0", "NaN", "0.5", "1.5"),
        kline(WEEK, "1.0", "2.0", "0.5", ""),
        kline(WEEK + 60, "1.0", "2.0", "0.5", "1.5"),
        kline(WEEK - HOUR, "1.0", "2.0", "0.5", "1.5"),
        kline(WEEK + 24 * HOUR, "1.0", "2.0", "0.5", "1.5"),
        [str(WEEK * 1000), "1.0", "2.0", "0.5", "1.5", "1", 1],
        [WEEK * 1000, 1.0, 2.0, 0.5, 1.5, "1", 1],
        [10**40, "1.0", "2.0", "0.5", "1.5", "1", 1],
    ],
)
async def test_a_candle_that_cannot_be_is_refused_with_its_page(
    live: rpc.PriceServiceStub, provider: HttpProvider, row: object
) -> None:
    provider.answer(ROUTE, json=[row])
    with pytest.raises(Unavailable) as caught:
        await backfill(live, WEEK, WEEK + 24 * HOUR)
    assert caught.value.reason == "PROVIDER_BAD_BODY"
    assert await prices(live) == []


async def test_what_cannot_be_filled_is_refused_by_name(
    live: rpc.PriceServiceStub, provider: HttpProvider
) -> None:
    provider.answer(ROUTE, status=400, json={"code": -1121, "msg": "Invalid symbol."})
    with pytest.raises(NotFound) as missing:
        await backfill(live, WEEK, NOW_SECOND)
    assert missing.value.reason == "NO_CANDLES"
    with pytest.raises(InvalidArgument) as unknown:
        await backfill(live, WEEK, NOW_SECOND, asset="DOGE")
    assert unknown.value.reason == "UNKNOWN_ASSET"
    for first, last in (
        (NOW_SECOND, WEEK),
        (NOW_SECOND + HOUR, NOW_SECOND + 2 * HOUR),
        (0, NOW_SECOND),
    ):
        with pytest.raises(InvalidArgument) as caught:
            await backfill(live, first, last, interval=pb.INTERVAL_MINUTE)
        assert caught.value.reason == "INVALID_FIELD"


async def test_the_demo_market_is_not_touched_by_real_candles(
    servers: Servers, provider: HttpProvider
) -> None:
    demo = await servers.start(binance_url=provider.url)
    provider.answer(KLINES, json=hours(0, 168))
    (message,) = await backfill(demo, WEEK, NOW_SECOND)
    assert message.inserted_count == 168
    assert await prices(demo) == []
    answer = await demo.RefreshPrices(pb.RefreshPricesRequest())
    assert answer.market == pb.MARKET_DEMO


async def seed(databases: Databases, rows: list[tuple[datetime, float]]) -> None:
    connection = await asyncpg.connect(databases.url("price"))
    await connection.executemany(
        "insert into price_history (market, asset, price_usd, price_time, source, quality)"
        " values (2, 'BTC', $2, $1, 'x', 1)",
        rows,
    )
    await connection.close()


async def test_candles_equal_a_plain_reckoning_and_tile_the_time(
    live: rpc.PriceServiceStub, databases: Databases
) -> None:
    chance = random.Random(11)
    end = datetime.fromtimestamp(NOW_SECOND, UTC)
    seconds = chance.sample(range(1, 40 * HOUR), 300)
    rows = [(end - timedelta(seconds=second), chance.lognormvariate(4, 0.2)) for second in seconds]
    await seed(databases, rows)
    for interval, span in ((2, FIVE), (3, 900), (4, HOUR), (5, 4 * HOUR), (6, 24 * HOUR)):
        candles, gaps, pages = await walk(live, interval, NOW_SECOND - 48 * HOUR, page_size=37)
        assert pages == -(
            -(-(-NOW_SECOND // span) * span - (NOW_SECOND - 48 * HOUR) // span * span)
            // (37 * span)
        )
        buckets: dict[int, list[tuple[datetime, float]]] = {}
        for row in sorted(rows):
            buckets.setdefault(int(row[0].timestamp()) // span * span, []).append(row)
        assert [candle.start_time.ToSeconds() for candle in candles] == sorted(buckets)
        for candle in candles:
            inside = [price for _, price in buckets[candle.start_time.ToSeconds()]]
            found = (
                candle.open_usd,
                candle.high_usd,
                candle.low_usd,
                candle.close_usd,
                candle.record_count,
            )
            assert found == (inside[0], max(inside), min(inside), inside[-1], len(inside))
            assert candle.complete == (candle.start_time.ToSeconds() + span <= NOW_SECOND)
        edges = {(one.start_time.ToSeconds(), one.start_time.ToSeconds() + span) for one in candles}
        edges |= {(gap.start_time.ToSeconds(), gap.end_time.ToSeconds()) for gap in gaps}
        ordered = sorted(edges)
        assert ordered[0][0] == (NOW_SECOND - 48 * HOUR) // span * span
        assert all(one[1] == other[0] for one, other in pairwise(ordered))


async def walk(
    stub: rpc.PriceServiceStub, interval: int, start: int, page_size: int
) -> tuple[list[pb.Candle], list[pb.Gap], int]:
    candles: list[pb.Candle] = []
    gaps: list[pb.Gap] = []
    token, pages = "", 0
    while True:
        answer = await stub.ListCandles(
            pb.ListCandlesRequest(
                asset="btc",
                interval=pb.Interval.ValueType(interval),
                start_time=at(start),
                page_size=page_size,
                page_token=token,
            )
        )
        candles += answer.candles
        gaps += answer.gaps
        token, pages = answer.next_page_token, pages + 1
        if not token:
            return candles, gaps, pages


async def test_candles_without_a_start_are_the_last_ones_and_need_an_order(
    live: rpc.PriceServiceStub, databases: Databases
) -> None:
    await seed(databases, [(datetime.fromtimestamp(NOW_SECOND - 90, UTC), 5.0)])
    answer = await live.ListCandles(pb.ListCandlesRequest(asset="BTC", page_size=3))
    assert [candle.close_usd for candle in answer.candles] == [5.0]
    assert [gap.interval_count for gap in answer.gaps] == [2]
    assert answer.next_page_token == ""
    with pytest.raises(InvalidArgument) as caught:
        await live.ListCandles(
            pb.ListCandlesRequest(asset="BTC", start_time=at(NOW_SECOND), end_time=at(WEEK))
        )
    assert caught.value.reason == "INVALID_FIELD"


async def test_the_sources_are_listed_enabled_or_not(servers: Servers) -> None:
    price = await servers.start(price_sources=["pyth", "kraken"], kraken_url="http://127.0.0.1:9")
    found = {one.source: one for one in (await price.ListSources(pb.ListSourcesRequest())).sources}
    assert list(found) == ["binance", "coinbase", "coingecko", "jupiter", "kraken", "pyth", "yahoo"]
    assert [name for name, one in found.items() if one.enabled] == ["kraken", "pyth"]
    assert found["kraken"].state == pb.SOURCE_STATE_READY
    assert (found["kraken"].calls_left, found["binance"].HasField("calls_left")) == (10, False)
    assert list(found["yahoo"].assets) == ["SPX"]
    live = pb.RefreshPricesRequest(market=pb.MARKET_LIVE, force=True)
    await price.RefreshPrices(live)
    after = {one.source: one for one in (await price.ListSources(pb.ListSourcesRequest())).sources}
    assert (after["kraken"].last_failure, after["kraken"].failure_count) == ("CONNECT", 1)
    assert not after["kraken"].HasField("last_answer_time")
