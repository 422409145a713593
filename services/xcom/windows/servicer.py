"""Maintenance windows in and out; decides nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc
from sonic.xcom.v1 import xcom_pb2 as pb
from sonic.xcom.v1 import xcom_pb2_grpc as rpc

from services.xcom.domain.settings import MaintenanceWindow
from services.xcom.windows.service import WindowService
from shared.clock import Clock
from shared.codec import fill, from_timestamp

Context = grpc.aio.ServicerContext[Any, Any]
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class WindowsServicer(rpc.WindowsServiceServicer):
    """The gRPC face of WindowService."""

    def __init__(self, windows: WindowService, clock: Clock) -> None:
        self._windows = windows
        self._clock = clock

    async def CreateMaintenanceWindow(
        self, request: pb.CreateMaintenanceWindowRequest, context: Context
    ) -> pb.MaintenanceWindow:
        wanted = request.maintenance_window
        window = MaintenanceWindow(
            id="",
            name=wanted.name,
            start_time=from_timestamp(wanted, "start_time") or self._clock.now(),
            end_time=from_timestamp(wanted, "end_time") or _NEVER,
            holds_high=wanted.holds_high,
            created_by=wanted.created_by,
        )
        return fill(pb.MaintenanceWindow, await self._windows.create(window))

    async def ListMaintenanceWindows(
        self, request: pb.ListMaintenanceWindowsRequest, context: Context
    ) -> pb.ListMaintenanceWindowsResponse:
        found = [fill(pb.MaintenanceWindow, one) for one in await self._windows.windows()]
        return pb.ListMaintenanceWindowsResponse(maintenance_windows=found)

    async def EndMaintenanceWindow(
        self, request: pb.EndMaintenanceWindowRequest, context: Context
    ) -> pb.MaintenanceWindow:
        return fill(pb.MaintenanceWindow, await self._windows.end(request.id))
