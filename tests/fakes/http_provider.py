"""A provider on a real socket that answers what it is told to, well or badly."""

from __future__ import annotations

import asyncio
import gzip
import json as json_text
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

_UNSET = object()


@dataclass(frozen=True)
class Asked:
    """One request as it came. Header names are lower case; `pairs` keeps repeated parameters."""

    method: str
    path: str
    pairs: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        return dict(self.pairs)


@dataclass
class Scripted:
    """What to say, and how badly. `left` counts down; None is for ever."""

    status: int
    body: bytes
    headers: dict[str, str]
    where: Mapping[str, str]
    left: int | None
    delay: float
    faults: frozenset[str]
    drip_seconds: float
    after: asyncio.Event | None = None


@dataclass
class HttpProvider:
    """`async with HttpProvider() as provider: provider.answer("GET /path", json={...})`;
    `provider.url`.
    """

    requests: list[Asked] = field(default_factory=list)
    # Of requests that waited for their answers at the same time.
    most_at_once: int = 0
    _waiting_count: int = 0
    _script: dict[str, list[Scripted]] = field(default_factory=dict)
    _server: asyncio.Server | None = None
    _talks: set[asyncio.Task[None]] = field(default_factory=set)
    _port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def asked(self, route: str) -> list[Asked]:
        """The requests of one route, `GET /path`, in order."""
        return [request for request in self.requests if f"{request.method} {request.path}" == route]

    def answer(
        self,
        route: str,
        *,
        json: object = _UNSET,
        text: str | bytes = b"",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        where: Mapping[str, str] | None = None,
        times: int | None = None,
        delay: float = 0.0,
        after: asyncio.Event | None = None,
        zipped: bool = False,
        drip: bool = False,
        drip_seconds: float = 0.05,
        hang: bool = False,
        silent: bool = False,
        truncate: bool = False,
        close: bool = False,
    ) -> None:
        """Scripts a route. Answers with `times` are used up in order; the one without stays, and
        replaces the one that stayed before it. `where` limits an answer to requests with these
        parameters.

        after: not before this is set; drip: a byte every `drip_seconds`; hang: headers, then
        nothing; silent: nothing at all; truncate: half the body, then the connection closes;
        close: closes at once.
        """
        body = json_text.dumps(json).encode() if json is not _UNSET else text
        raw = body.encode() if isinstance(body, str) else body
        sent = {"content-type": "application/json"} | {
            k.lower(): v for k, v in (headers or {}).items()
        }
        if zipped:
            raw, sent["content-encoding"] = gzip.compress(raw), "gzip"
        flags = {"drip": drip, "hang": hang, "silent": silent, "truncate": truncate, "close": close}
        faults = frozenset(name for name, wanted in flags.items() if wanted)
        scripted = Scripted(
            status, raw, sent, where or {}, times, delay, faults, drip_seconds, after
        )
        known = self._script.setdefault(route, [])
        if times is None:
            known[:] = [
                other for other in known if other.left is not None or other.where != scripted.where
            ]
        known.append(scripted)

    def forget(self) -> None:
        """Drops the script and the record."""
        self._script.clear()
        self.requests.clear()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stops listening and drops every connection; `start` comes back on the same port."""
        if self._server is None:
            return
        self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.ensure_future(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read(reader)) is not None:
                self.requests.append(request)
                self._waiting_count += 1
                self.most_at_once = max(self.most_at_once, self._waiting_count)
                try:
                    if not await _say(self._choose(request), reader, writer):
                        return
                finally:
                    self._waiting_count -= 1
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    def _choose(self, request: Asked) -> Scripted:
        fitting = [
            scripted
            for scripted in self._script.get(f"{request.method} {request.path}", [])
            if scripted.left != 0 and scripted.where.items() <= request.query.items()
        ]
        if not fitting:
            return Scripted(
                404, b'{"error":"not scripted"}', _JSON, {}, None, 0.0, frozenset(), 0.0
            )
        # The more particular first, then those to be used up, then the older.
        chosen = min(fitting, key=lambda scripted: (-len(scripted.where), scripted.left is None))
        if chosen.left is not None:
            chosen.left -= 1
        return chosen


_JSON = {"content-type": "application/json"}


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip().split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    address = urlsplit(target)
    pairs = tuple(parse_qsl(address.query, keep_blank_values=True))
    return Asked(method, address.path, pairs, headers, body)


async def _say(
    scripted: Scripted, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    """Sends an answer; False when the connection is done with."""
    await asyncio.sleep(scripted.delay)
    if scripted.after is not None:
        await scripted.after.wait()
    faults = scripted.faults
    if "close" in faults:
        return False
    if "silent" in faults:
        await reader.read()
        return False
    writer.write(_head(scripted))
    if "hang" in faults:
        await writer.drain()
        await reader.read()
        return False
    if "truncate" in faults:
        writer.write(scripted.body[: len(scripted.body) // 2])
        await writer.drain()
        return False
    if "drip" in faults:
        for byte in scripted.body:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(scripted.drip_seconds)
    else:
        writer.write(scripted.body)
    await writer.drain()
    return True


def _head(scripted: Scripted) -> bytes:
    phrase = HTTPStatus(scripted.status).phrase if scripted.status in set(HTTPStatus) else "Unknown"
    headers = {"content-length": str(len(scripted.body)), **scripted.headers}
    lines = [
        f"HTTP/1.1 {scripted.status} {phrase}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
