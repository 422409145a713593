"""What happens while the sources are being asked is not lost, and nobody is written over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sonic.price.v1 import price_pb2 as pb
from sonic.price.v1 import price_pb2_grpc as rpc

from shared.codec import to_timestamp
from shared.errors import Conflict
from tests.contract.price.bodies import COINGECKO_PATH, NOW_SECOND, coins
from tests.contract.price.conftest import Servers
from tests.fakes.http_provider import HttpProvider


@pytest.fixture
async def provider() -> AsyncIterator[HttpProvider]:
    async with HttpProvider() as provider:
        yield provider


@pytest.fixture
def late() -> asyncio.Event:
    """Set: the answer may come."""
    return asyncio.Event()


@pytest.fixture
async def live(
    servers: Servers, provider: HttpProvider, late: asyncio.Event
) -> rpc.PriceServiceStub:
    """Known since a minute ago; the next answer comes late."""
    stub = await servers.start(
        sonic_live=True,
        price_sources=("coingecko",),
        price_assets=("BTC",),
        coingecko_url=provider.url,
        price_call_timeout_seconds=8.0,
    )
    provider.answer(COINGECKO_PATH, json=coins(NOW_SECOND))
    await stub.RefreshPrices(pb.RefreshPricesRequest(cycle_id="first", epoch=1))
    servers.clock.advance(60)
    provider.answer(COINGECKO_PATH, json=coins(NOW_SECOND + 60), after=late)
    return stub


async def crossed(
    stub: rpc.PriceServiceStub, provider: HttpProvider
) -> asyncio.Task[pb.RefreshPricesResponse]:
    """A refresh that has read what it starts from and waits for its source."""
    asked = len(provider.requests)

    async def refresh() -> pb.RefreshPricesResponse:
        return await stub.RefreshPrices(
            pb.RefreshPricesRequest(cycle_id="second", epoch=1, force=True)
        )

    refreshing = asyncio.create_task(refresh())
    while len(provider.requests) == asked:
        await asyncio.sleep(0.01)
    return refreshing


async def test_a_row_by_hand_in_between_is_the_one_before(
    live: rpc.PriceServiceStub, provider: HttpProvider, servers: Servers, late: asyncio.Event
) -> None:
    refreshing = await crossed(live, provider)
    # Between the row that is known and the one that comes.
    moment = to_timestamp(servers.clock.now() - timedelta(seconds=30))
    await live.InsertPrice(
        pb.InsertPriceRequest(asset="BTC", price_usd=97_000.0, price_time=moment)
    )
    late.set()
    (price,) = (await refreshing).prices
    history = (await live.ListPriceHistory(pb.ListPriceHistoryRequest(asset="BTC"))).records
    assert len(history) == 3
    assert history[0].previous_price_time == history[1].price_time
    assert history[1].previous_price_time == history[2].price_time
    assert price.price_time == history[0].price_time
    assert price.previous_price_usd == history[0].previous_price_usd


async def test_data_cleared_in_between_stays_cleared(
    live: rpc.PriceServiceStub, provider: HttpProvider, late: asyncio.Event
) -> None:
    refreshing = await crossed(live, provider)
    await live.ClearData(pb.ClearDataRequest(confirm="clear"))
    late.set()
    (price,) = (await refreshing).prices
    assert not price.HasField("previous_price_usd")
    assert len((await live.ListPriceHistory(pb.ListPriceHistoryRequest(asset="BTC"))).records) == 1


async def test_an_owner_that_lost_its_lease_in_between_writes_nothing(
    live: rpc.PriceServiceStub, provider: HttpProvider, servers: Servers, late: asyncio.Event
) -> None:
    refreshing = await crossed(live, provider)
    other = await servers.start(
        sonic_live=True, price_sources=("coingecko",), price_assets=("BTC",)
    )
    await other.RefreshPrices(pb.RefreshPricesRequest(cycle_id="theirs", epoch=2, force=True))
    late.set()
    with pytest.raises(Conflict) as refused:
        await refreshing
    assert refused.value.reason == "STALE_EPOCH"
    assert len((await live.ListPriceHistory(pb.ListPriceHistoryRequest(asset="BTC"))).records) == 1
