"""AlertsService on the wire."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc

from services.alerts.alerts.domain.views import Filter
from services.alerts.alerts.service.advice import Advice, ReportedDecision
from services.alerts.alerts.service.alert_edits import AlertEdits
from services.alerts.alerts.service.by_hand import AlertsByHand
from services.alerts.alerts.service.deaths import Deaths
from services.alerts.alerts.service.delete import DeleteAlerts
from services.alerts.alerts.service.demo_end import DemoEnd
from services.alerts.alerts.service.ensure import EnsureAlerts
from services.alerts.alerts.service.evaluate import EvaluateAlerts, Work
from services.alerts.alerts.service.queries import AlertQueries
from services.alerts.domain.kinds import AlertClass, AlertStatus, AlertType, Level
from services.alerts.notifications.service.relay import Relay
from services.alerts.servicer.edit_mapping import alert_edit, new_alert_of
from services.alerts.servicer.mapping import (
    Context,
    alert_message,
    alert_values,
    chosen,
    evaluated_message,
    prices_of,
    summary_message,
    totals_of,
)
from shared.clock import Clock
from shared.codec import check_mask, read
from shared.database.fence import Step
from shared.page_answer import page_answer

_Judged = pb.EvaluateAlertsRequest | pb.EnrichAlertsRequest | pb.ProcessAlertsRequest


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the service can do."""

    demo_end: DemoEnd
    ensure: EnsureAlerts
    evaluate: EvaluateAlerts
    delete: DeleteAlerts
    queries: AlertQueries
    deaths: Deaths
    relay: Relay
    edits: AlertEdits
    by_hand: AlertsByHand


