"""AttentionService on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc

from services.alerts.alerts.domain.views import Filter
from services.alerts.alerts.service.watch import AlertWatch, News
from services.alerts.domain.kinds import AlertClass, AlertType, Level
from services.alerts.ledger.service.queries import LedgerQueries
from services.alerts.servicer.mapping import Context, alert_message, chosen, statistics_message
from services.alerts.silences.service import Silences
from shared.clock import Clock
from shared.codec import fill, from_duration
from shared.rpc.once import Once


class SilencesServicer(rpc.AttentionServiceServicer):
    def __init__(
        self, silences: Silences, watch: AlertWatch, ledger: LedgerQueries, clock: Clock
    ) -> None:
        self._silences = silences
        self._watch = watch
        self._ledger = ledger
        self._clock = clock
        self._shown = Once(self._news_message)

    async def AcknowledgeAlert(
        self, request: pb.AcknowledgeAlertRequest, context: Context
    ) -> pb.Alert:
        span = from_duration(request, "duration")
        alert = await self._silences.acknowledge(request.id, span, request.actor.strip())
        return alert_message(alert, self._clock.now())

    async def SilenceAlert(self, request: pb.SilenceAlertRequest, context: Context) -> pb.Alert:
        span, level = from_duration(request, "duration"), chosen(Level, request.level, "level")
        alert = await self._silences.silence(request.id, span, level, request.actor.strip())
        return alert_message(alert, self._clock.now())

    async def UnsilenceAlert(self, request: pb.UnsilenceAlertRequest, context: Context) -> pb.Alert:
        alert = await self._silences.unsilence(request.id, request.actor.strip())
        return alert_message(alert, self._clock.now())

    async def WatchAlerts(
        self, request: pb.WatchAlertsRequest, context: Context
    ) -> AsyncIterator[pb.WatchAlertsResponse]:
        wanted = Filter(
            alert_class=chosen(AlertClass, request.alert_class, "alert_class"),
            type=chosen(AlertType, request.type, "type"),
            min_level=chosen(Level, request.min_level, "min_level"),
            position_id=request.position_id,
            asset=request.asset.strip(),
        )
        async for news in self._watch.watch(wanted):
            yield self._shown(news)

    def _news_message(self, news: News) -> pb.WatchAlertsResponse:
        now = self._clock.now()
        return pb.WatchAlertsResponse(
            alerts=[alert_message(alert, now) for alert in news.alerts],
            removed_ids=news.removed_ids,
            gap=news.gap,
        )

    async def GetStatistics(
        self, request: pb.GetStatisticsRequest, context: Context
    ) -> pb.GetStatisticsResponse:
        window = from_duration(request, "window")
        counted = await self._ledger.statistics(window, request.alert_id)
        return fill(
            pb.GetStatisticsResponse,
            counted,
            statistics=map(statistics_message, counted.statistics),
        )
