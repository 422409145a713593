"""ScorecardService on the wire."""

from __future__ import annotations

from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc

from services.alerts.scorecard.domain.incidents import Incident
from services.alerts.scorecard.domain.rules import Liquidation, RuleScore
from services.alerts.scorecard.service import Scorecards
from services.alerts.servicer.mapping import Context
from shared.codec import fill, to_timestamp

_MOST_LISTED = 500


class ScorecardServicer(rpc.ScorecardServiceServicer):
    def __init__(self, scorecards: Scorecards) -> None:
        self._scorecards = scorecards

    async def GetScorecard(self, request: pb.GetScorecardRequest, context: Context) -> pb.Scorecard:
        asked = await self._scorecards.ask(request.days, request.horizon_hours)
        made = asked.scorecard
        return pb.Scorecard(
            start_time=to_timestamp(made.start_time),
            end_time=to_timestamp(made.end_time),
            cut=asked.is_cut,
            rules=map(_rule, made.rules),
            liquidations=map(_liquidation, made.liquidations[:_MOST_LISTED]),
            liquidation_count=len(made.liquidations),
            incidents=map(_incident, made.incidents[:_MOST_LISTED]),
            incident_count=len(made.incidents),
        )


def _rule(one: RuleScore) -> pb.RuleScore:
    return fill(pb.RuleScore, one, only_noise=one.is_noise)


def _liquidation(one: Liquidation) -> pb.ScoredLiquidation:
    return fill(pb.ScoredLiquidation, one)


def _incident(one: Incident) -> pb.ScoredIncident:
    return fill(pb.ScoredIncident, one)
