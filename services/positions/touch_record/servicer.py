"""The record and the history of touch probabilities over gRPC; decides nothing."""

from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.positions.servicer.mapping import Context
from services.positions.touch_record.domain.history import TouchProbability
from services.positions.touch_record.domain.scores import Bin
from services.positions.touch_record.service import (
    AssetRecord,
    PresentStatement,
    TouchRecordService,
)
from shared.codec import fill, to_timestamp
from shared.touch import HORIZON_HOURS

_DEFAULT_DAYS = 90
# By the numbers of the price service's markets.
_MODES = {1: pb.MODE_DEMO, 2: pb.MODE_LIVE}


class TouchesServicer(rpc.TouchesServiceServicer):
    """Messages of the record."""

    def __init__(self, service: TouchRecordService) -> None:
        self._service = service

    async def GetTouchRecord(
        self, request: pb.GetTouchRecordRequest, context: Context
    ) -> pb.TouchRecord:
        found = await self._service.record(request.days or _DEFAULT_DAYS, request.asset.strip())
        return pb.TouchRecord(
            mode=_MODES.get(found.market, pb.MODE_UNSPECIFIED),
            since_time=to_timestamp(found.since_time),
            scores=map(_scores, found.assets),
            present=map(_present, found.present),
        )

    async def ListTouchProbabilities(
        self, request: pb.ListTouchProbabilitiesRequest, context: Context
    ) -> pb.ListTouchProbabilitiesResponse:
        page = await self._service.history(
            request.position_id, request.page_size, request.page_token
        )
        return pb.ListTouchProbabilitiesResponse(
            probabilities=map(_probability, page.rows), next_page_token=page.next_page_token
        )


def _probability(one: TouchProbability) -> pb.TouchProbability:
    return fill(pb.TouchProbability, one)


def _scores(record: AssetRecord) -> pb.TouchScores:
    made = record.scores
    return fill(
        pb.TouchScores,
        made,
        horizon_hours=HORIZON_HOURS,
        waiting_count=record.waiting_count,
        unscored_count=record.unscored_count,
        unscored_reasons=record.unscored_reasons,
        brier_score=made.decomposition.brier,
        miscalibration=made.decomposition.miscalibration,
        discrimination=made.decomposition.discrimination,
        uncertainty=made.decomposition.uncertainty,
        bins=[_bin(one) for one in made.bins],
    )


def _bin(one: Bin) -> pb.TouchBin:
    return fill(pb.TouchBin, one)


def _present(one: PresentStatement) -> pb.PresentTouch:
    side = pb.SIDE_LONG if one.side_sign > 0 else pb.SIDE_SHORT
    return fill(pb.PresentTouch, one, side=side, such=_bin(one.such))
