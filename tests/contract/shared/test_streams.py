"""Streams over real connections: floods, what is too much, what is no text, servers that go."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from datetime import UTC, datetime
from itertools import repeat

import pytest

from shared.clock import PushedClock
from shared.metrics import Metrics
from shared.streams import Connection, News, State, StreamHub, Unreadable
from shared.streams.connection import MAX_MESSAGE_BYTES
from shared.streams.event_source import event_source
from shared.streams.stream import LONGEST_BACKOFF_SECONDS, LOOK_SECONDS, OPEN_SECONDS
from shared.streams.websocket import websocket
from tests.fakes.pushing import push
from tests.fakes.streaming import (
    FakeEventSource,
    FakeWebsocket,
    event_server,
    mute_server,
    websocket_server,
)

START = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
FLOOD = 10_000
FILL = '{"fill": 1}'
Connect = Callable[[], AbstractAsyncContextManager[Connection]]


class Source:
    """What a test connects it to."""

    name = "venue"
    greetings = frozenset[str]()
    note = ""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    async def wanted(self) -> tuple[str, ...]:
        return ('{"subscribe": "fills"}',)

    def connect(self, wanted: tuple[str, ...]) -> AbstractAsyncContextManager[Connection]:
        return self._connect()

    def read(self, message: object) -> str:
        if message == {"fill": 1}:
            return "fill"
        raise Unreadable("UNKNOWN")


class Watched:
    """A hub of one source that is watched, and how often it was told what."""

    def __init__(self, connect: Connect, open_seconds: float) -> None:
        self.clock = PushedClock(START)
        self.metrics = Metrics()
        self.hub = StreamHub([Source(connect)], self.clock, self.metrics, open_seconds)
        self.news: list[News] = []

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, {"stream": "venue", **labels}) or 0.0

    async def watch(self) -> None:
        async with aclosing(self.hub.watch()) as watching:
            async for news in watching:
                self.news.append(news)

    @property
    def told_count(self) -> int:
        return sum(bool(news.events) for news in self.news)

    @property
    def is_open(self) -> bool:
        return bool(self.news) and self.news[-1].streams[0].state is State.CONNECTED


@asynccontextmanager
async def watched(connect: Connect, open_seconds: float = OPEN_SECONDS) -> AsyncIterator[Watched]:
    made = Watched(connect, open_seconds)
    await made.hub.start()
    watching = asyncio.create_task(made.watch())
    try:
        yield made
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await made.hub.stop()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.005)


@pytest.fixture
async def venue() -> AsyncIterator[FakeWebsocket]:
    async with websocket_server() as made:
        yield made


@pytest.fixture
async def source() -> AsyncIterator[FakeEventSource]:
    async with event_server() as made:
        yield made


def over(venue: FakeWebsocket) -> Connect:
    return lambda: websocket(venue.url, ['{"subscribe": "fills"}'])


@pytest.mark.slow
async def test_a_flood_leaves_nothing_behind_and_is_told_a_few_times(venue: FakeWebsocket) -> None:
    async with watched(over(venue)) as one:
        await until(lambda: one.is_open)
        # What libraries allocate once is not the flood's.
        await venue.send(*[FILL] * 100)
        await until(lambda: one.told_count > 0)
        began, peaks, sent_count = asyncio.get_running_loop().time(), [], 100
        for _ in range(3):
            tracemalloc.start()
            try:
                await venue.send(*repeat(FILL, FLOOD))
                sent_count += FLOOD
                await until(
                    lambda: one.count("sonic_stream_events_total", kind="fill") == sent_count  # noqa: B023  # waited for at once
                )
                peaks.append(tracemalloc.get_traced_memory())
            finally:
                tracemalloc.stop()
        left, peak = zip(*peaks, strict=True)
        assert max(left) < 500_000
        assert max(peak) < 4_000_000 and peak[2] < 1.3 * peak[0] + 200_000
        took_seconds = asyncio.get_running_loop().time() - began
        assert one.told_count <= 3 + took_seconds / 0.2
        assert one.is_open


async def test_what_is_odd_is_counted_and_what_is_too_long_opens_it_anew(
    venue: FakeWebsocket,
) -> None:
    async with watched(over(venue)) as one:
        await until(lambda: one.is_open)
        await venue.send(b"\x00\x01", "{", '{"what": "else"}', "\ud7ff")
        await venue.send("x" * (MAX_MESSAGE_BYTES + 1))
        await until(lambda: one.count("sonic_stream_breaks_total", reason="OVERSIZED") == 1)
        counts = {
            reason: one.count("sonic_stream_refused_total", reason=reason)
            for reason in ("BINARY", "MALFORMED", "UNKNOWN")
        }
        assert counts == {"BINARY": 1, "MALFORMED": 2, "UNKNOWN": 1}
        await push(one.clock, LONGEST_BACKOFF_SECONDS)
        await until(lambda: len(venue.asked) == 2 and one.is_open)
        await until(lambda: venue.subscriptions == [{"subscribe": "fills"}])
        await venue.send(FILL)
        await until(lambda: one.told_count == 1)


async def test_a_server_that_goes_and_comes_is_found_again(venue: FakeWebsocket) -> None:
    async with watched(over(venue)) as one:
        await until(lambda: one.is_open)
        port = int(venue.url.rpartition(":")[2].split("/")[0])
        await venue.stop()
        await until(lambda: one.count("sonic_stream_breaks_total", reason="CLOSED") == 1)
        await until(lambda: bool(one.clock.sleeping_count))
        await push(one.clock, 1.0)
        await until(lambda: one.count("sonic_stream_breaks_total", reason="CONNECT") == 1)
        assert one.count("sonic_stream_connected") == 0
        await venue.start(port)
        await push(one.clock, LONGEST_BACKOFF_SECONDS)
        await until(lambda: one.is_open and venue.subscriptions == [{"subscribe": "fills"}])


async def test_a_quiet_websocket_is_asked_by_a_ping_and_stays_open(venue: FakeWebsocket) -> None:
    async with watched(over(venue)) as one:
        await until(lambda: one.is_open)
        for _ in range(30):
            await push(one.clock, LOOK_SECONDS)
            # The answer comes by the network.
            await asyncio.sleep(0.02)
        assert one.is_open and len(venue.asked) == 1


async def test_events_of_an_event_stream_are_told_and_what_is_odd_is_counted(
    source: FakeEventSource,
) -> None:
    async with watched(lambda: event_source(f"{source.url}/stream", [("ids[]", "a")])) as one:
        await until(lambda: one.is_open and source.open_count == 1)
        assert source.requests == ["GET /stream?ids%5B%5D=a HTTP/1.1"]
        await source.send(": a comment\r\n\r\nid: 7\nevent: message\ndata:")
        await source.send(f"{FILL}\r\n\r\n")
        await until(lambda: one.told_count == 1)
        await source.send("data: {\n\ndata: \xff\n\n" + f"data: {FILL}\n\n" * FLOOD)
        await until(lambda: one.count("sonic_stream_events_total", kind="fill") == FLOOD + 1)
        assert one.count("sonic_stream_refused_total", reason="MALFORMED") == 2
        await source.hang_up()
        await until(lambda: one.count("sonic_stream_breaks_total", reason="CLOSED") == 1)
        source.status = 503
        await until(lambda: bool(one.clock.sleeping_count))
        await push(one.clock, 1.0)
        await until(lambda: one.count("sonic_stream_breaks_total", reason="HTTP_503") == 1)
        source.status = 200
        await push(one.clock, LONGEST_BACKOFF_SECONDS)
        await until(lambda: one.is_open)


@pytest.mark.parametrize(
    "text",
    ["data: " + "x" * MAX_MESSAGE_BYTES, f"data: {'x' * 90}\n" * 8_000],
    ids=["line", "lines"],
)
async def test_an_event_without_end_is_not_held(source: FakeEventSource, text: str) -> None:
    async with watched(lambda: event_source(source.url)) as one:
        await until(lambda: one.is_open and source.open_count == 1)
        sending = asyncio.create_task(source.send(text * 2))
        await until(lambda: one.count("sonic_stream_breaks_total", reason="OVERSIZED") == 1)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


@pytest.mark.parametrize(
    "opened",
    [
        lambda port: event_source(f"http://127.0.0.1:{port}/stream"),
        lambda port: websocket(f"ws://127.0.0.1:{port}/ws", []),
    ],
    ids=["events", "websocket"],
)
async def test_a_server_that_accepts_and_never_answers_is_left(
    opened: Callable[[int], AbstractAsyncContextManager[Connection]],
) -> None:
    async with (
        mute_server() as port,
        watched(lambda: opened(port), open_seconds=0.5) as one,
    ):
        await until(lambda: one.count("sonic_stream_breaks_total", reason="TIMEOUT") == 1)
        await until(lambda: one.news[-1].streams[0].reason == "TIMEOUT")
        assert one.news[-1].streams[0].state is State.RECONNECTING
        await until(lambda: bool(one.clock.sleeping_count))
        await push(one.clock, LONGEST_BACKOFF_SECONDS)
        await until(lambda: one.count("sonic_stream_breaks_total", reason="TIMEOUT") == 2)
