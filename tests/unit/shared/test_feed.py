"""Work that many ask for is done once, for whoever stays; a feed always comes to the newest state
and waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from shared.clock import PushedClock
from shared.errors import Unavailable
from shared.feed import Alike, Feed


class Work:
    """Counts how often it was done; waits until it may end."""

    def __init__(self) -> None:
        self.count = 0
        self.may_end = asyncio.Event()
        self.failure: Exception | None = None

    async def __call__(self) -> list[int]:
        self.count += 1
        await self.may_end.wait()
        if self.failure is not None:
            raise self.failure
        return [self.count]


async def test_ten_who_ask_for_the_same_get_the_same_object() -> None:
    alike: Alike[list[int]] = Alike()
    work = Work()
    askers = [asyncio.create_task(alike.get("a", work)) for _ in range(10)]
    work.may_end.set()
    answers = await asyncio.gather(*askers)
    assert work.count == 1 and all(answer is answers[0] for answer in answers)
    assert await alike.get("a", work) is answers[0]
    assert await alike.get("b", work) == [2]


async def test_the_first_who_leaves_ends_it_for_nobody() -> None:
    alike: Alike[list[int]] = Alike()
    work = Work()
    first, second = (asyncio.create_task(alike.get("a", work)) for _ in range(2))
    while not work.count:
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    work.may_end.set()
    assert await second == [1]


async def test_a_failure_reaches_all_who_wait_and_is_asked_for_again() -> None:
    alike: Alike[list[int]] = Alike()
    work = Work()
    work.failure = OSError("gone")
    work.may_end.set()
    failed = await asyncio.gather(*(alike.get("a", work) for _ in range(2)), return_exceptions=True)
    assert [type(one) for one in failed] == [OSError, OSError]
    work.failure = None
    assert await alike.get("a", work) == [2]


async def test_only_the_last_few_are_kept() -> None:
    alike: Alike[list[int]] = Alike()
    work = Work()
    work.may_end.set()
    for key in range(20):
        await alike.get(key, work)
    assert await alike.get(19, work) == [20]
    assert await alike.get(0, work) == [21]


class Number:
    """A number that others write, and a feed of it."""

    def __init__(self, kept_count: int = 1) -> None:
        self.value = 0
        self.read_count = 0
        self.failure: Exception | None = None
        self.clock = PushedClock(datetime(2026, 3, 1, tzinfo=UTC))
        self.feed: Feed[int] = Feed("number", self.read, self.clock, kept_count=kept_count)

    async def read(self) -> int:
        self.read_count += 1
        if self.failure is not None:
            raise self.failure
        # A write may come between the reading and its arrival.
        value = self.value
        await asyncio.sleep(0)
        return value

    async def write(self) -> None:
        self.value += 1
        self.feed.wake()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


@asynccontextmanager
async def running(kept_count: int = 1) -> AsyncIterator[Number]:
    number = Number(kept_count)
    await number.feed.start()
    try:
        yield number
    finally:
        await number.feed.stop()


async def test_a_watcher_gets_the_present_and_then_every_state() -> None:
    async with running() as number:
        stream = number.feed.watch()
        assert await anext(stream) == (0, False)
        for expected in (1, 2, 3):
            await number.write()
            assert await anext(stream) == (expected, False)


async def test_what_is_kept_waits_for_a_slow_watcher_beyond_it_comes_the_present_with_a_gap() -> (
    None
):
    async with running(kept_count=3) as number:
        stream = number.feed.watch()
        await anext(stream)
        for _ in range(3):
            await number.write()
        assert [await anext(stream) for _ in range(3)] == [(1, False), (2, False), (3, False)]
        for _ in range(4):
            await number.write()
        assert await anext(stream) == (7, True)
        await number.write()
        assert await anext(stream) == (8, False)


async def test_who_comes_while_a_state_is_read_never_sees_an_older_one_after_a_newer() -> None:
    async with running(kept_count=16) as number:
        first = number.feed.watch()
        await anext(first)
        for _ in range(10):
            number.value += 1
            number.feed.wake()
            await asyncio.sleep(0)
            stream = number.feed.watch()
            seen = [(await anext(stream))[0]]
            await number.write()
            while seen[-1] < number.value:
                seen.append((await anext(stream))[0])
            assert seen == sorted(seen)
            await stream.aclose()


async def test_nobody_watching_costs_nothing_and_the_last_who_leaves_ends_the_reading() -> None:
    async with running() as number:
        await number.write()
        assert number.read_count == 0
        stream = number.feed.watch()
        await anext(stream)
        await stream.aclose()
        await number.settle()
        number.clock.advance(10)
        await number.settle()
        before = number.read_count
        number.clock.advance(10)
        await number.write()
        assert number.read_count == before


async def test_without_a_wake_it_is_read_every_second() -> None:
    async with running() as number:
        stream = number.feed.watch()
        await anext(stream)
        number.value = 5
        waiting = asyncio.ensure_future(anext(stream))
        while not waiting.done():
            number.clock.advance(0.5)
            await asyncio.sleep(0)
        assert waiting.result() == (5, False)


async def test_a_state_that_cannot_be_read_is_the_failure_of_who_comes_and_of_nobody_else() -> None:
    async with running() as number:
        stream = number.feed.watch()
        await anext(stream)
        number.failure = Unavailable("DATABASE_UNAVAILABLE", "gone")
        with pytest.raises(Unavailable):
            await anext(number.feed.watch())
        number.failure = None
        await number.write()
        assert await anext(stream) == (1, False)
