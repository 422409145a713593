"""RiskService over gRPC; decides nothing."""

from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.positions.enrichment.domain.heat import (
    WEIGHT_NAMES,
    HeatModifiers,
    exported,
    model_of,
    weights_of,
)
from services.positions.risk.domain.advice import AdviceInput
from services.positions.risk.domain.shock import Shock
from services.positions.risk.service import SIGNS, Advised, RiskService, Shocked
from services.positions.servicer.mapping import (
    Context,
    frozen_mark,
    frozen_mark_message,
    what_if_terms,
)
from shared.codec import fill, number

_STEPS = 10


class RiskServicer(rpc.RiskServiceServicer):
    """Messages of risk."""

    def __init__(self, service: RiskService) -> None:
        self._service = service

    async def AdviseTopUp(self, request: pb.AdviseTopUpRequest, context: Context) -> pb.TopUpAdvice:
        price_usd, wanted_percent = number(request, "price_usd"), request.wanted_distance_percent
        if request.WhichOneof("subject") == "position_id":
            advice = await self._service.advise_stored(
                request.position_id, price_usd, wanted_percent
            )
        else:
            terms = what_if_terms(request.position)
            advice_input = AdviceInput(
                request.venue.lower(),
                request.asset.upper(),
                SIGNS[terms.side],
                terms.entry_price_usd,
                terms.size_usd,
                terms.collateral_usd,
                price_usd,
                terms.liquidation_price_usd,
                number(request, "maintenance_ratio"),
            )
            advice = self._service.advise(advice_input, wanted_percent)
        return _advice(advice)

    async def GetCarry(self, request: pb.GetCarryRequest, context: Context) -> pb.GetCarryResponse:
        found = await self._service.carry(request.position_ids)
        carries = [fill(pb.Carry, carry) for carry in found.carries]
        return fill(pb.GetCarryResponse, found, carries=carries)

    async def ShockGrid(
        self, request: pb.ShockGridRequest, context: Context
    ) -> pb.ShockGridResponse:
        shocks = [
            Shock(shock.name, dict(shock.moves_percent), number(shock, "other_move_percent"))
            for shock in request.shocks
        ]
        results, absent_count = await self._service.shock(shocks, request.step_count or _STEPS)
        return pb.ShockGridResponse(results=map(_shocked, results), absent_count=absent_count)

    async def GetHeatModifiers(
        self, request: pb.GetHeatModifiersRequest, context: Context
    ) -> pb.HeatModifiers:
        return _heat(await self._service.heat())

    async def SetHeatModifiers(
        self, request: pb.SetHeatModifiersRequest, context: Context
    ) -> pb.HeatModifiers:
        wanted = request.modifiers
        weights = weights_of({name: number(wanted, name) for name in WEIGHT_NAMES})
        return _heat(await self._service.set_heat(model_of(wanted.model), weights, wanted.etag))

    async def SetFrozenMarks(
        self, request: pb.SetFrozenMarksRequest, context: Context
    ) -> pb.FrozenMarks:
        marks = await self._service.set_frozen([*map(frozen_mark, request.marks)])
        return pb.FrozenMarks(marks=map(frozen_mark_message, marks))

    async def ExportModifiers(
        self, request: pb.ExportModifiersRequest, context: Context
    ) -> pb.ExportModifiersResponse:
        return pb.ExportModifiersResponse(content=exported(await self._service.heat()))

    async def ImportModifiers(
        self, request: pb.ImportModifiersRequest, context: Context
    ) -> pb.ImportModifiersResponse:
        heat, ignored = await self._service.import_heat(request.content)
        return pb.ImportModifiersResponse(modifiers=_heat(heat), ignored_groups=ignored)


def _heat(heat: HeatModifiers) -> pb.HeatModifiers:
    return fill(pb.HeatModifiers, heat.weights, model=heat.model, etag=heat.etag)


def _advice(advised: Advised) -> pb.TopUpAdvice:
    return fill(
        pb.TopUpAdvice,
        advised.advice,
        add_state=advised.advice.add_finding,
        cut_state=advised.advice.cut_finding,
        reason=advised.reason,
        liquidation_price_usd=advised.advice_input.liquidation_price_usd,
    )


def _shocked(shocked: Shocked) -> pb.ShockResult:
    walk = shocked.walk
    return pb.ShockResult(
        name=shocked.name,
        points=[fill(pb.ShockPoint, point) for point in walk.points],
        liquidations=[fill(pb.ShockLiquidation, fall) for fall in shocked.liquidations],
        liquidated_count=len(walk.liquidated_rows),
        value_change_usd=walk.value_change_usd,
    )
