"""Messages of hedges in and out; decides nothing."""

from __future__ import annotations

from typing import Any

import grpc
from sonic.hedges.v1 import hedges_pb2 as pb
from sonic.hedges.v1 import hedges_pb2_grpc as rpc

from services.hedges.domain import Hedge
from services.hedges.service import HedgesService
from shared.codec import put, to_timestamp
from shared.database.fence import Step

Context = grpc.aio.ServicerContext[Any, Any]

_NUMBERS = (
    "total_long_size_usd",
    "total_short_size_usd",
    "long_heat",
    "short_heat",
    "total_heat",
    "hedge_ratio",
    "net_delta_tokens",
    "net_delta_usd",
    "imbalance_usd",
    "net_pnl_usd",
)


class HedgesServicer(rpc.HedgesServiceServicer):
    """The gRPC face of HedgesService."""

    def __init__(self, service: HedgesService) -> None:
        self._service = service

    async def LinkHedges(self, request: pb.LinkHedgesRequest, context: Context) -> pb.LinkHedgesResponse:
        linking = await self._service.link(Step("LINK_HEDGES", request.cycle_id, request.epoch))
        return pb.LinkHedgesResponse(
            linked_count=linking.linked_count,
            unlinked_count=linking.unlinked_count,
            hedge_count=linking.hedge_count,
            position_count=linking.position_count,
        )

    async def UnlinkHedges(
        self, request: pb.UnlinkHedgesRequest, context: Context
    ) -> pb.UnlinkHedgesResponse:
        return pb.UnlinkHedgesResponse(unlinked_count=await self._service.unlink())

    async def ListHedges(self, request: pb.ListHedgesRequest, context: Context) -> pb.ListHedgesResponse:
        page = await self._service.list(request.page_size, request.page_token, request.wallet, request.asset)
        return pb.ListHedgesResponse(hedges=map(_message, page.rows), next_page_token=page.next_page_token)

    async def GetHedge(self, request: pb.GetHedgeRequest, context: Context) -> pb.Hedge:
        return _message(await self._service.get(request.id))


def _message(hedge: Hedge) -> pb.Hedge:
    message = pb.Hedge(
        id=hedge.id,
        wallet=hedge.wallet,
        asset=hedge.asset,
        position_ids=hedge.position_ids,
        created_time=to_timestamp(hedge.created_time),
        updated_time=to_timestamp(hedge.updated_time),
        note=hedge.note,
        member_count=len(hedge.position_ids),
    )
    put(message, **{name: getattr(hedge, name) for name in _NUMBERS})
    return message
