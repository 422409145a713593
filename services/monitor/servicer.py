"""Messages of monitor in and out; decides nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection
from datetime import datetime, timedelta
from typing import Any, Protocol

import grpc
from sonic.monitor.v1 import monitor_pb2 as pb
from sonic.monitor.v1 import monitor_pb2_grpc as rpc

from services.monitor.checks import CycleReadings, HoldingsReading, PriceReading, WalletReading
from services.monitor.domain.badges import KeptBadge, parts_of
from services.monitor.domain.findings import Badge, Level, Run
from services.monitor.domain.settings import Chosen
from services.monitor.domain.states import Health, State, Status
from services.monitor.service.check_runs import NOTHING, CheckRuns
from services.monitor.service.queries import MonitorQueries
from services.monitor.store.runs import RunFilter
from shared.clock import Clock
from shared.codec import (
    apply_mask,
    from_duration,
    from_timestamp,
    number,
    put,
    to_duration,
    to_timestamp,
)
from shared.database.fence import Step
from shared.rpc.call import remaining_seconds

Context = grpc.aio.ServicerContext[Any, Any]
# Names on the wire and in what is chosen.
_CHANGEABLE = {
    "enabled": "enabled",
    "interval": "interval_seconds",
    "threshold_percent": "threshold_percent",
    "notification_level": "notification_level",
    "channels": "channels",
    "snooze": "snooze_seconds",
}


class Change(Protocol):
    """What a watcher gets."""

    @property
    def states(self) -> Collection[State]: ...
    @property
    def badges(self) -> Collection[KeptBadge]: ...
    @property
    def gap(self) -> bool: ...


class MonitorServicer(rpc.MonitorServiceServicer):
    """The gRPC face of monitor. `watch` starts a watcher: the present state first, then every
    change.
    """

    def __init__(
        self,
        check_runs: CheckRuns,
        queries: MonitorQueries,
        watch: Callable[[Collection[str]], AsyncIterator[Change]],
        clock: Clock,
    ) -> None:
        self._check_runs = check_runs
        self._queries = queries
        self._watch = watch
        self._clock = clock

    async def ListMonitors(
        self, request: pb.ListMonitorsRequest, context: Context
    ) -> pb.ListMonitorsResponse:
        view = await self._queries.view()
        return pb.ListMonitorsResponse(monitors=self._monitors(view.states))

    async def GetMonitor(self, request: pb.GetMonitorRequest, context: Context) -> pb.Monitor:
        return _monitor(await self._queries.state(request.name), self._clock.now())

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.Status:
        return _status(await self._queries.status(), self._clock.now())

    async def WatchMonitors(
        self, request: pb.WatchMonitorsRequest, context: Context
    ) -> AsyncIterator[pb.WatchMonitorsResponse]:
        async for news in self._watch(self._queries.known(request.names)):
            yield pb.WatchMonitorsResponse(
                monitors=self._monitors(news.states), badges=map(_badge, news.badges), gap=news.gap
            )

    async def UpdateMonitor(self, request: pb.UpdateMonitorRequest, context: Context) -> pb.Monitor:
        asked = request.monitor
        paths = apply_mask(asked, request.update_mask, _CHANGEABLE)
        fields = [_CHANGEABLE[path] for path in paths]
        state = await self._queries.update(asked.name, _chosen(asked, paths), fields, asked.etag)
        return _monitor(state, self._clock.now())

    async def SnoozeMonitor(self, request: pb.SnoozeMonitorRequest, context: Context) -> pb.Monitor:
        state = await self._queries.snooze(request.name, from_duration(request, "duration"))
        return _monitor(state, self._clock.now())

    async def RunMonitor(self, request: pb.RunMonitorRequest, context: Context) -> pb.Run:
        return _run(
            await self._check_runs.run_one(request.name, remaining_seconds(), force=request.force)
        )

    async def RunMonitors(
        self, request: pb.RunMonitorsRequest, context: Context
    ) -> pb.RunMonitorsResponse:
        step = Step("RUN_MONITORS", request.cycle_id, request.epoch)
        interval = from_duration(request, "cycle_interval")
        answer = await self._check_runs.run_all(
            step,
            request.names,
            interval if interval and interval > timedelta() else None,
            _cycle_readings(request) if request.cycle_id else NOTHING,
            remaining_seconds(),
        )
        runs = [_run(run, with_metadata=False) for run in answer.runs]
        return pb.RunMonitorsResponse(
            runs=runs, breach_count=answer.breach_count, error_count=answer.error_count
        )

    async def ListRuns(self, request: pb.ListRunsRequest, context: Context) -> pb.ListRunsResponse:
        wanted = RunFilter(
            request.monitor.strip().lower(),
            request.status,
            request.cycle_id,
            from_timestamp(request, "start_time"),
            from_timestamp(request, "end_time"),
        )
        page = await self._queries.list_runs(request.page_size, request.page_token, wanted)
        return pb.ListRunsResponse(runs=map(_run, page.rows), next_page_token=page.next_page_token)

    async def ListBadges(
        self, request: pb.ListBadgesRequest, context: Context
    ) -> pb.ListBadgesResponse:
        badges = await self._queries.badges(include_dismissed=request.include_dismissed)
        return pb.ListBadgesResponse(badges=map(_badge, badges))

    async def DismissBadge(self, request: pb.DismissBadgeRequest, context: Context) -> pb.Badge:
        level = pb.Level.Name(request.level).removeprefix("LEVEL_") if request.level else None
        kept = await self._queries.dismiss(
            request.name, request.subject, Level(level) if level else None
        )
        return _badge(kept)

    async def ClearData(
        self, request: pb.ClearDataRequest, context: Context
    ) -> pb.ClearDataResponse:
        return pb.ClearDataResponse(deleted_count=await self._queries.clear(request.confirm))

    def _monitors(self, states: Collection[State]) -> list[pb.Monitor]:
        now = self._clock.now()
        return [_monitor(state, now) for state in states]


def _cycle_readings(request: pb.RunMonitorsRequest) -> CycleReadings:
    return CycleReadings(
        prices=tuple(map(_price, request.prices.prices)) if request.HasField("prices") else None,
        holdings=_holdings(request.holdings) if request.HasField("holdings") else None,
        demo=request.demo if request.HasField("demo") else None,
    )


def _price(price: pb.PriceReading) -> PriceReading:
    age = from_duration(price, "age")
    seconds = None if age is None else age.total_seconds()
    return PriceReading(price.asset, price.quality, number(price, "price_usd"), seconds)


def _holdings(holdings: pb.HoldingsReading) -> HoldingsReading:
    return HoldingsReading(
        position_count=holdings.position_count,
        stale_count=holdings.stale_count,
        total_profit_usd=holdings.total_profit_usd,
        total_pnl_usd=holdings.total_pnl_usd,
        wallets=tuple(WalletReading(one.name, one.state, one.reason) for one in holdings.wallets),
    )


def _chosen(asked: pb.Monitor, paths: Collection[str]) -> Chosen:
    """A masked field that is not set is None: back to its default."""
    interval, snooze = from_duration(asked, "interval"), from_duration(asked, "snooze")
    level = pb.Level.Name(asked.notification_level).removeprefix("LEVEL_")
    return Chosen(
        enabled=asked.enabled,
        interval_seconds=interval.total_seconds() if interval is not None else None,
        threshold_percent=number(asked, "threshold_percent")
        if "threshold_percent" in paths
        else None,
        notification_level=Level(level) if asked.notification_level else None,
        channels=tuple(asked.channels),
        snooze_seconds=snooze.total_seconds() if snooze is not None else None,
    )


def _monitor(state: State, now: datetime) -> pb.Monitor:
    last, setting = state.last_run, state.setting
    level = setting.notification.level
    monitor = pb.Monitor(
        name=state.name,
        description=state.description,
        enabled=setting.enabled,
        interval=to_duration(setting.interval),
        last_run=_run(last) if last else None,
        last_run_age=to_duration(max(now - last.started_time, timedelta())) if last else None,
        health=pb.Health.ValueType(state.health.value),
        next_run_time=to_timestamp(state.next_run_time),
        notification_level=pb.Level.Value(f"LEVEL_{level.value}")
        if level
        else pb.LEVEL_UNSPECIFIED,
        channels=setting.notification.channels,
        snooze=to_duration(setting.snooze),
        snoozed_until_time=to_timestamp(state.snoozed_until_time),
        resting_reason=state.resting_reason,
        environment=setting.environment,
        etag=str(setting.version),
        every_cycle=state.every_cycle,
        incident_open=state.incident_open,
        origin=state.origin,
    )
    put(monitor, threshold_percent=setting.threshold_percent)
    return monitor


def _status(status: Status, now: datetime) -> pb.Status:
    call_time = status.call_time
    return pb.Status(
        health=pb.Health.ValueType(status.health.value),
        healthy_count=status.counts[Health.HEALTHY],
        warning_count=status.counts[Health.WARNING],
        error_count=status.counts[Health.ERROR],
        offline_count=status.counts[Health.OFFLINE],
        resting_count=status.resting_count,
        level=status.level.value,
        incident_count=status.incident_count,
        waiting_count=status.waiting_count,
        last_cycle_time=to_timestamp(call_time),
        last_cycle_age=to_duration(max(now - call_time, timedelta())) if call_time else None,
    )


def _badge(kept: KeptBadge) -> pb.Badge:
    shown = kept.shown
    badge = shown or kept.badge
    return pb.Badge(
        name=badge.name,
        value=badge.value,
        level=badge.level.value,
        badge_time=to_timestamp(kept.badge_time),
        monitor=kept.monitor,
        stale=badge.stale,
        dismissed=shown is None,
        subject=badge.parts[0].subject if badge.parts and not badge.listed else "",
        demo=kept.demo,
        other_count=0 if badge.listed else _others(badge),
    )


def _others(badge: Badge) -> int:
    return max(sum(part.level is not Level.NORMAL for part in parts_of(badge)) - 1, 0)


def _run(run: Run, *, with_metadata: bool = True) -> pb.Run:
    return pb.Run(
        id=run.id,
        monitor=run.monitor,
        started_time=to_timestamp(run.started_time),
        duration=to_duration(timedelta(seconds=run.duration_seconds)),
        status=pb.RunStatus.ValueType(run.status.value),
        metadata_json=json.dumps(dict(run.metadata)) if with_metadata else "",
        error=run.error,
        cycle_id=run.cycle_id,
    )
