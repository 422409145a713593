"""Minutes of the market: the demo's own, or those of the first provider that answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sonic.price.v1 import price_pb2 as pb
from sonic.price.v1 import price_pb2_grpc as rpc

from services.price.domain.demo import price_usd
from shared.clock import PushedClock
from shared.codec import to_timestamp
from shared.errors import InvalidArgument
from tests.contract.price.bodies import NOW_SECOND
from tests.contract.price.conftest import Servers
from tests.fakes.http_provider import HttpProvider

KLINES = "GET /api/v3/klines"
COINBASE = "GET /products/SOL-USD/candles"
NOW_MINUTE = NOW_SECOND // 60


@pytest.fixture
async def provider() -> AsyncIterator[HttpProvider]:
    async with HttpProvider() as provider:
        yield provider


async def minutes(
    stub: rpc.PriceServiceStub, clock: PushedClock, count: int, *assets: str
) -> dict[str, pb.Minutes]:
    """Of the last minutes, with the one that is not over."""
    request = pb.ReadMinutesRequest(
        assets=assets, start_time=to_timestamp(clock.now() - timedelta(minutes=count))
    )
    return {one.asset: one async for one in stub.ReadMinutes(request)}


async def test_the_demo_markets_minutes_hold_every_price_of_theirs(
    servers: Servers, clock: PushedClock
) -> None:
    stub = await servers.start()
    await stub.RefreshPrices(pb.RefreshPricesRequest())
    start = clock.now()
    # Through a crash, which begins ten minutes after the start.
    clock.advance(15 * 60 + 20)
    found = await minutes(stub, clock, 10, "BTC", "SOL")
    assert set(found) == {"BTC", "SOL"}
    btc = found["BTC"]
    assert btc.source == "demo" and not btc.failure and len(btc.minute) == 11
    for minute, high, low in zip(btc.minute, btc.high_usd, btc.low_usd, strict=True):
        for second in range(0, 60, 5):
            moment = start + timedelta(seconds=minute * 60 + second - start.timestamp())
            if moment < clock.now():
                assert low <= price_usd("sonic", "BTC", start, moment) <= high
    assert min(btc.low_usd) < 0.85 * btc.high_usd[0], "the crash is in it"


def klines(first: int, last: int, low: float = 90.0) -> list[list[Any]]:
    return [
        [minute * 60_000, "100", "110", str(low), "100", "1", 0] for minute in range(first, last)
    ]


async def live(
    servers: Servers, provider: HttpProvider, **settings: object
) -> rpc.PriceServiceStub:
    return await servers.start(
        sonic_live=True, price_assets=("SOL", "SPX"), binance_url=provider.url, **settings
    )


async def test_live_minutes_are_candles_and_who_has_none_says_why(
    servers: Servers, provider: HttpProvider, clock: PushedClock
) -> None:
    clock.advance(30)
    rows = klines(NOW_MINUTE - 10, NOW_MINUTE + 1)
    provider.answer(KLINES, json=rows, where={"interval": "1m"})
    stub = await live(servers, provider)
    found = await minutes(stub, clock, 10, "SOL", "SPX")
    assert found["SOL"].source == "binance"
    assert list(found["SOL"].minute) == list(range(NOW_MINUTE - 10, NOW_MINUTE + 1))
    assert set(found["SOL"].low_usd) == {90.0} and set(found["SOL"].high_usd) == {110.0}
    assert (found["SPX"].source, found["SPX"].failure) == ("", "NO_CANDLES")
    assert not found["SPX"].minute


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ({"status": 451, "json": {}}, "REFUSED"),
        ({"json": klines(NOW_MINUTE - 2, NOW_MINUTE, low=200.0)}, "BAD_BODY"),
        ({"json": klines(NOW_MINUTE - 9, NOW_MINUTE)}, "BAD_BODY"),
        ({"text": "<html>", "headers": {"content-type": "text/html"}}, "BAD_BODY"),
        ({"json": {"code": -1121}, "status": 400}, "NO_CANDLES"),
    ],
)
async def test_a_provider_that_fails_is_followed_by_the_next_and_the_last_one_is_named(
    servers: Servers,
    provider: HttpProvider,
    clock: PushedClock,
    answer: dict[str, Any],
    failure: str,
) -> None:
    provider.answer(KLINES, **answer)
    stub = await live(servers, provider, price_candle_sources=("binance",))
    assert (await minutes(stub, clock, 2, "SOL"))["SOL"].failure == failure
    rows = [[minute * 60, 91, 109, 100, 100, 1.5] for minute in (NOW_MINUTE - 1, NOW_MINUTE - 2)]
    provider.answer(COINBASE, json=rows)
    both = await live(
        servers, provider, price_candle_sources=("binance", "coinbase"), coinbase_url=provider.url
    )
    found = (await minutes(both, clock, 2, "SOL"))["SOL"]
    assert found.source == "coinbase" and list(found.low_usd) == [91.0, 91.0]


async def test_a_stretch_of_more_than_a_day_or_backwards_is_refused(
    servers: Servers, clock: PushedClock
) -> None:
    stub = await servers.start()
    for count in (1442, -2):
        with pytest.raises(InvalidArgument) as refused:
            await minutes(stub, clock, count, "BTC")
        assert refused.value.reason == "INVALID_FIELD"


async def test_a_source_that_hangs_leaves_time_for_the_next_and_is_not_asked_for_a_while(
    servers: Servers, provider: HttpProvider, clock: PushedClock
) -> None:
    provider.answer(KLINES, silent=True)
    rows = [[minute * 60, 91, 109, 100, 100, 1.5] for minute in (NOW_MINUTE - 1, NOW_MINUTE - 2)]
    provider.answer(COINBASE, json=rows)
    stub = await live(
        servers, provider, price_candle_sources=("binance", "coinbase"), coinbase_url=provider.url
    )
    before = len(provider.asked(KLINES))
    for _ in range(2):
        assert (await minutes(stub, clock, 2, "SOL"))["SOL"].source == "coinbase"
    asked = [one for one in provider.asked(KLINES)[before:] if "1m" in str(one)]
    assert len(asked) == 1


async def test_a_cycle_waits_for_no_pause_between_pages_where_there_is_one(
    servers: Servers, provider: HttpProvider, clock: PushedClock
) -> None:
    provider.answer(KLINES, json={"no": "list"})
    rows = [[minute * 60, 91, 109, 100, 100, 1.5] for minute in (NOW_MINUTE - 1, NOW_MINUTE - 2)]
    provider.answer(COINBASE, json=rows)
    stub = await live(
        servers, provider, price_candle_sources=("binance", "coinbase"), coinbase_url=provider.url
    )
    before = clock.monotonic()
    assert (await minutes(stub, clock, 2, "SOL"))["SOL"].source == "coinbase"
    assert clock.monotonic() == before


@pytest.mark.parametrize(
    ("answer", "failure", "is_asked_again"),
    [
        ({"status": 500, "json": {}}, "SERVER_ERROR", False),
        ({"json": {"no": "list"}}, "BAD_BODY", True),
    ],
)
async def test_a_source_that_takes_long_to_fail_rests_but_not_for_what_one_asset_is_answered(
    servers: Servers,
    provider: HttpProvider,
    clock: PushedClock,
    answer: dict[str, Any],
    failure: str,
    is_asked_again: bool,
) -> None:
    provider.answer(KLINES, **answer, delay=0.3, where={"interval": "1m"})
    stub = await live(servers, provider, price_candle_sources=("binance",))
    assert (await minutes(stub, clock, 2, "SOL"))["SOL"].failure == failure
    before = len(provider.asked(KLINES))
    assert (await minutes(stub, clock, 2, "SOL"))["SOL"].failure == failure
    assert (len(provider.asked(KLINES)) > before) is is_asked_again
