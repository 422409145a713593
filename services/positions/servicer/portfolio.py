"""PortfolioService over gRPC; decides nothing."""

from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.positions.service.portfolio import PortfolioService
from services.positions.servicer.messages import Context, snapshot_message, totals_message
from shared.codec import from_timestamp
from shared.database.fence import Step


class PortfolioServicer(rpc.PortfolioServiceServicer):
    """Messages of totals and snapshots."""

    def __init__(self, service: PortfolioService) -> None:
        self._service = service

    async def GetTotals(self, request: pb.GetTotalsRequest, context: Context) -> pb.Totals:
        return totals_message(await self._service.totals())

    async def RecordSnapshot(self, request: pb.RecordSnapshotRequest, context: Context) -> pb.Snapshot:
        return snapshot_message(
            await self._service.record(Step("RECORD_SNAPSHOT", request.cycle_id, request.epoch))
        )

    async def ListSnapshots(
        self, request: pb.ListSnapshotsRequest, context: Context
    ) -> pb.ListSnapshotsResponse:
        page = await self._service.list(
            request.page_size,
            request.page_token,
            from_timestamp(request, "start_time"),
            from_timestamp(request, "end_time"),
        )
        return pb.ListSnapshotsResponse(
            snapshots=map(snapshot_message, page.rows), next_page_token=page.next_page_token
        )

    async def ClearData(self, request: pb.ClearDataRequest, context: Context) -> pb.ClearDataResponse:
        return pb.ClearDataResponse(deleted_count=await self._service.clear(request.confirm))
