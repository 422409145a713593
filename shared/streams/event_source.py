"""A stream of Server-Sent Events: the data of each event, never more of it than allowed."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import httpx

from shared.http.trust import trust
from shared.loopback import is_loopback
from shared.streams.connection import CONNECT_SECONDS, MAX_MESSAGE_BYTES, Broken, Connection

_HEADERS = {
    "accept": "text/event-stream",
    "accept-encoding": "identity",
    "cache-control": "no-store",
    "user-agent": "sonic",
}


class _EventSource:
    """Events of no data are none; comments, names and ids are not looked at."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    async def ask(self, _heard: Callable[[], None]) -> None:
        """One way only: silence is all that tells that nobody is there."""

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        left, data = bytearray(), bytearray()
        async for chunk in self._response.aiter_raw():
            left += chunk
            *lines, rest = bytes(left).split(b"\n")
            left = bytearray(rest)
            for line in lines:
                if line.startswith(b"data:"):
                    data += line[5:].strip() + b"\n"
                elif not line.strip() and data:
                    yield _text(data)
                    data = bytearray()
                _check(data)
            _check(left)


def _check(held: bytearray) -> None:
    if len(held) > MAX_MESSAGE_BYTES:
        raise Broken("OVERSIZED")


def _text(data: bytearray) -> str | bytes:
    try:
        return data.decode().strip()
    except UnicodeDecodeError:
        return bytes(data)


@asynccontextmanager
async def event_source(
    url: str, params: Sequence[tuple[str, str]] = ()
) -> AsyncIterator[Connection]:
    """Asks for it; raises Broken."""
    address = httpx.URL(url)
    client = httpx.AsyncClient(
        headers=_HEADERS,
        # Whoever reads judges how long is too long a silence.
        timeout=httpx.Timeout(CONNECT_SECONDS, read=None),
        verify=trust(),
        trust_env=not is_loopback(address.host),
    )
    try:
        async with client, client.stream("GET", address, params=tuple(params)) as response:
            if response.status_code != 200:
                raise Broken(f"HTTP_{response.status_code}")
            media = response.headers.get("content-type", "").split(";")[0].strip().lower()
            if media != "text/event-stream":
                raise Broken("HANDSHAKE")
            yield _EventSource(response)
    except httpx.TimeoutException as problem:
        raise Broken("TIMEOUT") from problem
    except httpx.ConnectError as problem:
        raise Broken("CONNECT") from problem
    except httpx.HTTPError as problem:
        raise Broken("CLOSED") from problem
