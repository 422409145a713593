"""News for those who watch monitors: every change for who reads, the present and a mark for who did
not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

from services.monitor.domain.badges import KeptBadge
from services.monitor.domain.findings import Badge, Level
from services.monitor.loop import MonitorFeed
from services.monitor.service.queries import News, View
from shared.clock import PushedClock

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = ("risk", "price")


class Servers:
    """What a feed looks at: one badge, whose value is a number that grows."""

    def __init__(self) -> None:
        self.clock = PushedClock(NOW)
        self.view = View((), ())
        self.look_count = 0
        self.feed = MonitorFeed(self._look, self.clock)

    async def shows(self, value: str, monitor: str = "risk") -> None:
        """The badge changes and the feed has seen it."""
        badge = KeptBadge(Badge("risk_badge", value, Level.HIGH), monitor, NOW)
        self.view = replace(self.view, badges=(badge,))
        before = self.look_count
        self.feed.wake()
        while self.look_count == before:
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)

    async def _look(self) -> View:
        self.look_count += 1
        return self.view


@asynccontextmanager
async def _watched(servers: Servers) -> AsyncIterator[AsyncIterator[News]]:
    await servers.feed.start()
    stream = servers.feed.news(NAMES)
    try:
        yield stream
    finally:
        await stream.aclose()
        await servers.feed.stop()


def _value(news: News) -> tuple[str, bool]:
    return news.badges[0].badge.value, news.gap


async def _next(stream: AsyncIterator[News]) -> News:
    async with asyncio.timeout(45):
        return await anext(stream)


async def test_who_reads_gets_every_change_without_a_mark() -> None:
    servers = Servers()
    async with _watched(servers) as stream:
        assert await _next(stream) == News((), ())
        for value in ("1", "2", "3"):
            reading = asyncio.ensure_future(_next(stream))
            await asyncio.sleep(0.01)
            await servers.shows(value)
            assert _value(await reading) == (value, False)


async def test_who_did_not_read_gets_the_present_with_a_mark_and_then_goes_on() -> None:
    servers = Servers()
    async with _watched(servers) as stream:
        await _next(stream)
        reading = asyncio.ensure_future(_next(stream))
        await asyncio.sleep(0.01)
        await servers.shows("1")
        assert _value(await reading) == ("1", False)
        for value in ("2", "3", "4"):
            await servers.shows(value)
        assert _value(await _next(stream)) == ("4", True)
        reading = asyncio.ensure_future(_next(stream))
        await asyncio.sleep(0.01)
        await servers.shows("5")
        assert _value(await reading) == ("5", False)
