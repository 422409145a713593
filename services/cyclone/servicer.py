"""Messages of cyclone in and out; decides nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.cyclone.v1 import cyclone_pb2_grpc as rpc

from services.cyclone.domain.cycle import ENDED, Cycle, CycleState, Event, Step
from services.cyclone.domain.schedule import Lease, Setting
from services.cyclone.service import CycloneService
from shared.codec import apply_mask, from_duration, to_duration, to_timestamp

Context = grpc.aio.ServicerContext[Any, Any]

_EDITABLE = ("interval", "enabled")


class CycloneServicer(rpc.CycloneServiceServicer):
    """The gRPC face of CycloneService."""

    def __init__(self, service: CycloneService, *, heartbeat_configured: bool) -> None:
        self._service = service
        self._heartbeat_configured = heartbeat_configured

    async def RunCycle(
        self, request: pb.RunCycleRequest, context: Context
    ) -> AsyncIterator[pb.RunCycleResponse]:
        started = await self._service.start(request.steps, request.request_id)
        async for cycle, changed_step in self._service.follow(started):
            done = cycle.state in ENDED
            yield pb.RunCycleResponse(cycle=_cycle(cycle), changed_step=changed_step, done=done)

    async def StartCycle(self, request: pb.StartCycleRequest, context: Context) -> pb.Cycle:
        return _cycle(await self._service.start(request.steps, request.request_id))

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
            request.page_size, request.page_token, request.cycle_id, request.severity
        )
        return pb.ListEventsResponse(
            events=map(_event, page.rows), next_page_token=page.next_page_token
        )

    async def ClearAllData(
        self, request: pb.ClearAllDataRequest, context: Context
    ) -> pb.ClearAllDataResponse:
        return pb.ClearAllDataResponse(
            deleted_count=await self._service.clear(request.confirm, request.kinds)
        )

    def _schedule(self, setting: Setting, lease: Lease) -> pb.Schedule:
        return pb.Schedule(
            interval=to_duration(setting.interval),
            enabled=setting.enabled,
            # A slot that nobody will run is none.
            next_time=to_timestamp(setting.next_time) if setting.enabled else None,
            missed_count=setting.missed_count,
            etag=str(setting.version),
            owner=lease.owner,
            epoch=lease.epoch,
            heartbeat_configured=self._heartbeat_configured,
        )


def _cycle(cycle: Cycle) -> pb.Cycle:
    duration = (
        cycle.ended_time - cycle.started_time if cycle.ended_time and cycle.started_time else None
    )
    return pb.Cycle(
        id=cycle.id,
        state=pb.CycleState.ValueType(cycle.state),
        cause=pb.Cause.ValueType(cycle.cause),
        slot_time=to_timestamp(cycle.slot_time),
        created_time=to_timestamp(cycle.created_time),
        started_time=to_timestamp(cycle.started_time),
        ended_time=to_timestamp(cycle.ended_time),
        duration=to_duration(duration),
        steps=map(_step, cycle.steps),
        epoch=cycle.epoch,
        message=cycle.message,
        demo=cycle.demo,
    )


def _step(step: Step) -> pb.Step:
    seconds = step.duration_seconds
    return pb.Step(
        name=step.name,
        state=pb.StepState.ValueType(step.state),
        attempt=step.attempt,
        started_time=to_timestamp(step.started_time),
        duration=to_duration(None if seconds is None else timedelta(seconds=seconds)),
        counts=step.counts,
        reason=step.reason,
        message=step.message,
    )


def _event(event: Event) -> pb.Event:
    return pb.Event(
        id=event.id,
        event_time=to_timestamp(event.event_time),
        severity=event.severity.value,
        source=event.source,
        message=event.message,
        cycle_id=event.cycle_id,
    )
