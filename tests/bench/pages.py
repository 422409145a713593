"""A page of a list over HTTP beside the same bytes, served from memory by the same server.

`python -m tests.bench.pages FILE...` is that server: the gateway's listener, and files for routes.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.types import Receive, Scope, Send

from services.gateway.listener import HttpServer
from tests.bench.figures import Figure, Limit
from tests.bench.served import served

PAGES = {
    "100 positions": "/v1/positions?page_size=100",
    "50 alerts": "/v1/alerts?page_size=50",
}
_WARM, _COUNTED = 30, 200


class Connection:
    """One kept HTTP connection, so that the client costs little."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def get(self, path: str) -> bytes:
        """The body of an answer that is 200."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head.splitlines()[0]
        return await self._reader.readexactly(length_of(head))


def length_of(head: bytes) -> int:
    """Bytes of the body by its header; AssertionError when it does not say."""
    for line in head.splitlines():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    raise AssertionError("an answer without a content-length")


@asynccontextmanager
async def connection(address: str) -> AsyncIterator[Connection]:
    """Open while the block runs."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 24)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


async def measure(http_address: str, folder: Path) -> list[Figure]:
    """G14, in turn, so that both see the same machine."""
    async with connection(http_address) as ours:
        bodies = [await ours.get(path) for path in PAGES.values()]
        files = [folder / f"page-{place}.json" for place in range(len(bodies))]
        for file, body in zip(files, bodies, strict=True):
            file.write_bytes(body)
        async with (
            served("tests.bench.pages", *map(str, files)) as address,
            connection(address) as theirs,
        ):
            return [
                await _compare(what, path, f"/{file.name}", len(body), ours, theirs)
                for (what, path), file, body in zip(PAGES.items(), files, bodies, strict=True)
            ]


async def _compare(
    what: str, path: str, copy: str, size: int, ours: Connection, theirs: Connection
) -> Figure:
    taken_ms: tuple[list[float], list[float]] = [], []
    for number in range(_WARM + _COUNTED):
        for place, (one, asked) in enumerate(((ours, path), (theirs, copy))):
            began = time.perf_counter()
            await one.get(asked)
            if number >= _WARM:
                taken_ms[place].append((time.perf_counter() - began) * 1000)
    note = f"{size:,} bytes"
    return Figure("G14", what, taken_ms[0], "from memory", taken_ms[1], Limit(6), note=note)


async def _serve(files: list[Path]) -> None:
    bodies = {f"/{file.name}": file.read_bytes() for file in files}

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        body = bodies[scope["path"]]
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    server = HttpServer("127.0.0.1:0", application, leaving=lambda: None, grace_seconds=1)
    await server.start()
    print(server.address, flush=True)
    await server.failed.wait()


if __name__ == "__main__":
    asyncio.run(_serve([Path(name) for name in sys.argv[1:]]))
