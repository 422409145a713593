"""Messages of cyclone in and out; decides nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.cyclone.v1 import cyclone_pb2_grpc as rpc

from services.cyclone.domain.cycle import ENDED, Cycle, CycleState, EventFilter, Step
from services.cyclone.domain.schedule import Lease, Setting
from services.cyclone.report.mapping import wire_report
from services.cyclone.report.service import ReportService
from services.cyclone.service import CycloneService
from shared.codec import apply_mask, fill, from_duration

Context = grpc.aio.ServicerContext[Any, Any]

_EDITABLE = ("interval", "enabled")


class CycloneServicer(rpc.CycloneServiceServicer):
    """The gRPC face of CycloneService."""

    def __init__(
        self,
        service: CycloneService,
        reports: ReportService,
        *,
        heartbeat_configured: bool,
        follows_streams: bool = False,
    ) -> None:
        self._service = service
        self._reports = reports
        self._heartbeat_configured = heartbeat_configured
        self._follows_streams = follows_streams

    async def RunCycle(
        self, request: pb.RunCycleRequest, context: Context
    ) -> AsyncIterator[pb.RunCycleResponse]:
        started = await self._service.start(request.steps, request.request_id, request.deliver_to)
        # From message to message one step differs.
        sent: dict[str, tuple[Step, pb.Step]] = {}

        def message(step: Step) -> pb.Step:
            if step.name not in sent or sent[step.name][0] is not step:
                sent[step.name] = step, fill(pb.Step, step)
            return sent[step.name][1]

        async for cycle, changed_step in self._service.follow(started):
            shown = fill(pb.Cycle, cycle, steps=map(message, cycle.steps))
            done = cycle.state in ENDED
            yield pb.RunCycleResponse(cycle=shown, changed_step=changed_step, done=done)

    async def StartCycle(self, request: pb.StartCycleRequest, context: Context) -> pb.Cycle:
        return _cycle(
            await self._service.start(request.steps, request.request_id, request.deliver_to)
        )

    async def GetCycle(self, request: pb.GetCycleRequest, context: Context) -> pb.Cycle:
        return _cycle(await self._service.get(request.id))

    async def ListCycles(
        self, request: pb.ListCyclesRequest, context: Context
    ) -> pb.ListCyclesResponse:
        state = CycleState(request.state) if request.state else None
        page = await self._service.list(request.page_size, request.page_token, state)
        return pb.ListCyclesResponse(
            cycles=map(_cycle, page.rows), next_page_token=page.next_page_token
        )

    async def CancelCycle(self, request: pb.CancelCycleRequest, context: Context) -> pb.Cycle:
        return _cycle(await self._service.cancel(request.id))

    async def GetSchedule(self, request: pb.GetScheduleRequest, context: Context) -> pb.Schedule:
        return self._schedule(*await self._service.schedule())

    async def UpdateSchedule(
        self, request: pb.UpdateScheduleRequest, context: Context
    ) -> pb.Schedule:
        asked = request.schedule
        paths = apply_mask(asked, request.update_mask, _EDITABLE)
        interval = (
            (from_duration(asked, "interval") or timedelta(0)) if "interval" in paths else None
        )
        enabled = asked.enabled if "enabled" in paths else None
        return self._schedule(*await self._service.update_schedule(interval, enabled, asked.etag))

    async def ListEvents(
        self, request: pb.ListEventsRequest, context: Context
    ) -> pb.ListEventsResponse:
        page = await self._service.events(
            request.page_size,
            request.page_token,
            EventFilter(
                request.cycle_id,
                request.severity,
                request.source,
                request.text,
                request.after_id,
            ),
        )
        return pb.ListEventsResponse(
            events=[fill(pb.Event, event) for event in page.rows],
            next_page_token=page.next_page_token,
        )

    async def ListStreams(
        self, request: pb.ListStreamsRequest, context: Context
    ) -> pb.ListStreamsResponse:
        # Rows of a time when they were followed say nothing of now.
        found = await self._service.streams() if self._follows_streams else []
        streams = [fill(pb.Stream, one) for one in found]
        return pb.ListStreamsResponse(streams=streams, enabled=self._follows_streams)

    async def GetReport(self, request: pb.GetReportRequest, context: Context) -> pb.Report:
        report = await self._reports.report(request.cycle_id)
        return wire_report(report, with_page=request.format == pb.REPORT_FORMAT_HTML)

    async def ClearAllData(
        self, request: pb.ClearAllDataRequest, context: Context
    ) -> pb.ClearAllDataResponse:
        return pb.ClearAllDataResponse(
            deleted_count=await self._service.clear(request.confirm, request.kinds)
        )

    def _schedule(self, setting: Setting, lease: Lease) -> pb.Schedule:
        return fill(
            pb.Schedule,
            setting,
            # A slot that nobody will run is none.
            next_time=setting.next_time if setting.enabled else None,
            etag=str(setting.version),
            owner=lease.owner,
            epoch=lease.epoch,
            heartbeat_configured=self._heartbeat_configured,
        )


def _cycle(cycle: Cycle) -> pb.Cycle:
    return fill(pb.Cycle, cycle, steps=[fill(pb.Step, step) for step in cycle.steps])
