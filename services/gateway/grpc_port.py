"""gRPC for people: every RPC that HTTP shows, asked with a token as `authorization`, and handed on
as the gateway's own call.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any

import grpc
from google.protobuf.message import Message

from services.gateway.access import Access, Caller
from services.gateway.failures import Refused
from services.gateway.peers import Peers
from services.gateway.scopes import scope_of
from services.gateway.surface import OF_OWNERS, Route, routes
from shared.clock import Clock
from shared.errors import Unauthenticated
from shared.log import get_logger
from shared.rpc import call
from shared.rpc.access import Callers
from shared.rpc.door import Door, Places
from shared.rpc.limits import Gate, Limits, host_of
from shared.rpc.server import GrpcServer
from shared.tls_files import TlsFiles
from shared.tokens import Scope

# The gateway is one client of each service, by HTTP and from here together: with what HTTP may have
# this stays below what one client may keep open, so that nobody here can shut the pages out.
LIMITS = Limits(streams=50, streams_per_peer=25, calls=240, calls_per_peer=120)
# A person's, over all their connections: from this machine each connection is a client of its own.
_STREAMS_OF_ONE, _CALLS_OF_ONE = 25, 120
# Open at once, and of them from one address; beyond it those go on which nobody was admitted.
MAX_CONNECTIONS, MAX_CONNECTIONS_OF_ONE = 160, 40
# Each is so many open files: the caller's, and both ends of the way inside.
FILES_OF_ONE = 3
# How soon a stream on which nothing comes ends with its token.
_LOOK_SECONDS = 2.0


def grpc_port(
    listen_address: str,
    tls: TlsFiles | None,
    peers: Peers,
    access: Access,
    is_many: Callable[[str], bool],
    clock: Clock,
) -> GrpcServer:
    """The server. With `tls` it shows the gateway's certificate and asks nobody for one. `is_many`:
    hosts that stand for many clients.
    """
    offered = {route.full_name: route for route in routes() if not route.method.client_streaming}
    door = Door(Places(MAX_CONNECTIONS, MAX_CONNECTIONS_OF_ONE, is_many))
    port = _Port(peers, access, clock, door)
    by_service: dict[str, dict[str, Route]] = defaultdict(dict)
    for route in offered.values():
        by_service[route.method.containing_service.full_name][route.method.name] = route
    return GrpcServer(
        listen_address,
        [(port.add, methods) for methods in by_service.items()],
        service_names=sorted(by_service),
        clock=clock,
        identity=tls,
        asks_certificates=False,
        ways=[port.scope],
        limits=LIMITS,
        door=door,
        callers=_table(offered),
    )


def _table(offered: Mapping[str, Route]) -> Callers:
    """Who may what, in the form of protos/callers.txt: by scope, and the words of a cycle nobody
    whom a token names.
    """
    allowed = {
        name: frozenset(scope.name.lower() for scope in Scope if scope >= scope_of(route))
        for name, route in offered.items()
    }
    return allowed | {"+".join(sorted(OF_OWNERS)): frozenset({"cyclone"})}


class _Port:
    def __init__(self, peers: Peers, access: Access, clock: Clock, door: Door) -> None:
        self._door = door
        self._peers = peers
        self._access = access
        self._clock = clock
        self._streams = Gate("STREAMS", LIMITS.streams, _STREAMS_OF_ONE, "with this token")
        self._calls = Gate("CALLS", LIMITS.calls, _CALLS_OF_ONE, "with this token")

    def scope(self, context: Any) -> str:
        """What the caller may, by the name of its scope. Raises Unauthenticated NOT_SIGNED_IN,
        BAD_TOKEN; Exhausted TOO_MANY_ATTEMPTS.
        """
        return self._caller(context).scope.name.lower()

    def add(self, methods: tuple[str, Mapping[str, Route]], server: Any) -> None:
        """Registers the methods of one service, as a generated function does."""
        service, offered = methods
        handlers = {name: self._handler(route) for name, route in offered.items()}
        server.add_registered_method_handlers(service, handlers)

    def _handler(self, route: Route) -> Any:
        kinds: dict[str, Any] = {
            "request_deserializer": route.request_class.FromString,
            "response_serializer": route.response_class.SerializeToString,
        }

        async def ask(request: Message, context: Any) -> Message:
            with self._calls.entered(self._note(route, context)):
                return await self._peers.ask(route, request)

        async def watch(request: Message, context: Any) -> AsyncIterator[Message]:
            with self._streams.entered(self._note(route, context)):
                async with aclosing(self._peers.watch(route, request)) as messages:
                    while (message := await self._next(messages, context)) is not None:
                        yield message

        if route.streams:
            return grpc.unary_stream_rpc_method_handler(watch, **kinds)
        return grpc.unary_unary_rpc_method_handler(ask, **kinds)

    async def _next(self, messages: AsyncGenerator[Message], context: Any) -> Message | None:
        """None at the end. Raises Unauthenticated TOKEN_ENDED, also while nothing comes."""
        coming = asyncio.ensure_future(anext(messages, None))
        try:
            while not coming.done():
                pause = asyncio.ensure_future(self._clock.sleep(_LOOK_SECONDS))
                await asyncio.wait({coming, pause}, return_when=asyncio.FIRST_COMPLETED)
                pause.cancel()
                self._refuse_when_over(context)
            return coming.result()
        finally:
            coming.cancel()
            await asyncio.wait({coming})

    def _note(self, route: Route, context: Any) -> str:
        """Whose call it is: the services hear the token's name, whatever a header says. Whoever is
        asked for no token is a client by their connection.
        """
        caller = self._caller(context)
        call.asked_by(caller.name)
        if caller.name and not route.reads:
            get_logger().info("asked for", caller=caller.name, method=route.full_name)
        return caller.name or self._door.peer(context.peer())

    def _caller(self, context: Any) -> Caller:
        try:
            # Guesses are counted by address, as those of HTTP.
            client = host_of(self._door.peer(context.peer())).strip("[]")
            caller = self._access.admit_by(_authorization(context), client)
        except Refused as refused:
            raise Unauthenticated(refused.reason, refused.message) from refused
        self._door.admit(context.peer())
        return caller

    def _refuse_when_over(self, context: Any) -> None:
        self._access.refuse_when_ended(_authorization(context))


def _authorization(context: Any) -> str:
    shown = [str(value) for key, value in context.invocation_metadata() if key == "authorization"]
    # Of two, one may be what somebody on the way let pass.
    return shown[0] if len(shown) == 1 else ""
