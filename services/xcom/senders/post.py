"""HTTP/1.1 POSTs to one URL of the operator's over connections that are kept; reads no more than
heads.

A general client costs more than everything else about a delivery.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote, unquote, urlsplit

import httpx

_STATUS = re.compile(r"HTTP/1\.[01] (\d{3})(?: (.*))?")
# Bytes of a body that are worth reading to keep its connection.
_SHORT = 4096
# What was answered is not made doubtful by a body that does not come.
_BODY_SECONDS = 1.0
_KEPT = 8
_LONGEST_HEAD = 65_536
# What a URL may hold as it stands; the rest is percent-encoded.
_PLAIN = "!#$%&'()*+,/:;=?@[]~"


@dataclass(frozen=True, slots=True)
class Head:
    """What was answered; names of headers in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]


class BadAnswer(Exception):
    """Not HTTP, or more head than anybody needs."""


class Poster:
    """Any number of requests at once, each on a connection of its own meanwhile."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._is_tls = parts.scheme == "https"
        self._host = (parts.hostname or "").encode("idna").decode()
        self._port = parts.port or (443 if self._is_tls else 80)
        query = f"?{quote(parts.query, safe=_PLAIN)}" if parts.query else ""
        authority = f"[{self._host}]" if ":" in self._host else self._host
        lines = [
            f"POST {quote(parts.path or '/', safe=_PLAIN)}{query} HTTP/1.1",
            f"Host: {authority}{f':{parts.port}' if parts.port else ''}",
        ]
        if parts.username or parts.password:
            login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
            lines.append(f"Authorization: Basic {base64.b64encode(login.encode()).decode()}")
        self._head = "\r\n".join(lines)
        self._context: ssl.SSLContext | None = None
        self._idle: list[_Connection] = []

    async def post(self, headers: Mapping[str, str], body: bytes) -> Head:
        """One request. OSError, BadAnswer or EOFError when there is no answer; the caller bounds
        the time.
        """
        lines = (f"{name}: {value}" for name, value in headers.items())
        head = "\r\n".join((self._head, *lines, f"Content-Length: {len(body)}", "", ""))
        connection = await self._connection()
        try:
            return await connection.ask(head.encode() + body)
        finally:
            if connection.is_idle and len(self._idle) < _KEPT:
                self._idle.append(connection)
            else:
                connection.close()

    async def close(self) -> None:
        """Let go of idle connections."""
        while self._idle:
            self._idle.pop().close()

    async def _connection(self) -> _Connection:
        while self._idle:
            if (kept := self._idle.pop()).is_idle:
                return kept
        if self._is_tls and self._context is None:
            self._context = httpx.create_ssl_context(trust_env=False)
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(
            _Connection, self._host, self._port, ssl=self._context
        )
        return made


class _Connection(asyncio.Protocol):
    """One request after the other. `is_idle`: another one may follow."""

    def __init__(self) -> None:
        self.is_idle = False
        self._buffer = b""
        self._head: Head | None = None
        self._answered: asyncio.Future[Head] | None = None
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._answered is None or self._answered.done():
            # Said unasked: what it belongs to is not known.
            self.close()
            return
        self._buffer += data
        try:
            self._read(self._answered)
        except BadAnswer as error:
            self._answered.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_idle = False
        if self._answered is None or self._answered.done():
            return
        if self._head is not None:
            # What was answered stands, however its body ends.
            self._answered.set_result(self._head)
        else:
            self._answered.set_exception(exc or EOFError())

    def close(self) -> None:
        """For good, at once."""
        self.is_idle = False
        self._transport.abort()

    async def ask(self, request: bytes) -> Head:
        """The head of its answer."""
        self.is_idle, self._head, self._buffer = False, None, b""
        self._answered = asyncio.get_running_loop().create_future()
        if self._transport.is_closing():
            raise EOFError
        self._transport.write(request)
        try:
            return await self._answered
        finally:
            if self._patience is not None:
                self._patience.cancel()
                self._patience = None

    def _read(self, answered: asyncio.Future[Head]) -> None:
        while self._head is None:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if len(head) > _LONGEST_HEAD:
                raise BadAnswer
            if not end:
                return
            self._buffer, found = rest, _parsed(head)
            # Interim answers announce the real one.
            self._head = found if found.status >= 200 else None
        length = _short_length(self._head)
        if length is None or len(self._buffer) >= length:
            self.is_idle = length is not None and len(self._buffer) == length
            answered.set_result(self._head)
        elif self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(_BODY_SECONDS, self._answer)

    def _answer(self) -> None:
        """Without the rest of the body: the connection is left."""
        if self._head is not None and self._answered is not None and not self._answered.done():
            self._answered.set_result(self._head)


def _parsed(head: bytes) -> Head:
    first, *lines = head.decode("latin-1").split("\r\n")
    found = _STATUS.fullmatch(first)
    if found is None:
        raise BadAnswer
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Head(int(found[1]), found[2] or "", headers)


def _short_length(head: Head) -> int | None:
    """Bytes of the body when they are few and known and the connection is kept: then they are
    waited for.
    """
    if head.headers.get("connection", "").lower() == "close" or "transfer-encoding" in head.headers:
        return None
    length = "0" if head.status in (204, 304) else head.headers.get("content-length", "")
    return int(length) if length.isdecimal() and len(length) < 8 and int(length) <= _SHORT else None
