"""The question before sleep, in and out; decides nothing."""

from __future__ import annotations

from typing import Any

import grpc
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.cyclone.v1 import cyclone_pb2_grpc as rpc

from services.cyclone.sleep.service import SleepService
from shared.codec import fill, from_duration

Context = grpc.aio.ServicerContext[Any, Any]


class SleepServicer(rpc.SleepServiceServicer):
    """The gRPC face of SleepService."""

    def __init__(self, sleep: SleepService) -> None:
        self._sleep = sleep

    async def CanISleep(
        self, request: pb.CanISleepRequest, context: Context
    ) -> pb.CanISleepResponse:
        answer = await self._sleep.ask(from_duration(request, "duration"))
        reasons = [fill(pb.SleepReason, reason) for reason in answer.reasons]
        return fill(pb.CanISleepResponse, answer, reasons=reasons)
