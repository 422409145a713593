"""A stream is kept while somebody watches, opened again with back-off, and holds nothing of what
came by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime

from shared.clock import PushedClock
from shared.errors import Unavailable
from shared.metrics import Metrics
from shared.streams import Broken, Connection, News, State, StreamHub, Unreadable
from shared.streams.hub import LINGER_SECONDS
from shared.streams.stream import (
    LONGEST_BACKOFF_SECONDS,
    LOOK_SECONDS,
    OPEN_SECONDS,
    SILENT_SECONDS,
)
from tests.fakes.pushing import push

START = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)


class FakeConnection:
    """Gives out what a test puts in; an exception put in is raised."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str | bytes | Exception | None] = asyncio.Queue()
        self.asked_count = 0
        self.answers = True

    async def ask(self, heard: Callable[[], None]) -> None:
        self.asked_count += 1
        if self.answers:
            heard()

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while (message := await self.queue.get()) is not None:
            if isinstance(message, Exception):
                raise message
            yield message


class FakeSource:
    """A source that a test opens, refuses, and makes want something else."""

    name = "venue"
    greetings = frozenset({"hello there"})
    note: str = ""

    def __init__(self) -> None:
        self.wants: tuple[str, ...] = ("a",)
        self.refusal: Exception | None = None
        self.unreadable: Exception | None = None
        self.opened: list[tuple[str, ...]] = []
        self.connections: list[FakeConnection] = []
        self.open_count = 0
        self.answering = asyncio.Event()
        self.answering.set()

    async def wanted(self) -> tuple[str, ...]:
        if self.unreadable:
            raise self.unreadable
        return self.wants

    @asynccontextmanager
    async def connect(self, wanted: tuple[str, ...]) -> AsyncIterator[Connection]:
        self.opened.append(wanted)
        if self.refusal:
            raise self.refusal
        await self.answering.wait()
        connection = FakeConnection()
        self.connections.append(connection)
        self.open_count += 1
        try:
            yield connection
        finally:
            self.open_count -= 1

    def read(self, message: object) -> str:
        if message == {"odd": 1}:
            raise Unreadable("UNKNOWN")
        if message == {"worse": 1}:
            raise KeyError("worse")
        return "fill" if message == {"fill": 1} else ""


class Stand:
    """A hub with one source, and a watcher whose news a test reads one by one."""

    def __init__(self, open_seconds: float) -> None:
        self.clock = PushedClock(START)
        self.source = FakeSource()
        self.metrics = Metrics()
        self.hub = StreamHub([self.source], self.clock, self.metrics, open_seconds)
        self.watching = self.hub.watch()

    async def until(self, state: State, reason: str | None = None) -> News:
        async with asyncio.timeout(30):
            while True:
                news = await anext(self.watching)
                stands = news.streams[0]
                if stands.state is state and reason in (None, stands.reason):
                    return news

    async def events(self) -> tuple[str, ...]:
        async with asyncio.timeout(30):
            while not (news := await anext(self.watching)).events:
                pass
        return news.events

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, {"stream": "venue", **labels}) or 0.0


@asynccontextmanager
async def stand(open_seconds: float = OPEN_SECONDS) -> AsyncIterator[Stand]:
    made = Stand(open_seconds)
    await made.hub.start()
    try:
        async with aclosing(made.watching):
            yield made
    finally:
        await made.hub.stop()


async def settled(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.001)


async def test_a_stream_is_open_only_while_somebody_watches_and_a_little_after() -> None:
    async with stand() as one:
        assert not one.source.opened
        await one.until(State.CONNECTED)
        assert one.count("sonic_stream_connected") == 1
        await one.watching.aclose()
        await push(one.clock, LOOK_SECONDS)
        assert one.source.open_count == 1, "a watcher that comes back at once finds it open"
        for _ in range(int(LINGER_SECONDS / LOOK_SECONDS) + 1):
            await push(one.clock, LOOK_SECONDS)
        await settled(lambda: one.source.open_count == 0)
        assert one.count("sonic_stream_connected") == 0
        one.watching = one.hub.watch()
        await one.until(State.CONNECTED)
        assert len(one.source.opened) == 2


async def test_an_event_is_told_as_a_word_and_duplicates_once() -> None:
    async with stand() as one:
        await one.until(State.CONNECTED)
        for _ in range(3):
            one.source.connections[0].queue.put_nowait('{"fill": 1}')
        assert await one.events() == ("venue fill",)
        assert one.count("sonic_stream_events_total", kind="fill") == 3


async def test_what_cannot_be_read_is_counted_with_its_reason_and_ends_nothing() -> None:
    async with stand() as one:
        await one.until(State.CONNECTED)
        queue = one.source.connections[0].queue
        for text in ("hello there", b"\x00\xff", "{not json", '{"odd": 1}', '{"worse": 1}', "[]"):
            queue.put_nowait(text)
        queue.put_nowait('{"fill": 1}')
        assert await one.events() == ("venue fill",)
        refused = {
            reason: one.count("sonic_stream_refused_total", reason=reason)
            for reason in ("BINARY", "MALFORMED", "UNKNOWN")
        }
        assert refused == {"BINARY": 1, "MALFORMED": 1, "UNKNOWN": 2}
        assert one.source.open_count == 1


