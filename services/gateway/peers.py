"""The services behind the gateway: a channel each, a call by route, and their health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import timedelta
from typing import Any

from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.gateway.surface import FILES, Route
from shared.errors import SonicError, Unavailable
from shared.rpc import call
from shared.rpc.client import Channel, idempotent
from shared.rpc.fit import is_page
from shared.rpc.health import problem_of
from shared.service_tokens import Identity

# A body of 8 MiB is at most as much on the wire, a page of 500 rows far less.
_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_READ_SECONDS = 15.0
# A step may wait for slow providers.
_CHANGE_SECONDS = 60.0
_HEALTH_SECONDS = 1.5
_RETRY = timedelta(seconds=2)
_AS_JSON = ((call.ANSWER, call.JSON),)
# As a message this would be a group, which ours have not.
_OPENING = b"{"


class Peers:
    """Every service by name; connects when first asked."""

    def __init__(self, addresses: Mapping[str, str], identity: Identity | None = None) -> None:
        self.channels = {
            name: Channel(
                address,
                max_message_bytes=_MAX_MESSAGE_BYTES,
                retry=idempotent(FILES[name]),
                identity=identity,
                peer=name,
            )
            for name, address in addresses.items()
        }
        # Streams have a connection of their own: however many are held, calls and health do not
        # wait.
        self._watching = {
            name: Channel(
                address, max_message_bytes=_MAX_MESSAGE_BYTES, identity=identity, peer=name
            )
            for name, address in addresses.items()
        }
        self._looking: asyncio.Task[list[dict[str, str]]] | None = None
        # Callables of gRPC, made once a route.
        self._calls: dict[str, Any] = {}
        self._pages: dict[str, Any] = {}

    @property
    def parts(self) -> list[Channel]:
        """What is closed at the end."""
        return [*self.channels.values(), *self._watching.values()]

    async def ask(self, route: Route, request: Message) -> Message:
        """One answer; raises the SonicError the service raised."""
        seconds = _READ_SECONDS if route.reads else _CHANGE_SECONDS
        try:
            answer: Message = await self._call(route)(request, timeout=seconds)
        except Unavailable as error:
            raise _plain(route, error) from error
        return answer

    async def ask_for_json(self, route: Route, request: Message) -> Message | bytes:
        """One answer; of a list as JSON, where its service makes it."""
        if route.full_name not in self._pages:
            self._pages[route.full_name] = self._page_call(route)
        if (ask := self._pages[route.full_name]) is None:
            return await self.ask(route, request)
        try:
            answer: Message | bytes = await ask(request, timeout=_READ_SECONDS, metadata=_AS_JSON)
        except Unavailable as error:
            raise _plain(route, error) from error
        return answer

    async def watch(self, route: Route, request: Message) -> AsyncGenerator[Message, None]:
        """The messages of a stream; closing the generator ends the call."""
        try:
            async with aclosing(aiter(self._call(route)(request))) as messages:
                async for message in messages:
                    yield message
        except Unavailable as error:
            raise _plain(route, error) from error

    async def health(self) -> dict[str, dict[str, str]]:
        """State of every service: SERVING, NOT_SERVING or UNREACHABLE with a reason.

        Whoever asks while somebody else's question is under way gets that answer.
        """
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._states(), name="health")
        return dict(zip(self.channels, await asyncio.shield(self._looking), strict=True))

    async def _states(self) -> list[dict[str, str]]:
        return await asyncio.gather(*(self._state(channel) for channel in self.channels.values()))

    async def _state(self, channel: Channel) -> dict[str, str]:
        stub = channel.stub(health_pb2_grpc.HealthStub)
        check: Any = stub.Check(health_pb2.HealthCheckRequest(), timeout=_HEALTH_SECONDS)
        try:
            answer = await check
            problem = problem_of(await check.trailing_metadata())
        except SonicError as error:
            return {"state": "UNREACHABLE", "reason": error.reason}
        state = {"state": health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}
        return state | ({"reason": problem.reason, "message": problem.words} if problem else {})

    def _page_call(self, route: Route) -> Any:
        """None where the answer is no page."""
        kind = route.response_class
        if not (route.reads and is_page(kind)):
            return None
        return self.channels[route.service].channel.unary_unary(
            route.full_name,
            request_serializer=route.request_class.SerializeToString,
            response_deserializer=lambda raw: (
                raw if raw.startswith(_OPENING) else kind.FromString(raw)
            ),
        )

    def _call(self, route: Route) -> Any:
        if route.full_name not in self._calls:
            channel = (self._watching if route.streams else self.channels)[route.service].channel
            make = channel.unary_stream if route.streams else channel.unary_unary
            self._calls[route.full_name] = make(
                route.full_name,
                request_serializer=route.request_class.SerializeToString,
                response_deserializer=route.response_class.FromString,
            )
        return self._calls[route.full_name]


def _plain(route: Route, error: Unavailable) -> Unavailable:
    """A service that does not answer, in our words: the network's hold addresses."""
    if error.reason != "PEER_UNAVAILABLE":
        return error
    return Unavailable(
        error.reason, f"the {route.service} service does not answer now", retry_after=_RETRY
    )
