"""One stream: opened while something is wanted of it, read to no end, opened again with back-off
when it breaks. A message leaves nothing behind but the word for what it told.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Protocol

from shared.backoff import backoff_seconds
from shared.clock import Clock
from shared.errors import SonicError
from shared.http import strict_json
from shared.log import get_logger
from shared.streams.connection import CONNECT_SECONDS, Broken, Connection, Unreadable
from shared.streams.counts import StreamCounts

# How often it looks whether something else is wanted, and whether anybody is there.
LOOK_SECONDS = 5.0
_IDLE_SECONDS = 3600.0
# Real time, to connect, to be answered and to ask: it is owed to whoever does not answer.
OPEN_SECONDS = 2 * CONNECT_SECONDS
_ASK_SECONDS = 20.0
SILENT_SECONDS = 60.0
_FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 60.0
# A connection that lasted so long was a good one: the next back-off begins anew.
_STEADY_SECONDS = 60.0


class State(IntEnum):
    """How a stream stands."""

    OFF = 1
    CONNECTED = 2
    RECONNECTING = 3


@dataclass(frozen=True, slots=True)
class StreamState:
    """`reason`: an upper-case word why it is not CONNECTED, or a note while it is."""

    name: str
    state: State
    since_time: datetime
    reason: str = ""


class Source(Protocol):
    """Whom a stream is read from, and what its messages tell."""

    @property
    def name(self) -> str: ...

    @property
    def greetings(self) -> frozenset[str]:
        """Texts that are no messages."""
        ...

    @property
    def note(self) -> str:
        """What is to be known of it while it is open; may be empty."""
        ...

    async def wanted(self) -> tuple[str, ...]:
        """What to ask for; nothing: it is not opened. Other words open it anew."""
        ...

    def connect(self, wanted: tuple[str, ...]) -> AbstractAsyncContextManager[Connection]:
        """Opens it and asks. Raises Broken."""
        ...

    def read(self, message: object) -> str:
        """The word for what a message (JSON) tells, "" for nothing. Raises Unreadable."""
        ...


class Stream:
    """`run` never ends. `happened` is called with the word of each event, `changed` when it stands
    otherwise; neither may wait.
    """

    def __init__(
        self,
        source: Source,
        clock: Clock,
        counts: StreamCounts,
        *,
        is_watched: Callable[[], bool],
        changed: Callable[[], None],
        happened: Callable[[str], None],
        open_seconds: float = OPEN_SECONDS,
    ) -> None:
        self._source = source
        self._open_seconds = open_seconds
        self._clock = clock
        self._counts = counts
        self._is_watched = is_watched
        self._changed = changed
        self._happened = happened
        self._awake = asyncio.Event()
        self._failures = 0
        self._heard_seconds = 0.0
        self._known: tuple[str, ...] = ()
        self.state = StreamState(source.name, State.OFF, clock.now(), "NOBODY_ASKS")
        counts.connected(source.name, is_open=False)

    def wake(self) -> None:
        """Look now whether something else is wanted."""
        self._awake.set()

    async def run(self) -> None:
        while True:
            begun_seconds = self._clock.monotonic()
            reason = await self._broken()
            if reason:
                if self._clock.monotonic() - begun_seconds >= _STEADY_SECONDS:
                    self._failures = 0
                self._failures += 1
                self._counts.broke(self._source.name, reason)
                self._stand(State.RECONNECTING, reason)
                await self._back_off()

    async def _broken(self) -> str:
        """Why it ended; empty when something else is wanted."""
        try:
            wanted = await self._wanted()
            await (self._keep(wanted) if wanted else self._stay_off())
        except Broken as problem:
            return problem.reason
        except Exception as error:  # noqa: BLE001  # a stream outlives what it meets
            # No traceback: its frames hold addresses.
            get_logger().error("stream broke", stream=self._source.name, error=type(error).__name__)
            return "INTERNAL"
        return ""

    async def _stay_off(self) -> None:
        watched = self._is_watched()
        self._stand(State.OFF, "NOTHING_TO_WATCH" if watched else "NOBODY_ASKS")
        self._failures = 0
        await self._rest(LOOK_SECONDS if watched else _IDLE_SECONDS)

    async def _keep(self, wanted: tuple[str, ...]) -> None:
        """Raises Broken; returns when something else is wanted."""
        if self.state.state is not State.RECONNECTING:
            self._stand(State.RECONNECTING, "OPENING")
        async with AsyncExitStack() as stack:
            async with self._bounded():
                connection = await stack.enter_async_context(self._source.connect(wanted))
            self._heard()
            self._stand(State.CONNECTED, self._source.note)
            reading = asyncio.create_task(self._read(connection), name="stream reading")
            tending = asyncio.create_task(self._tend(connection, wanted), name="stream")
            try:
                done, _ = await asyncio.wait(
                    {reading, tending}, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    task.result()
            finally:
                reading.cancel()
                tending.cancel()
                await asyncio.gather(reading, tending, return_exceptions=True)

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        """Raises Broken when the other side takes too long."""
        try:
            async with asyncio.timeout(self._open_seconds):
                yield
        except TimeoutError as problem:
            raise Broken("TIMEOUT") from problem

    async def _read(self, connection: Connection) -> None:
        async for message in connection:
            self._heard()
            self._take(message)
        raise Broken("CLOSED")

    def _heard(self) -> None:
        self._heard_seconds = self._clock.monotonic()

    def _take(self, message: str | bytes) -> None:
        name = self._source.name
        self._counts.message(name)
        try:
            kind = self._told(message)
        except Unreadable as problem:
            self._counts.refused(name, problem.reason)
            return
        if kind:
            self._counts.event(name, kind)
            self._happened(f"{name} {kind}")

    def _told(self, message: str | bytes) -> str:
        if isinstance(message, bytes):
            raise Unreadable("BINARY")
        if message in self._source.greetings:
            return ""
        try:
            return self._source.read(strict_json.parse(message.encode()))
        except (strict_json.BadJson, UnicodeEncodeError) as problem:
            raise Unreadable("MALFORMED") from problem
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as problem:
            # A shape that its reader did not think of is a message like any other odd one.
            raise Unreadable("UNKNOWN") from problem

    async def _tend(self, connection: Connection, wanted: tuple[str, ...]) -> None:
        asked_seconds = self._clock.monotonic()
        while True:
            await self._rest(LOOK_SECONDS)
            if await self._wanted() != wanted:
                return
            self._stand(State.CONNECTED, self._source.note)
            now_seconds = self._clock.monotonic()
            if now_seconds - self._heard_seconds >= SILENT_SECONDS:
                raise Broken("SILENT")
            if now_seconds - asked_seconds >= _ASK_SECONDS:
                asked_seconds = now_seconds
                async with self._bounded():
                    await connection.ask(self._heard)

    async def _wanted(self) -> tuple[str, ...]:
        """Who cannot be asked now wants what it wanted before."""
        if not self._is_watched():
            return ()
        try:
            self._known = await self._source.wanted()
        except SonicError as error:
            get_logger().warning(
                "stream asks for what it did", stream=self._source.name, problem=error.message
            )
        return self._known

    def _stand(self, state: State, reason: str) -> None:
        before = self.state
        self._counts.connected(self._source.name, is_open=state is State.CONNECTED)
        if (before.state, before.reason) == (state, reason):
            return
        since = before.since_time if before.state is state else self._clock.now()
        self.state = StreamState(self._source.name, state, since, reason)
        self._changed()

    async def _back_off(self) -> None:
        """Doubling, with jitter so that many do not come back together."""
        most = backoff_seconds(self._failures, _FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS)
        seconds = most * random.uniform(0.5, 1.0)
        await self._clock.sleep(seconds)

    async def _rest(self, seconds: float) -> None:
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        waking = asyncio.ensure_future(self._awake.wait())
        try:
            await asyncio.wait({sleeping, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()
            self._awake.clear()
