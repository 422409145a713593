"""AdvisorService on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import grpc
from sonic.withdrawals.v1 import withdrawals_pb2 as pb
from sonic.withdrawals.v1 import withdrawals_pb2_grpc as rpc

from services.withdrawals.decisions.domain.record import DecisionRecord
from services.withdrawals.decisions.mapping import (
    decision_filter,
    decision_message,
    explanation_message,
    schedule_message,
)
from services.withdrawals.decisions.service.evaluate import STEP, EvaluateService
from services.withdrawals.decisions.service.queries import DecisionQueries
from services.withdrawals.decisions.service.upkeep import Clearing, ScheduleService
from shared.codec import fill, from_duration, from_timestamp
from shared.database.fence import Step

Context = grpc.aio.ServicerContext[Any, Any]
Watch = Callable[[str], AsyncIterator[Sequence[DecisionRecord]]]
GetSeries = Callable[[pb.GetSeriesRequest], Awaitable[pb.Series]]


class AdvisorServicer(rpc.AdvisorServiceServicer):
    """See protos/sonic/withdrawals/v1."""

    def __init__(
        self,
        evaluations: EvaluateService,
        queries: DecisionQueries,
        schedule: ScheduleService,
        clearing: Clearing,
        watch: Watch,
        series: GetSeries,
    ) -> None:
        self._evaluations = evaluations
        self._queries = queries
        self._schedule = schedule
        self._clearing = clearing
        self._watch = watch
        self._series = series

    async def Evaluate(self, request: pb.EvaluateRequest, context: Context) -> pb.EvaluateResponse:
        done = await self._evaluations.evaluate(
            Step(STEP, request.cycle_id, request.epoch),
            list(request.assets),
            from_timestamp(request, "as_of_time"),
            dry_run=request.dry_run,
        )
        return pb.EvaluateResponse(
            decisions=map(decision_message, done.decisions), not_configured=done.not_configured
        )

    async def GetDecision(self, request: pb.GetDecisionRequest, context: Context) -> pb.Decision:
        return decision_message(await self._queries.get(request.id))

    async def ListDecisions(
        self, request: pb.ListDecisionsRequest, context: Context
    ) -> pb.ListDecisionsResponse:
        page = await self._queries.page(
            request.page_size, request.page_token, decision_filter(request)
        )
        return pb.ListDecisionsResponse(
            decisions=map(decision_message, page.rows), next_page_token=page.next_page_token
        )

    async def WatchDecisions(
        self, request: pb.WatchDecisionsRequest, context: Context
    ) -> AsyncIterator[pb.WatchDecisionsResponse]:
        async for decisions in self._watch(request.asset):
            yield pb.WatchDecisionsResponse(decisions=map(decision_message, decisions))

    async def ExplainDecision(
        self, request: pb.ExplainDecisionRequest, context: Context
    ) -> pb.Explanation:
        return explanation_message(await self._queries.explain(request.id))

    async def GetSeries(self, request: pb.GetSeriesRequest, context: Context) -> pb.Series:
        return await self._series(request)

    async def GetNewsState(self, request: pb.GetNewsStateRequest, context: Context) -> pb.NewsState:
        refused = await self._queries.refused()
        return pb.NewsState(refused=[fill(pb.RefusedNews, one) for one in refused])

    async def GetSchedule(self, request: pb.GetScheduleRequest, context: Context) -> pb.Schedule:
        return schedule_message(await self._schedule.get())

    async def UpdateSchedule(
        self, request: pb.UpdateScheduleRequest, context: Context
    ) -> pb.Schedule:
        wanted = request.schedule
        interval = from_duration(wanted, "interval") or timedelta(0)
        return schedule_message(await self._schedule.set(interval, wanted.etag))

    async def ClearData(
        self, request: pb.ClearDataRequest, context: Context
    ) -> pb.ClearDataResponse:
        return pb.ClearDataResponse(deleted_count=await self._clearing.clear(request.confirm))
