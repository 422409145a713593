"""A receiver of signed webhooks: checks by the published recipe, answers as told, or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Received:
    """One request as it came in."""

    path: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.raw)
        return parsed

    @property
    def key(self) -> str:
        """The idempotency key."""
        return self.headers["idempotency-key"]

    def is_signed_with(self, secret: str) -> bool:
        """Steps 1 and 3 of the recipe, written down once more, not imported."""
        text = self.headers["x-sonic-timestamp"].encode() + b"." + self.raw
        wanted = "v1=" + hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
        return hmac.compare_digest(wanted, self.headers["x-sonic-signature"])


@dataclass(frozen=True)
class Reply:
    """What to answer; `stalls`: take the request and never answer; `after`: answer when this is
    set.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    stalls: bool = False
    body: bytes = b""
    after: asyncio.Event | None = None


OK = Reply()
STALL = Reply(stalls=True)


class FakeWebhook:
    """`url` while entered; `answer` decides each reply; `received` is everything that came."""

    def __init__(self, answer: Callable[[Received], Reply] = lambda _received: OK) -> None:
        self.answer = answer
        self.received: list[Received] = []
        self.url = ""
        self._arrived = asyncio.Condition()
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/hook"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for writer in self._open:
            writer.transport.abort()

    @property
    def keys(self) -> list[str]:
        return [one.key for one in self.received]

    async def wait_for(self, count: int, seconds: float = 45.0) -> list[Received]:
        """Everything received, once there are at least `count`."""
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            received = await _read(reader)
            reply = self.answer(received)
            async with self._arrived:
                self.received.append(received)
                self._arrived.notify_all()
            if reply.stalls:
                await reader.read()
                return
            if reply.after is not None:
                await reply.after.wait()
            lines = [
                f"HTTP/1.1 {reply.status} Told",
                f"Content-Length: {len(reply.body)}",
                "Connection: close",
            ]
            lines += [f"{name}: {value}" for name, value in reply.headers]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + reply.body)
            await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            self._open.discard(writer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Received:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    length = int(headers.get("content-length", "0"))
    return Received(first.split(" ")[1], headers, await reader.readexactly(length))
