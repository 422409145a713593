"""ThresholdsService on the wire."""

from __future__ import annotations

from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc

from services.alerts.service.limits import Limits
from services.alerts.servicer.words import Context, edit_of, threshold_message


class ThresholdsServicer(rpc.ThresholdsServiceServicer):
    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def ListThresholds(
        self, request: pb.ListThresholdsRequest, context: Context
    ) -> pb.ListThresholdsResponse:
        page = await self._limits.list(request.page_size, request.page_token)
        return pb.ListThresholdsResponse(
            thresholds=map(threshold_message, page.rows), next_page_token=page.next_page_token
        )

    async def UpdateThreshold(self, request: pb.UpdateThresholdRequest, context: Context) -> pb.Threshold:
        return threshold_message(await self._limits.update(edit_of(request)))
