"""A venue's websocket and a source's event stream on free ports: they keep what was asked, and
send what a test says.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed


class FakeWebsocket:
    """`asked`: the JSON texts of each connection, in order. `pong`: answers a text ping with it."""

    def __init__(self, greeting: Sequence[str] = (), pong: str = "") -> None:
        self.url = ""
        self.asked: list[list[object]] = []
        self.connections: set[ServerConnection] = set()
        self._greeting = greeting
        self._pong = pong
        self._server: Server | None = None

    async def start(self, port: int = 0) -> None:
        self._server = await serve(self._serve, "127.0.0.1", port, max_size=2**16)
        port = next(iter(self._server.sockets)).getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}/ws"

    async def stop(self) -> None:
        """Hangs up on everybody; nobody listens afterwards."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def hang_up(self) -> None:
        for connection in tuple(self.connections):
            await connection.close()

    async def send(self, *messages: str | bytes | dict[str, object]) -> None:
        """To everybody who is connected."""
        for message in messages:
            text = json.dumps(message) if isinstance(message, dict) else message
            for connection in tuple(self.connections):
                await connection.send(text)

    @property
    def subscriptions(self) -> list[object]:
        """What the last connection asked for."""
        return self.asked[-1] if self.asked else []

    async def _serve(self, connection: ServerConnection) -> None:
        asked: list[object] = []
        self.asked.append(asked)
        self.connections.add(connection)
        try:
            for text in self._greeting:
                await connection.send(text)
            async for message in connection:
                asked.append(json.loads(message))
                if self._pong and asked[-1] == {"method": "ping"}:
                    await connection.send(self._pong)
        except ConnectionClosed:
            pass
        finally:
            self.connections.discard(connection)


class FakeEventSource:
    """Answers any GET with a stream of events; `requests` are its request lines."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.requests: list[str] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._served: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        await self.hang_up()
        if self._server is not None:
            self._server.close()
            self._server = None
        await _closed(self._served)

    async def hang_up(self) -> None:
        for writer in tuple(self._writers):
            writer.close()
        self._writers.clear()

    async def send(self, text: str) -> None:
        """As it stands."""
        for writer in tuple(self._writers):
            writer.write(text.encode())
            await writer.drain()

    @property
    def open_count(self) -> int:
        return len(self._writers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._served.append(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head.split(b"\r\n", 1)[0].decode())
        words = "OK" if self.status == 200 else "Refused"
        writer.write(
            f"HTTP/1.1 {self.status} {words}\r\ncontent-type: text/event-stream\r\n"
            "connection: close\r\n\r\n".encode()
        )
        await writer.drain()
        if self.status != 200:
            writer.close()
            return
        self._writers.add(writer)
        with suppress(ConnectionError):
            await reader.read()
        self._writers.discard(writer)


async def _closed(writers: Sequence[asyncio.StreamWriter]) -> None:
    """Nothing of them is left for whoever runs next."""
    for writer in writers:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def websocket_server(
    greeting: Sequence[str] = (), pong: str = ""
) -> AsyncIterator[FakeWebsocket]:
    made = FakeWebsocket(greeting, pong)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


@asynccontextmanager
async def mute_server() -> AsyncIterator[int]:
    """The port of one that accepts and reads, and never answers."""

    served: list[asyncio.StreamWriter] = []

    async def serve_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(writer)
        with suppress(ConnectionError):
            await reader.read()

    server = await asyncio.start_server(serve_nothing, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await _closed(served)


@asynccontextmanager
async def event_server() -> AsyncIterator[FakeEventSource]:
    made = FakeEventSource()
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
