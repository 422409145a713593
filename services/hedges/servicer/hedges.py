"""The gRPC face of the hedges service: one method an RPC; decides nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

import grpc
import numpy as np
from sonic.hedges.v1 import hedges_pb2 as pb
from sonic.hedges.v1 import hedges_pb2_grpc as rpc

from services.hedges.domain import modifiers
from services.hedges.domain.grouping import Hedge
from services.hedges.domain.history import HistoryFilter, Kind
from services.hedges.domain.holdings import LONG, SHORT
from services.hedges.domain.rebalance import Field, Target
from services.hedges.service.hedges import HedgesService
from services.hedges.service.linking import LinkingService
from services.hedges.service.modifiers import ModifiersService
from services.hedges.service.what_ifs import WhatIfs
from services.hedges.servicer import mapping
from shared.codec import apply_mask, check_mask, fill, from_timestamp, masked, number
from shared.database.fence import Step

Context = grpc.aio.ServicerContext[Any, Any]


class FeedNews(Protocol):
    """What one who watches is told."""

    @property
    def hedges(self) -> Sequence[Hedge]: ...

    @property
    def unlinked_ids(self) -> Sequence[str]: ...

    @property
    def gap(self) -> bool: ...


Watch = Callable[[str, str], AsyncIterator[FeedNews]]


class HedgesServicer(rpc.HedgesServiceServicer):
    """See protos/sonic/hedges/v1."""

    def __init__(
        self,
        linking: LinkingService,
        hedges: HedgesService,
        what_ifs: WhatIfs,
        modifiers: ModifiersService,
        watch: Watch,
    ) -> None:
        self._linking = linking
        self._hedges = hedges
        self._what_ifs = what_ifs
        self._modifiers = modifiers
        self._watch = watch

    async def LinkHedges(
        self, request: pb.LinkHedgesRequest, context: Context
    ) -> pb.LinkHedgesResponse:
        linking = await self._linking.link(Step("LINK_HEDGES", request.cycle_id, request.epoch))
        return fill(pb.LinkHedgesResponse, linking)

    async def UnlinkHedges(
        self, request: pb.UnlinkHedgesRequest, context: Context
    ) -> pb.UnlinkHedgesResponse:
        return pb.UnlinkHedgesResponse(unlinked_count=await self._linking.unlink())

    async def ListHedges(
        self, request: pb.ListHedgesRequest, context: Context
    ) -> pb.ListHedgesResponse:
        check_mask(pb.Hedge, request.read_mask)
        page = await self._hedges.list(
            request.page_size,
            request.page_token,
            request.wallet.strip(),
            request.asset.strip(),
            request.position_id.strip(),
            request.order_by,
        )
        return pb.ListHedgesResponse(
            hedges=masked(map(mapping.hedge, page.rows), request.read_mask),
            next_page_token=page.next_page_token,
        )

    async def GetHedge(self, request: pb.GetHedgeRequest, context: Context) -> pb.Hedge:
        return mapping.hedge(await self._hedges.get(request.id))

    async def UpdateHedge(self, request: pb.UpdateHedgeRequest, context: Context) -> pb.Hedge:
        wanted = request.hedge
        note = wanted.note if apply_mask(wanted, request.update_mask, ["note"]) else None
        return mapping.hedge(await self._hedges.write_note(wanted.id, note, wanted.etag))

    async def EvaluateHedge(
        self, request: pb.EvaluateHedgeRequest, context: Context
    ) -> pb.EvaluateHedgeResponse:
        held, evaluation = await self._what_ifs.evaluate(request.id, _prices(request))
        return pb.EvaluateHedgeResponse(
            legs=mapping.legs(held.legs),
            evaluations=mapping.evaluations(held.legs, evaluation),
            gone_position_ids=held.gone_position_ids,
        )

    async def AdviseRebalance(
        self, request: pb.AdviseRebalanceRequest, context: Context
    ) -> pb.AdviseRebalanceResponse:
        return mapping.advised(
            await self._what_ifs.advise(
                request.id,
                Target(request.target),
                LONG if request.side == pb.SIDE_LONG else SHORT,
                Field(request.field),
                request.position_id.strip(),
                number(request, "price_usd"),
            )
        )

    async def GetCorridor(
        self, request: pb.GetCorridorRequest, context: Context
    ) -> pb.GetCorridorResponse:
        return mapping.corridor(
            await self._what_ifs.corridor(request.id, number(request, "price_usd"))
        )

    async def ListLinkHistory(
        self, request: pb.ListLinkHistoryRequest, context: Context
    ) -> pb.ListLinkHistoryResponse:
        check_mask(pb.LinkChange, request.read_mask)
        wanted = HistoryFilter(
            request.hedge_id.strip(),
            request.wallet.strip(),
            request.asset.strip(),
            Kind(request.kind) if request.kind else None,
            from_timestamp(request, "start_time"),
            from_timestamp(request, "end_time"),
        )
        page = await self._hedges.history(request.page_size, request.page_token, wanted)
        return pb.ListLinkHistoryResponse(
            changes=masked(map(mapping.link_change, page.rows), request.read_mask),
            next_page_token=page.next_page_token,
        )

    async def WatchHedges(
        self, request: pb.WatchHedgesRequest, context: Context
    ) -> AsyncIterator[pb.WatchHedgesResponse]:
        await self._hedges.refuse_unknown(request.wallet.strip())
        async for news in self._watch(request.wallet.strip(), request.asset.strip()):
            yield pb.WatchHedgesResponse(
                hedges=map(mapping.hedge, news.hedges), unlinked_ids=news.unlinked_ids, gap=news.gap
            )

    async def GetModifiers(
        self, request: pb.GetModifiersRequest, context: Context
    ) -> pb.HedgeModifiers:
        return mapping.hedge_modifiers(await self._modifiers.get())

    async def SetModifiers(
        self, request: pb.SetModifiersRequest, context: Context
    ) -> pb.HedgeModifiers:
        wanted = request.modifiers
        read = ((name, number(wanted, name)) for name in modifiers.NAMES)
        values = {name: value for name, value in read if value is not None}
        return mapping.hedge_modifiers(await self._modifiers.replace(values, wanted.etag))

    async def ExportModifiers(
        self, request: pb.ExportModifiersRequest, context: Context
    ) -> pb.ExportModifiersResponse:
        return pb.ExportModifiersResponse(content=modifiers.exported(await self._modifiers.get()))

    async def ImportModifiers(
        self, request: pb.ImportModifiersRequest, context: Context
    ) -> pb.ImportModifiersResponse:
        values, ignored_groups = await self._modifiers.import_text(request.content)
        return pb.ImportModifiersResponse(
            modifiers=mapping.hedge_modifiers(values), ignored_groups=ignored_groups
        )


def _prices(request: pb.EvaluateHedgeRequest) -> list[float]:
    if request.WhichOneof("at") == "range":
        span = request.range
        spaced: list[float] = np.linspace(
            span.from_price_usd, span.to_price_usd, span.step_count
        ).tolist()
        return spaced
    return list(request.prices.prices_usd)
