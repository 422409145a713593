"""Live prices through the real server and real HTTP: what is stored when sources agree, lie or are
down.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable

import pytest
from sonic.price.v1 import price_pb2 as pb
from sonic.price.v1 import price_pb2_grpc as rpc

from shared.errors import NotFound
from tests.contract.price.bodies import (
    COINGECKO,
    COINGECKO_PATH,
    NOW_SECOND,
    PYTH,
    PYTH_PATH,
    coin,
    coins,
    feed,
    feeds,
)
from tests.contract.price.conftest import Servers
from tests.fakes.http_provider import HttpProvider


@pytest.fixture
async def provider() -> AsyncIterator[HttpProvider]:
    async with HttpProvider() as provider:
        yield provider


@pytest.fixture
async def live(servers: Servers, provider: HttpProvider) -> rpc.PriceServiceStub:
    return await servers.start(
        sonic_live=True,
        coingecko_url=provider.url,
        pyth_hermes_url=provider.url,
        price_call_timeout_seconds=1.0,
    )


async def refresh(stub: rpc.PriceServiceStub) -> dict[str, pb.Price]:
    answer = await stub.RefreshPrices(pb.RefreshPricesRequest(force=True))
    return {price.asset: price for price in answer.prices}


def reasons(price: pb.Price) -> dict[str, str]:
    return {quote.source: quote.dropped_reason for quote in price.quotes}


def both(provider: HttpProvider, second: int, factor: float = 1.0) -> None:
    provider.answer(COINGECKO_PATH, json=coins(second, factor))
    provider.answer(PYTH_PATH, json=feeds(second, factor))


async def test_two_sources_that_agree_give_a_good_price(
    live: rpc.PriceServiceStub, provider: HttpProvider
) -> None:
    provider.answer(COINGECKO_PATH, json=COINGECKO)
    provider.answer(PYTH_PATH, json=PYTH)
    answer = await live.RefreshPrices(pb.RefreshPricesRequest())
    bitcoin = answer.prices[0]
    assert bitcoin.price_usd == pytest.approx((97_401.0 + 97_411.88450001) / 2, rel=1e-12)
    assert (bitcoin.quality, bitcoin.source) == (pb.QUALITY_GOOD, "coingecko+pyth")
    assert bitcoin.price_time.ToSeconds() == NOW_SECOND - 1
    assert bitcoin.age.seconds == 1
    assert (answer.market, answer.fresh_count) == (pb.MARKET_LIVE, 3)
    assert [(source.source, source.ok, source.quote_count) for source in answer.sources] == [
        ("coingecko", True, 3),
        ("pyth", True, 3),
    ]
    assert not bitcoin.HasField("hourly_volatility_ratio")


async def test_one_source_down_leaves_a_single_price_and_a_row(
    live: rpc.PriceServiceStub, provider: HttpProvider
) -> None:
    provider.answer(COINGECKO_PATH, status=503)
    provider.answer(PYTH_PATH, json=PYTH)
    answer = await live.RefreshPrices(pb.RefreshPricesRequest())
    assert [price.quality for price in answer.prices] == [pb.QUALITY_SINGLE] * 3
    assert [(source.ok, source.failure) for source in answer.sources] == [
        (False, "SERVER_ERROR"),
        (True, ""),
    ]
    assert reasons(answer.prices[0]) == {"coingecko": "SERVER_ERROR", "pyth": ""}


async def test_nothing_is_known_before_any_source_answered(live: rpc.PriceServiceStub) -> None:
    with pytest.raises(NotFound):
        await live.GetPrice(pb.GetPriceRequest(asset="BTC"))
    answer = await live.RefreshPrices(pb.RefreshPricesRequest())
    assert (answer.fresh_count, answer.missing_count) == (0, 3)
    for price in answer.prices:
        assert price.quality == pb.QUALITY_NONE
        assert not price.HasField("price_usd")
    assert (await live.GetPrice(pb.GetPriceRequest(asset="BTC"))).quality == pb.QUALITY_NONE
    assert not (await live.ListPriceHistory(pb.ListPriceHistoryRequest(asset="BTC"))).records


async def test_with_all_sources_down_the_last_price_stays_and_is_stale(
    live: rpc.PriceServiceStub, provider: HttpProvider, servers: Servers
) -> None:
    both(provider, NOW_SECOND)
    good = await refresh(live)
    await provider.stop()
    servers.clock.advance(3600)
    stale = await refresh(live)
    for asset, price in stale.items():
        assert price.quality == pb.QUALITY_STALE
        assert price.price_usd == good[asset].price_usd
        assert price.price_time == good[asset].price_time
        assert price.age.seconds == 3600
    records = (await live.ListPriceHistory(pb.ListPriceHistoryRequest(asset="BTC"))).records
    assert [record.price_usd for record in records] == [good["BTC"].price_usd]


@pytest.mark.slow
async def test_prices_recover_with_their_providers(
    live: rpc.PriceServiceStub, provider: HttpProvider, servers: Servers
) -> None:
    both(provider, NOW_SECOND)
    good = await refresh(live)
    await provider.stop()
    for _ in range(6):
        servers.clock.advance(60)
        await refresh(live)
    await provider.start()
    servers.clock.advance(60)
    both(provider, NOW_SECOND + 420, 1.05)
    back = await refresh(live)
    assert back["BTC"].quality == pb.QUALITY_GOOD
    assert back["BTC"].previous_price_usd == good["BTC"].price_usd
    assert back["BTC"].price_usd == pytest.approx(1.05 * good["BTC"].price_usd, rel=1e-9)


LIES: list[tuple[str, Callable[[HttpProvider], None]]] = [
    ("a zero", lambda p: p.answer(COINGECKO_PATH, json=coin(0))),
    ("a negative", lambda p: p.answer(COINGECKO_PATH, json=coin(-97_401.0))),
    ("a string", lambda p: p.answer(COINGECKO_PATH, json=coin("97401.0"))),
    ("a shifted decimal point", lambda p: p.answer(COINGECKO_PATH, json=coin(974.01))),
    ("two hours ago", lambda p: p.answer(COINGECKO_PATH, json=coin(1.0, NOW_SECOND - 7200))),
    ("an hour ahead", lambda p: p.answer(COINGECKO_PATH, json=coin(1.0, NOW_SECOND + 3600))),
    (
        "1e400",
        lambda p: p.answer(COINGECKO_PATH, text='{"bitcoin":{"usd":1e400,"last_updated_at":1}}'),
    ),
    ("NaN", lambda p: p.answer(COINGECKO_PATH, text='{"bitcoin":{"usd":NaN,"last_updated_at":1}}')),
    (
        "a page",
        lambda p: p.answer(COINGECKO_PATH, text="<html>", headers={"content-type": "text/html"}),
    ),
    ("a limit with 200", lambda p: p.answer(COINGECKO_PATH, json={"status": {"error_code": 429}})),
    ("a wide confidence", lambda p: p.answer(PYTH_PATH, json=feed(conf="974118845000"))),
    ("a wrong exponent", lambda p: p.answer(PYTH_PATH, json=feed(expo=-2))),
]


@pytest.mark.parametrize(("lie", "tell"), LIES, ids=[lie for lie, _ in LIES])
async def test_a_lie_alone_stores_nothing(
    live: rpc.PriceServiceStub,
    provider: HttpProvider,
    servers: Servers,
    lie: str,
    tell: Callable[[HttpProvider], None],
) -> None:
    both(provider, NOW_SECOND - 5)
    good = (await refresh(live))["BTC"]
    provider.forget()
    provider.answer(COINGECKO_PATH, json={})
    provider.answer(PYTH_PATH, json={"parsed": []})
    tell(provider)
    servers.clock.advance(5)
    kept = (await refresh(live))["BTC"]
    assert (kept.price_usd, kept.price_time, kept.quality) == (
        good.price_usd,
        good.price_time,
        pb.QUALITY_STALE,
    )
    assert all(reasons(kept).values())
    assert len((await live.ListPriceHistory(pb.ListPriceHistoryRequest(asset="BTC"))).records) == 1


async def test_two_sources_that_contradict_each_other_leave_the_one_near_the_last_good_price(
    live: rpc.PriceServiceStub, provider: HttpProvider, servers: Servers
) -> None:
    both(provider, NOW_SECOND)
    await refresh(live)
    servers.clock.advance(60)
    provider.answer(COINGECKO_PATH, json=coins(NOW_SECOND + 55, 0.5))
    provider.answer(PYTH_PATH, json=feeds(NOW_SECOND + 55, 0.95))
    torn = (await refresh(live))["BTC"]
    assert (torn.quality, torn.source) == (pb.QUALITY_DISAGREE, "pyth")
    assert torn.price_usd == pytest.approx(0.95 * 97_411.88450001, rel=1e-6)
    assert reasons(torn) == {"coingecko": "OUTLIER", "pyth": ""}


async def test_disagreeing_prices_cannot_walk_away_from_the_last_good_one(
    live: rpc.PriceServiceStub, provider: HttpProvider, servers: Servers
) -> None:
    both(provider, NOW_SECOND)
    good = (await refresh(live))["BTC"].price_usd
    for step in range(1, 4):
        servers.clock.advance(60)
        provider.answer(COINGECKO_PATH, json=coins(NOW_SECOND + 60 * step, 3.0))
        provider.answer(PYTH_PATH, json=feeds(NOW_SECOND + 60 * step, 1 - 0.06 * step))
        torn = (await refresh(live))["BTC"]
    assert torn.price_usd == pytest.approx(0.94 * good, rel=1e-3)
    assert torn.quality == pb.QUALITY_STALE


async def test_a_late_answer_never_turns_time_back(
    live: rpc.PriceServiceStub, provider: HttpProvider, servers: Servers
) -> None:
    both(provider, NOW_SECOND)
    good = (await refresh(live))["BTC"]
    servers.clock.advance(30)
    provider.answer(COINGECKO_PATH, json=coins(NOW_SECOND - 60, 1.01))
    provider.answer(PYTH_PATH, status=404)
    late = (await refresh(live))["BTC"]
    assert (late.price_usd, late.price_time) == (good.price_usd, good.price_time)
    assert late.quality == pb.QUALITY_SINGLE


async def test_a_market_is_remembered_and_never_mixed_with_the_other(
    servers: Servers, provider: HttpProvider
) -> None:
    both(provider, NOW_SECOND)
    price = await servers.start(coingecko_url=provider.url, pyth_hermes_url=provider.url)
    demo = await price.RefreshPrices(pb.RefreshPricesRequest(force=True))
    assert demo.market == pb.MARKET_DEMO
    live = await price.RefreshPrices(pb.RefreshPricesRequest(market=pb.MARKET_LIVE))
    assert (live.skipped_reason, live.market) == ("", pb.MARKET_LIVE)
    assert not live.prices[0].HasField("previous_price_usd")
    assert {one.market for one in (await price.ListPrices(pb.ListPricesRequest())).prices} == {
        pb.MARKET_LIVE
    }
    records = (await price.ListPriceHistory(pb.ListPriceHistoryRequest(asset="BTC"))).records
    assert [record.market for record in records] == [pb.MARKET_LIVE]
    restarted = await servers.start(coingecko_url=provider.url, pyth_hermes_url=provider.url)
    again = await restarted.RefreshPrices(pb.RefreshPricesRequest(force=True))
    assert again.market == pb.MARKET_LIVE


async def test_a_server_started_live_does_not_go_on_with_the_demo(servers: Servers) -> None:
    demo = await servers.start()
    await demo.RefreshPrices(pb.RefreshPricesRequest(force=True))
    live = await servers.start(sonic_live=True, price_sources=("coingecko",))
    assert not (await live.ListPrices(pb.ListPricesRequest())).prices


async def test_a_replayed_cycle_asks_no_source_again(
    live: rpc.PriceServiceStub, provider: HttpProvider
) -> None:
    both(provider, NOW_SECOND)
    request = pb.RefreshPricesRequest(cycle_id="cycle-1", epoch=1, force=True)
    first = await live.RefreshPrices(request)
    asked = len(provider.requests)
    again = await live.RefreshPrices(request)
    assert len(provider.requests) == asked
    assert again.prices[0].price_usd == first.prices[0].price_usd


async def test_sources_are_asked_at_the_same_time(
    live: rpc.PriceServiceStub, provider: HttpProvider
) -> None:
    provider.answer(COINGECKO_PATH, json=COINGECKO, delay=0.1)
    provider.answer(PYTH_PATH, json=PYTH, delay=0.1)
    found = await refresh(live)
    assert found["BTC"].quality == pb.QUALITY_GOOD
    # Neither was answered before both had asked.
    assert provider.most_at_once == 2


async def test_a_day_of_live_prices_makes_the_volatility_known(
    servers: Servers, provider: HttpProvider
) -> None:
    price = await servers.start(
        sonic_live=True,
        price_sources=("coingecko",),
        price_assets=("BTC",),
        coingecko_url=provider.url,
    )
    for hour in range(27):
        provider.answer(
            COINGECKO_PATH, json=coins(NOW_SECOND + 3600 * hour, 1.01 if hour % 2 else 1.0)
        )
        bitcoin = (await refresh(price))["BTC"]
        assert bitcoin.HasField("hourly_volatility_ratio") == (hour >= 25)
        servers.clock.advance(3600)
    assert bitcoin.hourly_volatility_ratio == pytest.approx(math.log(1.01), rel=1e-9)
