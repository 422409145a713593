"""The steps as calls: what each service is asked, and its answer as a value for the domain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC
from functools import partial
from typing import Protocol, TypeVar

from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.hedges.v1 import hedges_pb2, hedges_pb2_grpc
from sonic.monitor.v1 import monitor_pb2, monitor_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.price.v1 import price_pb2, price_pb2_grpc
from sonic.withdrawals.v1 import withdrawals_pb2, withdrawals_pb2_grpc

from services.cyclone.clients import readings
from services.cyclone.domain import bounds, outcomes, steps
from services.cyclone.domain.outcomes import (
    Answer,
    Call,
    EnrichAnswer,
    FlushAnswer,
    MonitorsAnswer,
    PriceReading,
    PricesAnswer,
    SyncAnswer,
    TotalsReading,
)
from services.cyclone.domain.streams import Stream
from shared.codec import read, to_duration
from shared.rpc.client import Channel


class _Part(Protocol):
    """An answer of a step that may need several calls."""

    @property
    def unfinished(self) -> bool: ...


PartT = TypeVar("PartT", bound=_Part)


async def _parts(call: Callable[[], Awaitable[PartT]]) -> Sequence[PartT]:
    """The answers of as many calls as the step needs: each has the whole bound, for each that was
    answered got on with it. After the most of them the last is unfinished.
    """
    parts: list[PartT] = []
    while not parts or (parts[-1].unfinished and len(parts) < bounds.MOST_CALLS):
        parts.append(await call())
    return parts


class StepClient:
    """Calls the services behind the steps; `channels` by service name, `streams` as they stand,
    None where none are followed.
    """

    def __init__(
        self, channels: Mapping[str, Channel], streams: Callable[[], Sequence[Stream] | None]
    ) -> None:
        self._streams = streams
        self._price = channels["price"].stub(price_pb2_grpc.PriceServiceStub)
        self._positions = channels["positions"].stub(positions_pb2_grpc.PositionsServiceStub)
        self._portfolio = channels["positions"].stub(positions_pb2_grpc.PortfolioServiceStub)
        self._hedges = channels["hedges"].stub(hedges_pb2_grpc.HedgesServiceStub)
        self._alerts = channels["alerts"].stub(alerts_pb2_grpc.AlertsServiceStub)
        self._monitor = channels["monitor"].stub(monitor_pb2_grpc.MonitorServiceStub)
        self._advisor = (
            channels["withdrawals"].stub(withdrawals_pb2_grpc.AdvisorServiceStub)
            if "withdrawals" in channels
            else None
        )
        self._performers: Mapping[str, Callable[[Call, float], Awaitable[Answer]]] = {
            steps.UPDATE_PRICES: self._update_prices,
            steps.SYNC_POSITIONS: self._sync_positions,
            steps.ENRICH_POSITIONS: self._enrich_positions,
            steps.LINK_HEDGES: self._link_hedges,
            steps.CREATE_ALERTS: self._create_alerts,
            steps.EVALUATE_ALERTS: self._evaluate_alerts,
            steps.CLEAR_STALE_ALERTS: self._clear_stale_alerts,
            steps.RECORD_SNAPSHOT: self._record_snapshot,
            steps.ADVISE_WITHDRAWALS: self._advise_withdrawals,
            steps.RUN_MONITORS: self._run_monitors,
            steps.NOTIFY: self._notify,
        }

    async def mode(self, seconds: float) -> str:
        answer = await self._positions.GetMode(positions_pb2.GetModeRequest(), timeout=seconds)
        return "LIVE" if answer.mode == positions_pb2.MODE_LIVE else "DEMO"

    async def prices(self, seconds: float) -> tuple[PriceReading, ...]:
        request = price_pb2.ListPricesRequest(page_size=500)
        answer = await self._price.ListPrices(request, timeout=seconds)
        return tuple(readings.price_reading(price) for price in answer.prices)

    async def perform(self, step: str, call: Call) -> Answer:
        return await self._performers[step](call, call.bound_seconds)

    async def _update_prices(self, call: Call, seconds: float) -> Answer:
        market = price_pb2.Market.Value(f"MARKET_{call.market or 'UNSPECIFIED'}")
        request = price_pb2.RefreshPricesRequest(
            cycle_id=call.cycle_id, epoch=call.epoch, force=call.force, market=market
        )
        answer = await self._price.RefreshPrices(request, timeout=seconds)
        prices = tuple(readings.price_reading(price) for price in answer.prices)
        failed = tuple(source.source for source in answer.sources if not source.ok)
        outcome = outcomes.read_prices(read(PricesAnswer, answer, failed_sources=failed))
        return Answer(outcome, prices=prices)

    async def _sync_positions(self, call: Call, seconds: float) -> Answer:
        request = positions_pb2.SyncPositionsRequest(
            cycle_id=call.cycle_id, epoch=call.epoch, force=call.force
        )
        answer = await self._positions.SyncPositions(request, timeout=seconds)
        complete = positions_pb2.WALLET_SYNC_STATE_COMPLETE
        found = read(
            SyncAnswer,
            answer,
            wallet_count=len(answer.wallets),
            complete_count=sum(wallet.state == complete for wallet in answer.wallets),
            troubles=tuple(f"{w.wallet} ({w.reason})" for w in answer.wallets if w.reason),
        )
        return Answer(
            outcomes.read_sync(found),
            wallets=readings.wallet_readings(answer.wallets),
            position_count=found.active_count + found.stale_count,
        )

    async def _enrich_positions(self, call: Call, seconds: float) -> Answer:
        request = positions_pb2.EnrichPositionsRequest(cycle_id=call.cycle_id, epoch=call.epoch)
        answer = await self._positions.EnrichPositions(request, timeout=seconds)
        return Answer(
            outcomes.read_enrich(read(EnrichAnswer, answer)),
            totals=read(TotalsReading, answer.totals),
            membership_epoch=answer.membership_epoch,
        )

    async def _link_hedges(self, call: Call, seconds: float) -> Answer:
        request = hedges_pb2.LinkHedgesRequest(cycle_id=call.cycle_id, epoch=call.epoch)
        answer = await self._hedges.LinkHedges(request, timeout=seconds)
        counts = {
            "linked": answer.linked_count,
            "unlinked": answer.unlinked_count,
            "hedges": answer.hedge_count,
        }
        return Answer(outcomes.read_counts(counts))

    async def _create_alerts(self, call: Call, seconds: float) -> Answer:
        request = alerts_pb2.CreateAlertsRequest(
            cycle_id=call.cycle_id, epoch=call.epoch, membership_epoch=call.membership_epoch
        )
        parts = await _parts(partial(self._alerts.CreateAlerts, request, timeout=seconds))
        created = sum(part.created_count for part in parts)
        counts = {"created": created, "alerts": parts[-1].alert_count}
        last = parts[-1]
        outcome = outcomes.read_creation(
            counts, unread=last.positions_unavailable, unfinished=last.unfinished
        )
        return Answer(outcome)

    async def _evaluate_alerts(self, call: Call, seconds: float) -> Answer:
        request = alerts_pb2.EvaluateAlertsRequest(
            cycle_id=call.cycle_id,
            epoch=call.epoch,
            prices=readings.alerts_prices(call.prices),
        )
        parts = await _parts(partial(self._alerts.EvaluateAlerts, request, timeout=seconds))
        answer = parts[-1]
        counts = {
            "evaluated": answer.evaluated_count,
            "raised": sum(part.raised_count for part in parts),
            "lowered": sum(part.lowered_count for part in parts),
            "stale": answer.stale_count,
            "unknown": answer.unknown_count,
            "unjudged": answer.unjudged_count,
        }
        unseen = [
            f"{one.asset} {one.start_time.ToDatetime(UTC):%H:%M:%S} to"
            f" {one.end_time.ToDatetime(UTC):%H:%M:%S} UTC ({one.reason})"
            for one in answer.unseen
        ]
        return Answer(outcomes.read_evaluation(counts, unseen, unfinished=answer.unfinished))

    async def _clear_stale_alerts(self, call: Call, seconds: float) -> Answer:
        request = alerts_pb2.ClearStaleAlertsRequest(
            cycle_id=call.cycle_id, epoch=call.epoch, membership_epoch=call.membership_epoch
        )
        parts = await _parts(partial(self._alerts.ClearStaleAlerts, request, timeout=seconds))
        counts = {"cleared": sum(part.cleared_count for part in parts)}
        return Answer(outcomes.read_counts(counts, unfinished=parts[-1].unfinished))

    async def _record_snapshot(self, call: Call, seconds: float) -> Answer:
        request = positions_pb2.RecordSnapshotRequest(cycle_id=call.cycle_id, epoch=call.epoch)
        answer = await self._portfolio.RecordSnapshot(request, timeout=seconds)
        return Answer(outcomes.read_counts({"positions": answer.totals.position_count}))

    async def _advise_withdrawals(self, call: Call, seconds: float) -> Answer:
        if self._advisor is None:
            return Answer(outcomes.read_advice({}, (), not_configured=True))
        request = withdrawals_pb2.EvaluateRequest(cycle_id=call.cycle_id, epoch=call.epoch)
        answer = await self._advisor.Evaluate(request, timeout=seconds)
        error, ok = (
            withdrawals_pb2.DECISION_VALUE_ERROR,
            withdrawals_pb2.DECISION_VALUE_WITHDRAW_OK,
        )
        failed = [one.asset for one in answer.decisions if one.value == error]
        counts = {
            "assets": len(answer.decisions),
            "withdraw": sum(one.value == ok for one in answer.decisions),
            "failed": len(failed),
        }
        outcome = outcomes.read_advice(counts, failed, not_configured=answer.not_configured)
        return Answer(outcome)

    async def _run_monitors(self, call: Call, seconds: float) -> Answer:
        request = monitor_pb2.RunMonitorsRequest(
            cycle_id=call.cycle_id,
            epoch=call.epoch,
            cycle_interval=to_duration(call.interval),
            prices=readings.monitor_prices(call),
            holdings=readings.monitor_holdings(call),
            demo=call.market == "DEMO" if call.market else None,
            streams=readings.monitor_streams(self._streams()),
        )
        answer = await self._monitor.RunMonitors(request, timeout=seconds)
        errors = tuple(
            run.monitor for run in answer.runs if run.status == monitor_pb2.RUN_STATUS_ERROR
        )
        found = read(MonitorsAnswer, answer, run_count=len(answer.runs), errors=errors)
        return Answer(outcomes.read_monitors(found))

    async def _notify(self, call: Call, seconds: float) -> Answer:
        request = alerts_pb2.FlushOutboxRequest(cycle_id=call.cycle_id, epoch=call.epoch)
        answer = await self._alerts.FlushOutbox(request, timeout=seconds)
        return Answer(outcomes.read_flush(read(FlushAnswer, answer)))
