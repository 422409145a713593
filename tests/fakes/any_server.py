"""A server in the place of every service: it answers each RPC with the empty message, its streams
never stop speaking, and the RPCs named to hang are never answered.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message


@dataclass
class Calls:
    """Names of RPCs, as they come and as they end."""

    address: str = ""
    begun: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    # What to answer instead of the empty message, and what was asked, by the name of the RPC.
    answers: dict[str, Message | Callable[[bytes], Message]] = field(default_factory=dict)
    asked: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    def hangs(self, name: str) -> bool:
        """Whether one is asked for and was never given up."""
        return name in self.begun and name not in self.ended


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, calls: Calls, hanging: frozenset[str]) -> None:
        self._calls = calls
        self._hanging = hanging

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        name = details.method.rpartition("/")[2]

        async def answer(request: bytes, _context: object) -> bytes:
            self._calls.begun.append(name)
            self._calls.asked[name].append(request)
            try:
                if name in self._hanging:
                    await asyncio.Event().wait()
                told = self._calls.answers.get(name)
                told = told(request) if callable(told) else told
                return b"" if told is None else told.SerializeToString()
            finally:
                self._calls.ended.append(name)

        async def speak(_request: bytes, _context: object) -> AsyncIterator[bytes]:
            while True:
                yield b""
                await asyncio.sleep(0.005)

        if name.startswith("Watch"):
            return grpc.unary_stream_rpc_method_handler(speak)
        return grpc.unary_unary_rpc_method_handler(answer)


@asynccontextmanager
async def any_server(*hanging: str, address: str = "127.0.0.1:0") -> AsyncIterator[Calls]:
    """`hanging` are names of RPCs, `ListPrices`; a port 0 takes a free one."""
    calls = Calls()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Handler(calls, frozenset(hanging)),))
    calls.address = f"127.0.0.1:{server.add_insecure_port(address)}"
    await server.start()
    try:
        yield calls
    finally:
        await server.stop(None)
