"""The HTTP server as a part: our socket, our event loop, no signals of its own."""

from __future__ import annotations

import asyncio
import functools
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from services.gateway.connection import Connection, Room

_BACKLOG = 512
_MAX_CONNECTIONS = 1000
# Files of ours besides: the channels to the services, the log, what the event loop needs.
OTHER_FILES = 128
_HEADER_BYTES = 32 * 1024
_KEEP_ALIVE_SECONDS = 30


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, and without its tenth of a second: a process that has
    nothing to do sleeps. It dates no answer then; the application does.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._asked_to_end = asyncio.Event()

    def end(self) -> None:
        """Accept nothing more, finish what is in flight."""
        self.should_exit = True
        self._asked_to_end.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self._asked_to_end.wait()


class HttpServer:
    """Serves `application` on `listen_address`; `address` has the real port once started.

    At the end `leaving` is called first, so that what would last for ever can end itself.
    `failed` is set when the server dies by itself.
    """

    def __init__(
        self,
        listen_address: str,
        application: ASGIApp,
        *,
        leaving: Callable[[], None],
        grace_seconds: float,
        room: Room | None = None,
    ) -> None:
        self.address = listen_address
        self.failed = asyncio.Event()
        self._listen_address = listen_address
        self._application = application
        self._leaving = leaving
        self._grace_seconds = grace_seconds
        self._room = room or Room(most_connections())
        self._listening: list[socket.socket] = []
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Binds, then serves; raises OSError when the port is taken."""
        listener = _bind(self._listen_address)
        self.address = f"{_dialled(self._listen_address)}:{listener.getsockname()[1]}"
        self._server = _Server(self._config())
        self._listening = [listener]
        self._task = asyncio.create_task(self._server.serve(self._listening), name="http")
        self._task.add_done_callback(lambda _: self.failed.set())
        while not self._server.started:
            if self._task.done():
                await self._task
                raise OSError(f"the HTTP server on {self.address} did not start")
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Streams end, requests in flight finish within the grace."""
        task, self._task = self._task, None
        if task is None or self._server is None:
            return
        self._leaving()
        self._server.end()
        if task.done() and self._server.started:
            # It died by itself, and goes on listening until it is told not to.
            task = asyncio.create_task(self._server.shutdown(self._listening), name="http")
        _, late = await asyncio.wait({task}, timeout=self._grace_seconds)
        if late:
            # What is left is idle or slow readers.
            self._server.force_exit = True
            await asyncio.wait({task}, timeout=1.0)

    def _config(self) -> uvicorn.Config:
        protocol: Any = functools.partial(Connection, room=self._room)
        return uvicorn.Config(
            self._application,
            loop="none",
            http=protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, int(self._grace_seconds) - 1),
            h11_max_incomplete_event_size=_HEADER_BYTES,
            reset_contextvars=True,
        )


def most_connections(other_files: int = OTHER_FILES) -> int:
    """As many as this process may have files open, so that the next one can still be accepted."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        _MAX_CONNECTIONS
        if soft == resource.RLIM_INFINITY
        else max(64, min(_MAX_CONNECTIONS, soft - other_files))
    )


def _bind(listen_address: str) -> socket.socket:
    host, _, port = listen_address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's waiting off only where TCP is named: without it every answer takes 40 ms
    # more.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _dialled(listen_address: str) -> str:
    """The host a client on this machine dials."""
    host = listen_address.rpartition(":")[0]
    return "127.0.0.1" if host in ("0.0.0.0", "[::]", "") else host
