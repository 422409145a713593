"""Messages of monitor in and out; decides nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import grpc
from sonic.monitor.v1 import monitor_pb2 as pb
from sonic.monitor.v1 import monitor_pb2_grpc as rpc

from services.monitor.domain import Run
from services.monitor.service import MonitorService, State
from shared.codec import to_duration, to_timestamp
from shared.database.fence import Step

Context = grpc.aio.ServicerContext[Any, Any]


class MonitorServicer(rpc.MonitorServiceServicer):
    """The gRPC face of MonitorService."""

    def __init__(self, service: MonitorService) -> None:
        self._service = service

    async def ListMonitors(
        self, request: pb.ListMonitorsRequest, context: Context
    ) -> pb.ListMonitorsResponse:
        return pb.ListMonitorsResponse(monitors=map(_monitor, await self._service.states()))

    async def RunMonitor(self, request: pb.RunMonitorRequest, context: Context) -> pb.Run:
        return _run(await self._service.run_one(request.name))

    async def RunMonitors(self, request: pb.RunMonitorsRequest, context: Context) -> pb.RunMonitorsResponse:
        step = Step("RUN_MONITORS", request.cycle_id, request.epoch)
        answer = await self._service.run_all(step, request.names)
        runs = [_run(run, with_metadata=False) for run in answer.runs]
        return pb.RunMonitorsResponse(
            runs=runs, breach_count=answer.breach_count, error_count=answer.error_count
        )

    async def ListRuns(self, request: pb.ListRunsRequest, context: Context) -> pb.ListRunsResponse:
        page = await self._service.list_runs(
            request.page_size, request.page_token, request.monitor, request.status
        )
        return pb.ListRunsResponse(runs=map(_run, page.rows), next_page_token=page.next_page_token)

    async def ListBadges(self, request: pb.ListBadgesRequest, context: Context) -> pb.ListBadgesResponse:
        return pb.ListBadgesResponse(
            badges=[
                pb.Badge(
                    name=badge.name,
                    value=badge.value,
                    level=badge.level.value,
                    badge_time=to_timestamp(badge_time),
                    monitor=monitor,
                    stale=badge.stale,
                )
                for badge, monitor, badge_time in await self._service.badges()
            ]
        )

    async def ClearData(self, request: pb.ClearDataRequest, context: Context) -> pb.ClearDataResponse:
        return pb.ClearDataResponse(deleted_count=await self._service.clear(request.confirm))


def _monitor(state: State) -> pb.Monitor:
    last = state.last_run
    return pb.Monitor(
        name=state.check.name,
        description=state.check.description,
        enabled=True,
        interval=to_duration(state.check.interval),
        last_run=_run(last) if last else None,
        last_run_age=to_duration(max(state.now - last.started_time, timedelta())) if last else None,
        health=pb.Health.ValueType(state.health.value),
        next_run_time=to_timestamp(state.next_run_time),
    )


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
