"""Probes of a server, health and reflection, within bounds of their own."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import grpc

from shared.errors import Exhausted
from shared.rpc.limits import Gate


class Bounded:
    """Stands in for the server when a generated module registers: only so many streams are open,
    and an answer waits for none.
    """

    def __init__(self, server: grpc.aio.Server, gate: Gate) -> None:
        self._server = server
        self._gate = gate

    def add_generic_rpc_handlers(self, handlers: Iterable[object]) -> None:
        """The same handlers come again, by name, in the next call."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        bounded = {name: self._bounded(handler) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, bounded),)
        )

    def _bounded(self, handler: Any) -> Any:
        if not handler.response_streaming:
            return handler
        behaviour = handler.stream_stream or handler.unary_stream

        async def within(request: Any, context: Any) -> None:
            try:
                with self._gate.entered(context.peer()):
                    replies = behaviour(request, context)
                    if inspect.isawaitable(replies):
                        await replies
                        return
                    async for reply in replies:
                        await context.write(reply)
            except Exhausted as refused:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, refused.message)

        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_stream_rpc_method_handler
        )
        return make(within, handler.request_deserializer, handler.response_serializer)
