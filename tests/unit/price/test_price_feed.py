"""The feed of changes: bounded memory, the newest state after a gap, nothing missed and nothing
twice.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from services.price.domain.prices import Market, News, Price, Quality
from services.price.loop import PriceFeed
from services.price.store.rows import Changes
from shared.clock import PushedClock


class Store:
    """One price that is written over and over."""

    def __init__(self) -> None:
        self.number = 1
        self.looks = 0

    async def revision(self) -> int:
        self.looks += 1
        return self.number

    async def changes(self, since: int) -> Changes:
        price = Price("BTC", Market.LIVE, Quality.GOOD, price_usd=float(self.number))
        return Changes(self.number, (price,), reset=False)


class Room:
    """A running feed and its store."""

    def __init__(self) -> None:
        self.store = Store()
        self.clock = PushedClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.feed = PriceFeed(self.store.revision, self.store.changes, self.clock)

    async def __aenter__(self) -> Room:
        await self.feed.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.feed.stop()

    async def write(self) -> None:
        """A write of this process, and time for the feed to see it."""
        self.store.number += 1
        self.feed.wake()
        for _ in range(20):
            await asyncio.sleep(0)


def seen(news: News) -> tuple[float | None, bool]:
    return news.prices[0].price_usd, news.gap


async def test_every_change_is_seen_in_order_by_one_who_keeps_up() -> None:
    async with Room() as room:
        watcher = room.feed.news()
        assert seen(await anext(watcher)) == (1.0, False)
        for number in (2, 3, 4):
            await room.write()
            assert seen(await anext(watcher)) == (float(number), False)
        await watcher.aclose()


async def test_one_who_is_slow_gets_the_waiting_changes() -> None:
    async with Room() as room:
        watcher = room.feed.news()
        await anext(watcher)
        for _ in range(16):
            await room.write()
        numbers = [seen(await anext(watcher)) for _ in range(16)]
        assert numbers == [(float(number), False) for number in range(2, 18)]
        await watcher.aclose()


async def test_one_who_is_too_slow_gets_the_present_state_with_a_gap_and_then_goes_on() -> None:
    async with Room() as room:
        watcher = room.feed.news()
        await anext(watcher)
        for _ in range(500):
            await room.write()
        assert seen(await anext(watcher)) == (501.0, True)
        await room.write()
        assert seen(await anext(watcher)) == (502.0, False)
        await watcher.aclose()


async def test_a_slow_one_costs_a_fast_one_nothing() -> None:
    async with Room() as room:
        slow, fast = room.feed.news(), room.feed.news()
        await anext(slow)
        await anext(fast)
        for number in range(2, 100):
            await room.write()
            assert seen(await anext(fast)) == (float(number), False)
        assert seen(await anext(slow)) == (99.0, True)
        await slow.aclose()
        await fast.aclose()


async def test_nobody_watching_costs_no_look_at_the_store() -> None:
    async with Room() as room:
        for _ in range(100):
            room.clock.advance(1)
            await room.write()
        assert room.store.looks == 0


async def test_without_a_wake_the_store_is_looked_at_each_second() -> None:
    async with Room() as room:
        watcher = room.feed.news()
        await anext(watcher)
        room.store.number += 1
        waiting = asyncio.ensure_future(anext(watcher))
        while not waiting.done():
            room.clock.advance(0.5)
            await asyncio.sleep(0)
        assert seen(waiting.result()) == (2.0, False)
        await watcher.aclose()
