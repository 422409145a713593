"""WatchStreams over gRPC; decides nothing."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from sonic.price.v1 import price_pb2 as message
from sonic.price.v1 import price_pb2_grpc as rpc

from shared.codec import fill
from shared.streams import News

Context = grpc.aio.ServicerContext[Any, Any]


class StreamsServicer(rpc.StreamsServiceServicer):
    """Messages of streams."""

    def __init__(self, watch: Callable[[], AsyncIterator[News]]) -> None:
        self._watch = watch

    async def WatchStreams(
        self, request: message.WatchStreamsRequest, context: Context
    ) -> AsyncIterator[message.WatchStreamsResponse]:
        async for news in self._watch():
            streams = [fill(message.Stream, one) for one in news.streams]
            yield message.WatchStreamsResponse(streams=streams, events=news.events)
