"""Messages of monitor in and out; decides nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from sonic.monitor.v1 import monitor_pb2 as pb
from sonic.monitor.v1 import monitor_pb2_grpc as rpc

from services.monitor.checks import (
    CycleReadings,
    HoldingsReading,
    PriceReading,
    StreamReading,
    WalletReading,
)
from services.monitor.checks.venue import venues_of
from services.monitor.domain.badges import KeptBadge, parts_of
from services.monitor.domain.findings import Level, Run
from services.monitor.domain.settings import Chosen
from services.monitor.domain.states import Health, State, Status
from services.monitor.domain.venues import VenueMemory
from services.monitor.service.check_runs import NOTHING, CheckRuns
from services.monitor.service.queries import MonitorQueries, News
from services.monitor.store.runs import RunFilter
from shared.clock import Clock
from shared.codec import apply_mask, fill, from_duration, from_timestamp, number, read
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


class MonitorServicer(rpc.MonitorServiceServicer):
    """The gRPC face of monitor. `watch` gives the present state first, then every change."""

    def __init__(
        self,
        check_runs: CheckRuns,
        queries: MonitorQueries,
        watch: Callable[[Collection[str]], AsyncIterator[News]],
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
        wanted = read(RunFilter, request, monitor=request.monitor.strip().lower())
        page = await self._queries.list_runs(request.page_size, request.page_token, wanted)
        return pb.ListRunsResponse(runs=map(_run, page.rows), next_page_token=page.next_page_token)

    async def ListBadges(
        self, request: pb.ListBadgesRequest, context: Context
    ) -> pb.ListBadgesResponse:
        badges = await self._queries.badges(include_dismissed=request.include_dismissed)
        return pb.ListBadgesResponse(badges=map(_badge, badges))

    async def DismissBadge(self, request: pb.DismissBadgeRequest, context: Context) -> pb.Badge:
        level = Level(request.level) if request.level else None
        return _badge(await self._queries.dismiss(request.name, request.subject, level))

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
        streams=tuple(map(_stream, request.streams.streams))
        if request.HasField("streams")
        else None,
    )


def _stream(stream: pb.StreamReading) -> StreamReading:
    # One without a time has been like this for as long as anybody knows.
    since = from_timestamp(stream, "since_time") or datetime.fromtimestamp(0, UTC)
    return StreamReading(stream.name, stream.state, since, stream.reason)


def _price(price: pb.PriceReading) -> PriceReading:
    age = from_duration(price, "age")
    seconds = None if age is None else age.total_seconds()
    return PriceReading(price.asset, price.quality, number(price, "price_usd"), seconds)


def _holdings(holdings: pb.HoldingsReading) -> HoldingsReading:
    wallets = tuple(
        read(WalletReading, wallet, unwatched=tuple(wallet.unwatched))
        for wallet in holdings.wallets
    )
    return read(HoldingsReading, holdings, wallets=wallets)


def _chosen(asked: pb.Monitor, paths: Collection[str]) -> Chosen:
    """A masked field that is not set is None: back to its default."""
    interval, snooze = from_duration(asked, "interval"), from_duration(asked, "snooze")
    return Chosen(
        enabled=asked.enabled,
        interval_seconds=interval.total_seconds() if interval is not None else None,
        threshold_percent=number(asked, "threshold_percent")
        if "threshold_percent" in paths
        else None,
        notification_level=Level(asked.notification_level) if asked.notification_level else None,
        channels=tuple(asked.channels),
        snooze_seconds=snooze.total_seconds() if snooze is not None else None,
    )


def _monitor(state: State, now: datetime) -> pb.Monitor:
    last, setting = state.last_run, state.setting
    return fill(
        pb.Monitor,
        state,
        enabled=setting.enabled,
        interval=setting.interval,
        last_run=_run(last) if last else None,
        last_run_age=_age(last.started_time, now) if last else None,
        threshold_percent=setting.threshold_percent,
        notification_level=setting.notification.level,
        channels=setting.notification.channels,
        snooze=setting.snooze,
        environment=setting.environment,
        etag=str(setting.version),
        venues=[_venue(name, one) for name, one in venues_of(last).items()] if last else [],
    )


def _venue(name: str, one: VenueMemory) -> pb.Venue:
    return fill(
        pb.Venue,
        one,
        name=name,
        state=pb.VenueState.Value(f"VENUE_STATE_{one.state}"),
        since_time=one.since,
        position_count=one.listed_count,
        estimated_distance_percent=one.distance_percent,
        estimated_distance_asset=one.distance_asset,
    )


def _status(status: Status, now: datetime) -> pb.Status:
    call_time = status.call_time
    return fill(
        pb.Status,
        status,
        healthy_count=status.counts[Health.HEALTHY],
        warning_count=status.counts[Health.WARNING],
        error_count=status.counts[Health.ERROR],
        offline_count=status.counts[Health.OFFLINE],
        level=status.level.name,
        last_cycle_time=call_time,
        last_cycle_age=_age(call_time, now) if call_time else None,
    )


def _age(moment: datetime, now: datetime) -> timedelta:
    return max(now - moment, timedelta())


def _badge(kept: KeptBadge) -> pb.Badge:
    badge = kept.shown or kept.badge
    raised_count = sum(part.level is not Level.NORMAL for part in parts_of(badge))
    return fill(
        pb.Badge,
        kept,
        name=badge.name,
        value=badge.value,
        level=badge.level.name,
        stale=badge.stale,
        subject=badge.parts[0].subject if badge.parts and not badge.listed else "",
        other_count=0 if badge.listed else max(raised_count - 1, 0),
    )


def _run(run: Run, *, with_metadata: bool = True) -> pb.Run:
    return fill(pb.Run, run, metadata_json=json.dumps(dict(run.metadata)) if with_metadata else "")