class AlertsServicer(rpc.AlertsServiceServicer):
    def __init__(self, cases: UseCases, clock: Clock) -> None:
        self._cases = cases
        self._clock = clock

    async def CreateAlerts(
        self, request: pb.CreateAlertsRequest, context: Context
    ) -> pb.CreateAlertsResponse:
        step = Step("CREATE_ALERTS", request.cycle_id, request.epoch)
        epoch = request.membership_epoch if request.HasField("membership_epoch") else None
        await self._cases.demo_end.forget(step, epoch)
        created = await self._cases.ensure.create(step, epoch, self._end_seconds(context))
        return pb.CreateAlertsResponse(
            created_count=created.created_count,
            alert_count=created.alert_count,
            positions_unavailable=created.unread,
            unfinished=created.is_part,
        )

    async def EvaluateAlerts(
        self, request: pb.EvaluateAlertsRequest, context: Context
    ) -> pb.EvaluateAlertsResponse:
        return await self._judge(request, "EVALUATE_ALERTS", Work.EVALUATE, context)

    async def EnrichAlerts(
        self, request: pb.EnrichAlertsRequest, context: Context
    ) -> pb.EvaluateAlertsResponse:
        return await self._judge(request, "ENRICH_ALERTS", Work.ENRICH, context)

    async def ProcessAlerts(
        self, request: pb.ProcessAlertsRequest, context: Context
    ) -> pb.EvaluateAlertsResponse:
        return await self._judge(request, "PROCESS_ALERTS", Work.PROCESS, context)

    async def CreateAlert(self, request: pb.CreateAlertRequest, context: Context) -> pb.Alert:
        made = await self._cases.by_hand.create(new_alert_of(request, self._clock.now()))
        return alert_message(made, self._clock.now())

    async def UpdateAlert(self, request: pb.UpdateAlertRequest, context: Context) -> pb.Alert:
        alert = request.alert
        edited = await self._cases.edits.update(alert.id, alert.etag, alert_edit(request))
        return alert_message(edited, self._clock.now())

    async def ClearStaleAlerts(
        self, request: pb.ClearStaleAlertsRequest, context: Context
    ) -> pb.ClearStaleAlertsResponse:
        step = Step("CLEAR_STALE_ALERTS", request.cycle_id, request.epoch)
        epoch = request.membership_epoch if request.HasField("membership_epoch") else None
        cleared = await self._cases.delete.clear_stale(step, epoch, self._end_seconds(context))
        return pb.ClearStaleAlertsResponse(
            cleared_count=cleared.cleared_count, unfinished=cleared.is_part
        )

    async def ListAlerts(
        self, request: pb.ListAlertsRequest, context: Context
    ) -> pb.ListAlertsResponse:
        check_mask(pb.Alert, request.read_mask)
        wanted = Filter(
            alert_class=chosen(AlertClass, request.alert_class, "alert_class"),
            type=chosen(AlertType, request.type, "type"),
            min_level=chosen(Level, request.min_level, "min_level"),
            status=chosen(AlertStatus, request.status, "status"),
            position_id=request.position_id,
            asset=request.asset.strip(),
            position_ids=tuple(sorted(set(request.position_ids))),
        )
        page = await self._cases.queries.list(wanted, request.page_size, request.page_token)
        now = self._clock.now()
        return page_answer(
            pb.ListAlertsResponse(next_page_token=page.next_page_token),
            "alerts",
            pb.Alert,
            ((alert, alert_values(alert, now)) for alert in page.rows),
            request.read_mask,
        )

    async def GetAlert(self, request: pb.GetAlertRequest, context: Context) -> pb.Alert:
        return alert_message(await self._cases.queries.get(request.id), self._clock.now())

    async def DeleteAlert(
        self, request: pb.DeleteAlertRequest, context: Context
    ) -> pb.DeleteAlertResponse:
        await self._cases.delete.delete(request.id, request.etag)
        return pb.DeleteAlertResponse()

    async def RaiseDeath(self, request: pb.RaiseDeathRequest, context: Context) -> pb.Alert:
        step = Step(f"RAISE_DEATH {request.incident}", request.cycle_id, request.epoch)
        alert = await self._cases.deaths.raise_death(step, request.incident, request.summary)
        return alert_message(alert, self._clock.now())

    async def ResolveDeath(
        self, request: pb.ResolveDeathRequest, context: Context
    ) -> pb.ResolveDeathResponse:
        step = Step(f"RESOLVE_DEATH {request.incident}", request.cycle_id, request.epoch)
        return pb.ResolveDeathResponse(
            resolved=await self._cases.deaths.resolve_death(step, request.incident)
        )

    async def FlushOutbox(
        self, request: pb.FlushOutboxRequest, context: Context
    ) -> pb.FlushOutboxResponse:
        flushed = await self._cases.relay.flush(
            Step("FLUSH_OUTBOX", request.cycle_id, request.epoch)
        )
        return pb.FlushOutboxResponse(
            sent_count=flushed.sent_count, waiting_count=flushed.waiting_count
        )

    async def GetSummary(self, request: pb.GetSummaryRequest, context: Context) -> pb.Summary:
        return summary_message(await self._cases.queries.summary())

    async def ClearData(
        self, request: pb.ClearDataRequest, context: Context
    ) -> pb.ClearDataResponse:
        return pb.ClearDataResponse(deleted_count=await self._cases.delete.clear(request.confirm))

    async def _judge(
        self, request: _Judged, step_name: str, work: Work, context: Context
    ) -> pb.EvaluateAlertsResponse:
        step = Step(step_name, request.cycle_id, request.epoch)
        totals = totals_of(request.totals) if request.HasField("totals") else None
        prices = prices_of(request.prices)
        end_seconds = self._end_seconds(context)
        evaluated = await self._cases.evaluate.evaluate(step, totals, prices, work, end_seconds)
        return evaluated_message(evaluated)

    def _end_seconds(self, context: Context) -> float:
        """When the caller gives up, by the monotonic clock."""
        left: float | None = context.time_remaining()
        return math.inf if left is None else self._clock.monotonic() + left


class ReportsServicer(rpc.ReportsServiceServicer):
    def __init__(self, advice: Advice) -> None:
        self._advice = advice

    async def ReportDecision(
        self, request: pb.ReportDecisionRequest, context: Context
    ) -> pb.ReportDecisionResponse:
        await self._advice.report(read(ReportedDecision, request))
        return pb.ReportDecisionResponse()