async def test_a_stream_that_ends_is_opened_again_later_and_later_and_asks_anew() -> None:
    async with stand() as one:
        await one.until(State.CONNECTED)
        one.source.refusal = Broken("CONNECT")
        one.source.connections[0].queue.put_nowait(None)
        await one.until(State.RECONNECTING, "CONNECT" if len(one.source.opened) > 1 else "CLOSED")
        waits = []
        for _ in range(9):
            await settled(lambda: bool(one.clock.sleeping_count))
            opened = len(one.source.opened)
            waits.append(max(one.clock.sleeping_seconds))
            await push(one.clock, waits[-1])
            await settled(lambda opened=opened: len(one.source.opened) > opened)  # type: ignore[misc]
        assert all(0.5 * 2.0**n <= wait <= 2.0**n for n, wait in enumerate(waits[:6]))
        longest = LONGEST_BACKOFF_SECONDS
        assert all(longest / 2 <= wait <= longest for wait in waits[6:])
        one.source.refusal = None
        await settled(lambda: bool(one.clock.sleeping_count))
        await push(one.clock, LONGEST_BACKOFF_SECONDS)
        await one.until(State.CONNECTED)
        assert one.source.opened[-1] == ("a",)
        one.source.connections[-1].queue.put_nowait('{"fill": 1}')
        assert await one.events() == ("venue fill",)
        assert one.count("sonic_stream_breaks_total", reason="CLOSED") == 1
        assert one.count("sonic_stream_breaks_total", reason="CONNECT") == 9


async def test_other_words_open_it_anew_and_none_close_it() -> None:
    async with stand() as one:
        await one.until(State.CONNECTED)
        one.source.wants = ("a", "b")
        await push(one.clock, LOOK_SECONDS)
        await settled(lambda: one.source.opened == [("a",), ("a", "b")])
        one.source.wants = ()
        await settled(lambda: bool(one.clock.sleeping_count))
        await push(one.clock, LOOK_SECONDS)
        await one.until(State.OFF, "NOTHING_TO_WATCH")
        assert one.source.open_count == 0
        assert one.count("sonic_stream_breaks_total", reason="CLOSED") == 0


async def test_what_is_to_be_known_of_an_open_one_is_said_when_it_changes() -> None:
    async with stand() as one:
        await one.until(State.CONNECTED, "")
        one.source.note = "NOT_FOLLOWED 2"
        await push(one.clock, LOOK_SECONDS)
        await one.until(State.CONNECTED, "NOT_FOLLOWED 2")
        assert len(one.source.opened) == 1


async def test_while_nobody_can_say_what_is_wanted_it_stays_as_it_is() -> None:
    async with stand() as one:
        await one.until(State.CONNECTED)
        one.source.unreadable = Unavailable("DATABASE_UNAVAILABLE", "no database")
        for _ in range(3):
            await push(one.clock, LOOK_SECONDS)
        assert (one.source.open_count, len(one.source.opened)) == (1, 1)


async def test_a_silent_one_is_asked_and_ended_when_nobody_answers() -> None:
    async with stand() as one:
        await one.until(State.CONNECTED)
        connection = one.source.connections[0]
        for _ in range(int(SILENT_SECONDS / LOOK_SECONDS) + 2):
            await push(one.clock, LOOK_SECONDS)
        assert connection.asked_count >= 2
        assert one.source.open_count == 1
        connection.answers = False
        for _ in range(int(SILENT_SECONDS / LOOK_SECONDS) + 1):
            await push(one.clock, LOOK_SECONDS)
        await settled(lambda: one.count("sonic_stream_breaks_total", reason="SILENT") == 1)


async def test_a_fault_of_ours_is_a_break_like_any_other() -> None:
    async with stand() as one:
        await one.until(State.CONNECTED)
        one.source.connections[0].queue.put_nowait(RuntimeError("wrong"))
        await one.until(State.RECONNECTING, "INTERNAL")
        await push(one.clock, LONGEST_BACKOFF_SECONDS)
        await one.until(State.CONNECTED)


async def test_while_it_opens_it_is_not_connected_also_when_something_else_is_wanted() -> None:
    async with stand() as one:
        await one.until(State.CONNECTED)
        one.source.answering.clear()
        one.source.wants = ("a", "b")
        await push(one.clock, LOOK_SECONDS)
        await one.until(State.RECONNECTING, "OPENING")
        assert one.count("sonic_stream_connected") == 0
        one.source.answering.set()
        await one.until(State.CONNECTED)
        assert one.source.opened == [("a",), ("a", "b")]


async def test_one_that_is_never_answered_is_given_up_and_tried_again() -> None:
    async with stand(open_seconds=0.05) as one:
        one.source.answering.clear()
        await one.until(State.RECONNECTING, "TIMEOUT")
        one.source.answering.set()
        await push(one.clock, LONGEST_BACKOFF_SECONDS)
        await one.until(State.CONNECTED)


async def test_a_fault_in_what_is_wanted_ends_no_stream() -> None:
    async with stand() as one:
        one.source.unreadable = RuntimeError("wrong")
        await one.until(State.RECONNECTING, "INTERNAL")
        one.source.unreadable = None
        await push(one.clock, LONGEST_BACKOFF_SECONDS)
        await one.until(State.CONNECTED)
        one.source.unreadable = RuntimeError("wrong")
        await push(one.clock, LOOK_SECONDS)
        await one.until(State.RECONNECTING, "INTERNAL")
