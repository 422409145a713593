"""A receiver of webhooks in a process of its own, so that its time is nobody's: answers 200, keeps
count.

Prints its address. GET answers how many POSTs have come. Connections are kept, as a good receiver
keeps them.
"""

from __future__ import annotations

import asyncio
import re

_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)


class _Counter:
    """POSTs of all connections."""

    count = 0


class _Connection(asyncio.Protocol):
    """Requests of one connection, one after the other."""

    def __init__(self, counter: _Counter) -> None:
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
            self._buffer = self._buffer[whole:]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        self._counter.count += head.startswith(b"POST")
        body = b"" if head.startswith(b"POST") else str(self._counter.count).encode()
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )


async def main() -> None:
    """Serve until killed."""
    counter = _Counter()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(counter), "127.0.0.1", 0
    )
    print(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
