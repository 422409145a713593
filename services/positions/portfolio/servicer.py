"""PortfolioService over gRPC; decides nothing."""

from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.positions.enrichment.domain.totals import SUMS, Totals
from services.positions.enrichment.service import EnrichmentService
from services.positions.portfolio.service.net_worth import NetWorthService
from services.positions.portfolio.service.portfolio import PortfolioService
from services.positions.servicer.mapping import Context, snapshot_message, totals_message
from services.positions.wallets.service.wallets import WalletsService
from shared.codec import check_mask, fill, from_duration, from_timestamp, masked, put, read
from shared.database.fence import Step
from shared.errors import invalid


class PortfolioServicer(rpc.PortfolioServiceServicer):
    """Messages of totals and snapshots."""

    def __init__(
        self,
        service: PortfolioService,
        enrichment: EnrichmentService,
        net_worth: NetWorthService,
        wallets: WalletsService,
    ) -> None:
        self._service = service
        self._enrichment = enrichment
        self._net_worth = net_worth
        self._wallets = wallets

    async def GetTotals(self, request: pb.GetTotalsRequest, context: Context) -> pb.Totals:
        message = totals_message(await self._enrichment.totals())
        message.unwatched.extend(await self._wallets.unwatched())
        return message

    async def RecordSnapshot(
        self, request: pb.RecordSnapshotRequest, context: Context
    ) -> pb.Snapshot:
        return snapshot_message(
            await self._service.record(Step("RECORD_SNAPSHOT", request.cycle_id, request.epoch))
        )

    async def ListSnapshots(
        self, request: pb.ListSnapshotsRequest, context: Context
    ) -> pb.ListSnapshotsResponse:
        check_mask(pb.Snapshot, request.read_mask)
        page = await self._service.list(
            request.page_size,
            request.page_token,
            from_timestamp(request, "start_time"),
            from_timestamp(request, "end_time"),
            order_by=request.order_by,
            manual_only=request.manual_only,
        )
        return pb.ListSnapshotsResponse(
            snapshots=masked(map(snapshot_message, page.rows), request.read_mask),
            next_page_token=page.next_page_token,
        )

    async def CreateSnapshot(
        self, request: pb.CreateSnapshotRequest, context: Context
    ) -> pb.Snapshot:
        entry = request.snapshot
        totals = _entered(entry.totals)
        moment = from_timestamp(entry, "snapshot_time")
        return snapshot_message(await self._service.enter(totals, moment, entry.note))

    async def DeleteSnapshot(
        self, request: pb.DeleteSnapshotRequest, context: Context
    ) -> pb.DeleteSnapshotResponse:
        await self._service.delete(request.id)
        return pb.DeleteSnapshotResponse()

    async def ListTrend(
        self, request: pb.ListTrendRequest, context: Context
    ) -> pb.ListTrendResponse:
        trend = await self._service.trend(
            from_duration(request, "window"),
            from_timestamp(request, "end_time"),
            request.point_count,
        )
        message = pb.ListTrendResponse(
            points=[
                fill(pb.TrendPoint, point, snapshot=snapshot_message(point.snapshot))
                for point in trend.points
            ],
            snapshot_count=sum(point.snapshot_count for point in trend.points),
        )
        put(
            message,
            value_change_usd=trend.value_change_usd,
            value_change_percent=trend.value_change_percent,
        )
        return message

    async def GetBalances(self, request: pb.GetBalancesRequest, context: Context) -> pb.Balances:
        return fill(pb.Balances, await self._net_worth.balances())

    async def GetFreshness(
        self, request: pb.GetFreshnessRequest, context: Context
    ) -> pb.GetFreshnessResponse:
        stamps = await self._net_worth.freshness()
        return pb.GetFreshnessResponse(stamps=[fill(pb.Freshness, stamp) for stamp in stamps])

    async def ClearData(
        self, request: pb.ClearDataRequest, context: Context
    ) -> pb.ClearDataResponse:
        return pb.ClearDataResponse(deleted_count=await self._service.clear(request.confirm))


def _entered(totals: pb.Totals) -> Totals:
    """Totals of an entry by hand. Raises INVALID_FIELD, NOT_FINITE."""
    if not totals.HasField("total_value_usd"):
        sentence = "an entry by hand says at least the total value"
        raise invalid("snapshot.totals.total_value_usd", "must be set", sentence)
    numbers = {name: getattr(totals, name) + 0.0 for name in SUMS}
    return read(
        Totals,
        totals,
        **numbers,
        absent_count={},
        oldest_mark_time=None,
        totals_time=None,
        stale=False,
    )
