"""Probes of a server, health and reflection, within bounds of their own."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

import grpc

from shared.errors import Exhausted
from shared.rpc.limits import Gate

# A few bytes; whoever sends them as slowly as this is no probe.
_READ_SECONDS = 10.0
_MAKE: Mapping[tuple[bool, bool], Any] = {
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class Bounded:
    """Stands in for the server when a generated module registers: only so many streams are open,
    and an answer waits for none. `reads_late`: anybody may ask, so that an answer counts as well,
    and before its request is read. `peer`: who stands behind an address.
    """

    def __init__(
        self,
        server: grpc.aio.Server,
        gate: Gate,
        *,
        reads_late: bool = False,
        peer: Callable[[str], str] = str,
    ) -> None:
        self._server = server
        self._gate = gate
        self._peer = peer
        self._reads_late = reads_late

    def add_generic_rpc_handlers(self, handlers: Iterable[object]) -> None:
        """The same handlers come again, by name, in the next call."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        bounded = {name: self._bounded(handler) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, bounded),)
        )

    def _bounded(self, handler: Any) -> Any:
        if not (handler.response_streaming or self._reads_late):
            return handler
        behaviour = handler.stream_stream or handler.unary_stream or handler.unary_unary
        is_late = self._reads_late and not handler.request_streaming

        async def within(request: Any, context: Any) -> Any:
            try:
                with self._gate.entered(self._peer(context.peer())):
                    replies = behaviour(await _first(request) if is_late else request, context)
                    if inspect.isawaitable(replies):
                        return await replies
                    async for reply in replies:
                        await context.write(reply)
            except Exhausted as refused:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, refused.message)

        make = _MAKE[handler.request_streaming or is_late, handler.response_streaming]
        return make(within, handler.request_deserializer, handler.response_serializer)


async def _first(requests: AsyncIterator[Any]) -> Any:
    """Raises Exhausted REQUEST_TOO_SLOW, also for one that ends without a request."""
    try:
        async with asyncio.timeout(_READ_SECONDS):
            return await anext(aiter(requests))
    except (TimeoutError, StopAsyncIteration) as error:
        raise Exhausted("REQUEST_TOO_SLOW", "the request did not arrive in time") from error
