"""WatchPrices through the real server: the present state first, then changes,
of whatever server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sonic.price.v1 import price_pb2 as pb
from sonic.price.v1 import price_pb2_grpc as rpc

from shared.errors import Unavailable
from tests.contract.price.conftest import Servers

SOON_SECONDS = 5.0


class Watcher:
    """Reads a stream with a deadline a message."""

    def __init__(self, stub: rpc.PriceServiceStub, *assets: str) -> None:
        self._call = stub.WatchPrices(pb.WatchPricesRequest(assets=assets))
        self._messages: AsyncIterator[pb.WatchPricesResponse] = self._call.__aiter__()

    async def next(self) -> pb.WatchPricesResponse:
        async with asyncio.timeout(SOON_SECONDS):
            return await self._messages.__anext__()

    async def next_while(self, push: Servers) -> pb.WatchPricesResponse:
        """The next message while the clock moves on: other servers are looked at once a second."""
        waiting = asyncio.ensure_future(self.next())
        while not waiting.done():
            push.clock.advance(0.5)
            await asyncio.wait({waiting}, timeout=0.02)
        return waiting.result()

    def cancel(self) -> None:
        self._call.cancel()


async def refresh(
    stub: rpc.PriceServiceStub, *assets: str, market: int = 0
) -> pb.RefreshPricesResponse:
    request = pb.RefreshPricesRequest(force=True, assets=assets, market=market)
    return await stub.RefreshPrices(request)


async def test_an_empty_present_state_is_told_too(servers: Servers) -> None:
    watcher = Watcher(await servers.start())
    first = await watcher.next()
    assert (len(first.prices), first.gap) == (0, False)


async def test_the_present_state_comes_first_and_then_what_changed(servers: Servers) -> None:
    price = await servers.start()
    known = await refresh(price)
    watcher = Watcher(price)
    assert [one.price_usd for one in (await watcher.next()).prices] == [
        one.price_usd for one in known.prices
    ]
    servers.clock.advance(60)
    changed = await refresh(price, "ETH")
    news = await watcher.next()
    assert [(one.asset, one.price_usd) for one in news.prices] == [
        ("ETH", changed.prices[0].price_usd)
    ]
    assert not news.gap


async def test_a_refresh_that_changes_nothing_is_not_told(servers: Servers) -> None:
    price = await servers.start()
    await refresh(price)
    watcher = Watcher(price)
    await watcher.next()
    await refresh(price)  # the clock stands still: the same prices again
    servers.clock.advance(60)
    later = await refresh(price)
    assert (await watcher.next()).prices[0].price_time == later.prices[0].price_time


async def test_only_the_watched_assets_are_told(servers: Servers) -> None:
    price = await servers.start()
    watcher = Watcher(price, "sol")
    await watcher.next()
    await refresh(price, "BTC")
    servers.clock.advance(60)
    await refresh(price)
    assert [one.asset for one in (await watcher.next()).prices] == ["SOL"]


async def test_changes_made_by_another_server_arrive_within_a_second_of_the_clock(
    servers: Servers,
) -> None:
    here, there = await servers.start(), await servers.start()
    watcher = Watcher(here)
    await watcher.next()
    changed = await refresh(there)
    news = await watcher.next_while(servers)
    assert [one.price_usd for one in news.prices] == [one.price_usd for one in changed.prices]


async def test_two_watchers_both_see_every_change(servers: Servers) -> None:
    price = await servers.start()
    watchers = [Watcher(price), Watcher(price)]
    for watcher in watchers:
        await watcher.next()
    for _ in range(3):
        servers.clock.advance(60)
        expected = (await refresh(price)).prices[0].price_usd
        for watcher in watchers:
            assert (await watcher.next()).prices[0].price_usd == expected


async def test_clearing_is_told_as_a_gap_with_nothing_left(servers: Servers) -> None:
    price = await servers.start()
    await refresh(price)
    watcher = Watcher(price)
    await watcher.next()
    await price.ClearData(pb.ClearDataRequest(confirm="clear"))
    news = await watcher.next()
    assert (len(news.prices), news.gap) == (0, True)


async def test_another_market_is_told_as_a_gap_with_its_whole_state(servers: Servers) -> None:
    price = await servers.start()
    await refresh(price)
    watcher = Watcher(price)
    await watcher.next()
    await refresh(price, "BTC", market=pb.MARKET_LIVE)  # no source answers: a price is not known
    news = await watcher.next()
    assert news.gap
    assert [(one.asset, one.market) for one in news.prices] == [("BTC", pb.MARKET_LIVE)]


async def test_a_watcher_that_leaves_is_forgotten_and_others_go_on(servers: Servers) -> None:
    price = await servers.start()
    leaving, staying = Watcher(price), Watcher(price)
    await leaving.next()
    await staying.next()
    leaving.cancel()
    changed = await refresh(price)
    assert (await staying.next()).prices[0].price_usd == changed.prices[0].price_usd


async def test_a_stopping_server_ends_its_streams(servers: Servers) -> None:
    watcher = Watcher(await servers.start())
    await watcher.next()
    assert servers.app is not None
    async with asyncio.timeout(SOON_SECONDS):
        await servers.app.stop()
    with pytest.raises(Unavailable):
        await watcher.next()
