"""A servicer that does what it is told, and a server and channel for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from shared import columns, errors, log
from shared.metrics import Metrics
from shared.rpc import call
from shared.rpc.client import Channel
from shared.rpc.server import GrpcServer
from tests.contract.shared import echo


class Servicer(echo.Base):
    """Does what the text asks for."""

    def __init__(self) -> None:
        self.error: BaseException = errors.NotFound("NO_WORD", "There is no such word.")
        self.seen: dict[str, Any] = {}
        self.released = asyncio.Event()
        self.ended = asyncio.Event()
        self.calls_count = 0
        self.asks: Callable[[], Awaitable[object]] | None = None

    async def GetWord(self, request: Any, _context: Any) -> Any:
        self.calls_count += 1
        if request.text == "ask" and self.asks is not None:
            await self.asks()
        self.seen = {
            **log.bound(),
            "remaining": call.remaining_seconds(),
            "metadata": call.metadata(),
        }
        if request.text == "wait":
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                self.ended.set()
                raise
        return request

    async def Fail(self, _request: Any, _context: Any) -> Any:
        self.calls_count += 1
        raise self.error

    async def Empty(self, request: Any, _context: Any) -> Any:
        return request

    async def WatchWords(self, request: Any, _context: Any) -> AsyncIterator[Any]:
        try:
            yield request
            if request.text == "fail":
                raise self.error
            if request.text == "wait":
                await self.released.wait()
        finally:
            self.ended.set()

    async def ReadColumns(self, _request: Any, _context: Any) -> AsyncIterator[Any]:
        heat = np.arange(40_000, dtype=np.float64)
        for part in columns.slices({"heat": heat, "key": heat.astype(np.int64)}):
            yield columns.reply(echo.Columns, part, cycle="cyc-1")

    async def Join(self, requests: Any, _context: Any) -> Any:
        return echo.Word(text="-".join([word.text async for word in requests]))

    async def Chat(self, requests: Any, _context: Any) -> AsyncIterator[Any]:
        async for word in requests:
            yield word


async def ready() -> None:
    """The usual answer."""


@asynccontextmanager
async def served(servicer: Any, *, channel: dict[str, Any] | None = None, **options: Any) -> Any:
    registrations = [(echo.add_to_server, servicer)]
    options.setdefault("metrics", Metrics())
    server = GrpcServer("127.0.0.1:0", registrations, service_names=[echo.SERVICE], **options)
    await server.start()
    peer = Channel(server.address, **channel or {})
    try:
        yield server, peer
    finally:
        await peer.stop()
        await server.stop()


def answered_count(metrics: Metrics, method: str, code: str) -> float:
    """How many calls of a method of echo ended so."""
    labels = {"rpc_method": f"{echo.SERVICE}/{method}", "rpc_response_status_code": code}
    name = "rpc_server_call_duration_seconds_count"
    return metrics.registry.get_sample_value(name, labels) or 0.0


async def words(*texts: str) -> AsyncIterator[Any]:
    for text in texts:
        yield echo.Word(text=text)
