"""HTTP/1.1 for what is sent to webhooks: kept connections, heads of answers only.

httpx costs 0.5 ms of CPU a request, more than the rest of a delivery, and takes what a server says
unasked for the answer to the next request.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Self, cast
from urllib.parse import unquote_to_bytes

import h11
import httpx

# The address to connect to instead of a host's name.
AddressOf = Callable[[str, int], Awaitable[str]]

# Bytes of a body that are worth reading to keep its connection.
_SHORT = 4096
# What was answered is not made doubtful by a body that does not come.
_BODY_SECONDS = 1.0
_KEPT = 8
_LONGEST_HEAD = 65_536


@dataclass(frozen=True, slots=True)
class Answered:
    """The head of an answer; names of headers in lower case."""

    status_code: int
    reason: str
    headers: Mapping[str, str]


class Client:
    """Any number of requests at once, each on a connection of its own meanwhile.

    Follows no redirect, uses no proxy; who asks bounds the time. Connects to what `address_of` says
    of the URL's host and port; SNI and Host stay.
    """

    def __init__(self, address_of: AddressOf | None = None) -> None:
        self._address_of = address_of
        self._idle: dict[tuple[bytes, ...], list[_Connection]] = defaultdict(list)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        """httpx.InvalidURL; OSError or EOFError when there is no answer, httpx.RemoteProtocolError
        when it is not HTTP.
        """
        target = _target(url)
        idle = self._idle[target.key]
        while idle and not idle[-1].is_idle:
            idle.pop()
        connection = idle.pop() if idle else await self._connected(target.url)
        try:
            head = await connection.ask(target, headers, body)
        finally:
            if connection.is_idle and len(idle) < _KEPT:
                idle.append(connection)
            else:
                connection.close()
        said = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        return Answered(head.status_code, head.reason.decode("latin-1"), said)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Connections in use are closed by who uses them."""
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()

    async def _connected(self, url: httpx.URL) -> _Connection:
        is_tls, host = url.scheme == "https", url.raw_host.decode()
        port = url.port or (443 if is_tls else 80)
        address = host if self._address_of is None else await self._address_of(host, port)
        _, made = await asyncio.get_running_loop().create_connection(
            _Connection,
            address,
            port,
            ssl=_trust() if is_tls else None,
            server_hostname=host if is_tls else None,
        )
        return made


@dataclass(frozen=True, slots=True)
class _Target:
    """A URL taken apart: once, not for every delivery."""

    url: httpx.URL
    key: tuple[bytes, ...]
    headers: tuple[tuple[str, str], ...]


@lru_cache(maxsize=64)
def _target(text: str) -> _Target:
    url = httpx.URL(text)
    headers = [("Host", url.netloc.decode())]
    if url.userinfo:
        name_and_password = base64.b64encode(unquote_to_bytes(url.userinfo)).decode()
        headers.append(("Authorization", f"Basic {name_and_password}"))
    return _Target(url, (url.raw_scheme, url.netloc), tuple(headers))


class _Connection(asyncio.Protocol):
    """One request after the other. `is_idle`: another one may follow."""

    def __init__(self) -> None:
        self.is_idle = False
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
        self._head: h11.Response | None = None
        self._answered: asyncio.Future[h11.Response] | None = None
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._answered is None or self._answered.done():
            # Said unasked: what it belongs to is not known.
            self.close()
            return
        try:
            self._http.receive_data(data)
            self._read(self._answered)
        except h11.RemoteProtocolError as error:
            self._answered.set_exception(httpx.RemoteProtocolError(str(error)))

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_idle = False
        if self._head is not None:
            # What was answered stands, however its body ends.
            self._answer()
        elif self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or EOFError())

    def close(self) -> None:
        """For good, at once."""
        self.is_idle = False
        self._transport.abort()

    async def ask(self, target: _Target, headers: Mapping[str, str], body: bytes) -> h11.Response:
        """The head of its answer."""
        self.is_idle, self._head = False, None
        self._answered = asyncio.get_running_loop().create_future()
        if self._transport.is_closing():
            raise EOFError
        fields = [*target.headers, *headers.items(), ("Content-Length", str(len(body)))]
        events = (
            h11.Request(method="POST", target=target.url.raw_path, headers=fields),
            h11.Data(body),
            h11.EndOfMessage(),
        )
        self._transport.write(b"".join(self._http.send(event) or b"" for event in events))
        try:
            return await self._answered
        finally:
            if self._patience is not None:
                self._patience.cancel()
                self._patience = None

    def _read(self, answered: asyncio.Future[h11.Response]) -> None:
        while self._head is None:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                return
            # Interim answers announce the real one.
            self._head = event if isinstance(event, h11.Response) else None
        while _is_short(self._head):
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if self._patience is None:
                    loop = asyncio.get_running_loop()
                    self._patience = loop.call_later(_BODY_SECONDS, self._answer)
                return
            if isinstance(event, h11.EndOfMessage):
                # Neither is it to be closed, nor was more said than was asked.
                self.is_idle = self._http.their_state is h11.DONE and not any(
                    self._http.trailing_data
                )
                if self.is_idle:
                    self._http.start_next_cycle()
                break
        answered.set_result(self._head)

    def _answer(self) -> None:
        """Without the rest of the body: the connection is left."""
        if self._head is not None and self._answered is not None and not self._answered.done():
            self._answered.set_result(self._head)


def _is_short(head: h11.Response) -> bool:
    """Whether the body is known to have few bytes: then they are waited for."""
    length = b"0" if head.status_code in (204, 304) else dict(head.headers).get(b"content-length")
    return length is not None and int(length) <= _SHORT


@cache
def _trust() -> ssl.SSLContext:
    """Made once: reading the certificates takes longer than a request."""
    return httpx.create_ssl_context(trust_env=False)
