"""Drills in and out; decides nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.cyclone.v1 import cyclone_pb2_grpc as rpc

from services.cyclone.drills.domain import Drill
from services.cyclone.drills.service import DrillService
from shared.codec import fill, from_duration, from_timestamp

Context = grpc.aio.ServicerContext[Any, Any]


class DrillsServicer(rpc.DrillsServiceServicer):
    """The gRPC face of DrillService."""

    def __init__(self, drills: DrillService) -> None:
        self._drills = drills

    async def PlanDrill(self, request: pb.PlanDrillRequest, context: Context) -> pb.Drill:
        start_time, limit = from_timestamp(request, "start_time"), from_duration(request, "limit")
        drill, code = await self._drills.plan(start_time, limit)
        return _drill(drill, code)

    async def AnswerDrill(self, request: pb.AnswerDrillRequest, context: Context) -> pb.Drill:
        return _drill(await self._drills.answer(request.code))

    async def CancelDrill(self, request: pb.CancelDrillRequest, context: Context) -> pb.Drill:
        return _drill(await self._drills.cancel(request.id))

    async def ListDrills(
        self, request: pb.ListDrillsRequest, context: Context
    ) -> pb.ListDrillsResponse:
        page = await self._drills.list(request.page_size, request.page_token)
        return pb.ListDrillsResponse(
            drills=map(_drill, page.rows), next_page_token=page.next_page_token
        )


def _drill(drill: Drill, code: str = "") -> pb.Drill:
    return fill(pb.Drill, drill, limit=timedelta(seconds=drill.limit_seconds), code=code)
