"""The streams that positions and price hold, watched."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.price.v1 import price_pb2, price_pb2_grpc

from services.cyclone.domain.streams import Stream, StreamNews, StreamState
from shared.codec import from_timestamp
from shared.rpc.client import Channel


class StreamClient:
    """`services` are those that hold streams."""

    services = ("positions", "price")

    def __init__(self, peers: Mapping[str, Channel]) -> None:
        self._stubs: dict[str, tuple[Any, Any]] = {
            "positions": (
                peers["positions"].stub(positions_pb2_grpc.StreamsServiceStub),
                positions_pb2.WatchStreamsRequest,
            ),
            "price": (
                peers["price"].stub(price_pb2_grpc.StreamsServiceStub),
                price_pb2.WatchStreamsRequest,
            ),
        }

    async def watch(self, service: str) -> AsyncGenerator[StreamNews]:
        """What a service says until it ends; raises SonicError."""
        stub, request = self._stubs[service]
        async for answer in stub.WatchStreams(request()):
            yield StreamNews(
                tuple(_stream(service, one) for one in answer.streams), tuple(answer.events)
            )


def _stream(service: str, message: Any) -> Stream:
    # Of a state that this version does not know it says no more than that it is not open.
    known = message.state in set(StreamState)
    state = StreamState(message.state) if known else StreamState.RECONNECTING
    since = from_timestamp(message, "since_time")
    if since is None:
        raise ValueError("a stream without a time")
    return Stream(message.name, service, state, since, message.reason)
