"""The services around cyclone at the network edge: one server that answers every call plainly, or
as told.

It fakes failures of the network and odd answers, never what a service works out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status
from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.cyclone.v1 import cyclone_pb2, cyclone_pb2_grpc
from sonic.hedges.v1 import hedges_pb2, hedges_pb2_grpc
from sonic.monitor.v1 import monitor_pb2, monitor_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.price.v1 import price_pb2, price_pb2_grpc
from sonic.withdrawals.v1 import withdrawals_pb2, withdrawals_pb2_grpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from shared.errors import SonicError
from shared.rpc import failures

# (service, module of messages, module of stubs)
_FILES = (
    ("price", price_pb2, price_pb2_grpc),
    ("positions", positions_pb2, positions_pb2_grpc),
    ("hedges", hedges_pb2, hedges_pb2_grpc),
    ("alerts", alerts_pb2, alerts_pb2_grpc),
    ("monitor", monitor_pb2, monitor_pb2_grpc),
    ("withdrawals", withdrawals_pb2, withdrawals_pb2_grpc),
    ("xcom", xcom_pb2, xcom_pb2_grpc),
    ("cyclone", cyclone_pb2, cyclone_pb2_grpc),
)
Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Awaitable[Message]]


def answers(message: Message) -> Behaviour:
    async def behave(_request: Message, _context: Context) -> Message:
        return message

    return behave


def aborts(code: grpc.StatusCode, details: str = "down") -> Behaviour:
    """With UNAVAILABLE, what a caller sees when nobody listens."""

    async def behave(_request: Message, context: Context) -> Message:
        await context.abort(code, details)
        raise AssertionError("abort raises")

    return behave


def refuses(error: SonicError) -> Behaviour:
    """As a service of ours refuses: with the reason and its metadata."""

    async def behave(_request: Message, context: Context) -> Message:
        await context.abort_with_status(
            rpc_status.to_status(failures.to_status(error, "sonic.test"))
        )
        raise AssertionError("abort raises")

    return behave


def hangs() -> Behaviour:
    async def behave(_request: Message, _context: Context) -> Message:
        await asyncio.Event().wait()
        raise AssertionError("never")

    return behave


class Gate:
    """A behaviour that waits to be opened; `reached` is set when a call is waiting."""

    def __init__(self, message: Message) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self.left_count = 0
        self._message = message

    async def __call__(self, _request: Message, _context: Context) -> Message:
        self.reached.set()
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.left_count += 1
            raise
        return self._message


class FakePeers:
    """`told["price.RefreshPrices"] = behaviour` changes one method; `calls` is what came in, in
    order.
    """

    def __init__(self) -> None:
        self.told: dict[str, Behaviour] = {}
        # Those of methods that answer with many messages, set before `start`.
        self.streams: dict[str, Callable[[Any, Context], AsyncIterator[Message]]] = {}
        self.calls: list[tuple[str, Any]] = []
        self.address = "127.0.0.1:0"
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        server = grpc.aio.server()
        for name, messages, stubs in _FILES:
            for service in messages.DESCRIPTOR.services_by_name.values():
                add = getattr(stubs, f"add_{service.name}Servicer_to_server")
                add(self._servicer(name, messages, service), server)
        port = server.add_insecure_port(self.address)
        self.address = f"127.0.0.1:{port}"
        await server.start()
        self._server = server

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(0)
            self._server = None

    def names(self) -> list[str]:
        """Methods called, in order."""
        return [name for name, _ in self.calls]

    def requests(self, name: str) -> list[Any]:
        return [request for called, request in self.calls if called == name]

    def _servicer(self, name: str, messages: Any, service: Any) -> object:
        methods = {
            method.name: self._method(f"{name}.{method.name}", messages, method)
            for method in service.methods
        }
        return type("Servicer", (), methods)()

    def _stream(self, name: str) -> Callable[..., AsyncIterator[Message]]:
        async def streamed(
            _self: object, request: Message, context: Context
        ) -> AsyncIterator[Message]:
            self.calls.append((name, request))
            async for message in self.streams[name](request, context):
                yield message

        return streamed

    def _method(self, name: str, messages: Any, method: Any) -> Callable[..., Awaitable[Message]]:
        plain = PLAIN.get(name) or getattr(messages, method.output_type.name)()

        if method.server_streaming and name in self.streams:
            return self._stream(name)

        async def called(_self: object, request: Message, context: Context) -> Message:
            self.calls.append((name, request))
            return await self.told.get(name, answers(plain))(request, context)

        return called


PLAIN: Mapping[str, Message] = {
    "price.RefreshPrices": price_pb2.RefreshPricesResponse(
        fresh_count=1,
        prices=[price_pb2.Price(asset="BTC", price_usd=100_000.0, quality=price_pb2.QUALITY_GOOD)],
    ),
    "price.ListPrices": price_pb2.ListPricesResponse(
        prices=[
            price_pb2.Price(
                asset="ETH", price_usd=4_000.0, quality=price_pb2.QUALITY_STALE, stale=True
            )
        ]
    ),
    "positions.GetMode": positions_pb2.GetModeResponse(mode=positions_pb2.MODE_DEMO),
    "positions.EnrichPositions": positions_pb2.EnrichPositionsResponse(
        enriched_count=4,
        totals=positions_pb2.Totals(
            position_count=4, total_value_usd=1_234.5, avg_heat_index=17.0, stale=True
        ),
    ),
    "alerts.EvaluateAlerts": alerts_pb2.EvaluateAlertsResponse(evaluated_count=16),
    "alerts.GetSummary": alerts_pb2.Summary(ledger_head="ab12"),
}
