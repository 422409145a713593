"""A stream of messages as Server-Sent Events: bounded in number, ended by the reader or by our
leaving.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from google.protobuf.message import Message
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.gateway.failures import failure_json
from services.gateway.limits import Limit
from shared.errors import SonicError, Unavailable
from shared.json_writer import written
from shared.log import get_logger

MAX_STREAMS = 200
# Behind a proxy that does not say who asks, everybody is one client.
MAX_STREAMS_OF_ONE = 64
KEEP_ALIVE_SECONDS = 15.0
# A failure that comes at once is still an HTTP status; after that the answer has begun.
_FIRST_SECONDS = 1.0
_RETRY = timedelta(seconds=3)

Messages = AsyncGenerator[Message, None]
# What is sent as it is: events that are written already.
Events = AsyncGenerator[str, None]
# Raises when the reader may read no further.
Admit = Callable[[], None]


class Streams:
    """The streams that are open."""

    def __init__(
        self,
        *,
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
        max_count: int = MAX_STREAMS,
        max_of_one: int = MAX_STREAMS_OF_ONE,
    ) -> None:
        self.open = Limit("TOO_MANY_STREAMS", "streams", most=max_count, most_of_one=max_of_one)
        self.keep_alive_seconds = keep_alive_seconds
        self.leaving = asyncio.Event()

    @property
    def open_count(self) -> int:
        return self.open.count

    def end(self) -> None:
        """Ends every stream with an error event that says so."""
        self.leaving.set()

    async def respond(
        self,
        messages: Messages | Events,
        domain: str,
        client: str = "",
        count: int = 1,
        *,
        admit: Admit = lambda: None,
    ) -> EventStream:
        """The response; what fails before the first message is raised, as is Exhausted
        TOO_MANY_STREAMS. `count`: streams behind it; `admit` is asked before each event.
        """
        self.open.take(client, count)
        response = EventStream(self, messages, domain, client, count, admit)
        try:
            await response.begin()
        except BaseException:
            await response.close()
            raise
        return response


class EventStream(StreamingResponse):
    """One stream. It holds one message at a time: a slow reader slows the service,
    not our memory."""

    def __init__(
        self,
        streams: Streams,
        messages: Messages | Events,
        domain: str,
        client: str,
        count: int,
        admit: Admit,
    ) -> None:
        super().__init__(
            self._events(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )
        self._streams = streams
        self._messages = messages
        self._domain = domain
        self._client = client
        self._count = count
        self._admit = admit
        self._pending = asyncio.ensure_future(self._next())
        self._leaving = asyncio.ensure_future(streams.leaving.wait())

    async def begin(self) -> None:
        """Waits a moment for the first message; raises when it is a failure."""
        await asyncio.wait({self._pending}, timeout=_FIRST_SECONDS)
        if self._pending.done() and (problem := self._pending.exception()) is not None:
            raise problem

    async def close(self) -> None:
        """Ends the call behind the stream."""
        self._streams.open.give(self._client, self._count)
        self._leaving.cancel()
        self._pending.cancel()
        with suppress(asyncio.CancelledError, SonicError):
            await self._pending
        await self._messages.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The reader may leave at any moment, even before the first event:
        the call is ended here."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self.close()

    async def _events(self) -> AsyncGenerator[str, None]:
        yield "retry: 3000\n\n"
        try:
            while (text := await self._event()) is not None:
                self._admit()
                yield text
        except SonicError as error:
            get_logger().info("stream failed", reason=error.reason)
            yield f"event: error\ndata: {json.dumps(failure_json(error, self._domain))}\n\n"

    async def _event(self) -> str | None:
        """The next event, a comment when nothing came for a while, None at the end."""
        both: set[asyncio.Future[Any]] = {self._pending, self._leaving}
        await asyncio.wait(
            both, timeout=self._streams.keep_alive_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if self._leaving.done():
            raise Unavailable("SHUTTING_DOWN", "the gateway is leaving", retry_after=_RETRY)
        if not self._pending.done():
            return ": keep-alive\n\n"
        told = self._pending.result()
        if told is None:
            return None
        self._pending = asyncio.ensure_future(self._next())
        return told if isinstance(told, str) else f"data: {written(told).decode()}\n\n"

    async def _next(self) -> Message | str | None:
        """The next message, None at the end: a future cannot hold StopAsyncIteration."""
        return await anext(self._messages, None)
