"""RecorderService on the wire."""

from __future__ import annotations

from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc

from services.alerts.recorder.mapping import listed_message, replay_request, replayed_message
from services.alerts.recorder.service.replays import Replays
from services.alerts.servicer.mapping import Context


class RecorderServicer(rpc.RecorderServiceServicer):
    def __init__(self, replays: Replays) -> None:
        self._replays = replays

    async def ListRecordings(
        self, request: pb.ListRecordingsRequest, context: Context
    ) -> pb.ListRecordingsResponse:
        return listed_message(await self._replays.list(request.page_size, request.page_token))

    async def Replay(self, request: pb.ReplayRequest, context: Context) -> pb.Replayed:
        return replayed_message(await self._replays.replay(replay_request(request)))
