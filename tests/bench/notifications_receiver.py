"""A receiver of webhooks in a process of its own, so that its time is nobody's: answers 200.

Prints its address. GET answers what has come since the last `GET /reset`, by level, as JSON.
Connections are kept, as a good receiver keeps them.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from tests.bench.served import served

_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_LEVEL = re.compile(rb'"level":\s*"(\w+)"')


@dataclass(frozen=True, slots=True)
class Received:
    """How many POSTs came; by level the unix time of the first one."""

    count: int
    first_seconds: dict[str, float]


class Receiver:
    """Asks the running one."""

    def __init__(self, address: str, client: httpx.AsyncClient) -> None:
        self.url = f"http://{address}/hook"
        self._client = client

    async def received(self) -> Received:
        """Since the last reset."""
        said = (await self._client.get("/")).json()
        return Received(said["count"], said["first"])

    async def reset(self) -> None:
        """Count from nothing."""
        await self._client.get("/reset")


@asynccontextmanager
async def running() -> AsyncIterator[Receiver]:
    """A process that receives while the block runs."""
    async with (
        served("tests.bench.notifications_receiver") as address,
        httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as client,
    ):
        yield Receiver(address, client)


@dataclass
class Counter:
    """POSTs of all connections."""

    count: int = 0
    first: dict[str, float] = field(default_factory=dict)

    def take(self, body: bytes) -> None:
        self.count += 1
        found = _LEVEL.search(body)
        self.first.setdefault(found[1].decode() if found else "", time.time())

    def answer(self, head: bytes) -> bytes:
        if head.startswith(b"GET /reset"):
            self.count, self.first = 0, {}
        return json.dumps({"count": self.count, "first": self.first}).encode()


class _Connection(asyncio.Protocol):
    """Requests of one connection, one after the other."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            found = _LENGTH.search(head)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        said = b""
        if head.startswith(b"POST"):
            self._counter.take(body)
        else:
            said = self._counter.answer(head)
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)
        )


async def main() -> None:
    """Serve until killed."""
    counter = Counter()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(counter), "127.0.0.1", 0
    )
    print(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
