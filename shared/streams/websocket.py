"""A stream over a websocket. The library is loaded by the first one that is opened."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.http.trust import trust
from shared.loopback import is_loopback
from shared.streams.connection import CONNECT_SECONDS, MAX_MESSAGE_BYTES, Broken, Connection

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection
    from websockets.exceptions import WebSocketException

_USER_AGENT = "sonic"
# Messages that wait to be read; the rest waits at the sender.
_WAITING_LIMIT = 16
_CLOSE_SECONDS = 1.0
_TOO_BIG = 1009


class _Websocket:
    def __init__(self, inner: "ClientConnection", keepalive: str) -> None:
        self._inner = inner
        self._keepalive = keepalive

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return self._inner.__aiter__()

    async def ask(self, heard: Callable[[], None]) -> None:
        if self._keepalive:
            # It is answered by a message like any other.
            await self._inner.send(self._keepalive)
            return
        pong = asyncio.ensure_future(await self._inner.ping())
        pong.add_done_callback(lambda done: None if _failed(done) else heard())


def _failed(done: asyncio.Future[float]) -> bool:
    return done.cancelled() or done.exception() is not None


@asynccontextmanager
async def websocket(
    url: str, texts: Sequence[str], *, keepalive: str = ""
) -> AsyncIterator[Connection]:
    """Opens it and sends the texts. `keepalive` is a text that the other side answers with a
    message; without one it is asked by a ping of the protocol. Raises Broken.
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import WebSocketException

    # What it writes at lower levels holds whole messages, addresses among them.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    address = urlsplit(url)
    opening = connect(
        url,
        ssl=trust() if address.scheme == "wss" else None,
        # A proxy of the environment is for the world outside, not for this machine.
        proxy=None if is_loopback(address.hostname or "") else True,
        compression=None,
        user_agent_header=_USER_AGENT,
        open_timeout=CONNECT_SECONDS,
        close_timeout=_CLOSE_SECONDS,
        ping_interval=None,
        max_size=MAX_MESSAGE_BYTES,
        max_queue=_WAITING_LIMIT,
    )
    try:
        async with opening as inner:
            for text in texts:
                await inner.send(text)
            yield _Websocket(inner, keepalive)
    except WebSocketException as problem:
        raise Broken(_reason(problem)) from problem
    except TimeoutError as problem:
        raise Broken("TIMEOUT") from problem
    except OSError as problem:
        raise Broken("CONNECT") from problem


def _reason(problem: "WebSocketException") -> str:
    from websockets.exceptions import ConnectionClosed, InvalidStatus

    if isinstance(problem, InvalidStatus):
        return f"HTTP_{problem.response.status_code}"
    if isinstance(problem, ConnectionClosed):
        sent = problem.sent
        return "OVERSIZED" if sent is not None and sent.code == _TOO_BIG else "CLOSED"
    return "HANDSHAKE"
