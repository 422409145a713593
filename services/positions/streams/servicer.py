"""WatchStreams over gRPC; decides nothing."""

from collections.abc import AsyncIterator, Callable

from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.positions.servicer.mapping import Context
from shared.codec import fill
from shared.streams import News


class StreamsServicer(rpc.StreamsServiceServicer):
    """Messages of streams."""

    def __init__(self, watch: Callable[[], AsyncIterator[News]]) -> None:
        self._watch = watch

    async def WatchStreams(
        self, request: pb.WatchStreamsRequest, context: Context
    ) -> AsyncIterator[pb.WatchStreamsResponse]:
        async for news in self._watch():
            streams = [fill(pb.Stream, one) for one in news.streams]
            yield pb.WatchStreamsResponse(streams=streams, events=news.events)
