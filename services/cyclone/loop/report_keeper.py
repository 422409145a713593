"""After a cycle in which something happened its report is kept, beside whatever comes next."""

from __future__ import annotations

import asyncio
from typing import Protocol

from services.cyclone.domain.cycle import Cycle, CycleState
from shared.errors import SonicError
from shared.log import get_logger


class Keeping(Protocol):
    """Who reads how things stand."""

    async def keep_if_eventful(self, cycle: Cycle, before: CycleState | None) -> None:
        """Raises SonicError when it cannot be stored."""
        ...


class ReportKeeper:
    """A Part; one cycle is kept at a time, and of those that wait for it only the newest."""

    def __init__(self, reports: Keeping) -> None:
        self._reports = reports
        self._before: CycleState | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: tuple[Cycle, CycleState | None] | None = None

    async def start(self) -> None:
        """Nothing to do: the first cycle begins."""

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def after(self, cycle: Cycle) -> None:
        """Returns at once."""
        before, self._before = self._before, cycle.state
        self._waiting = cycle, before
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep(), name="report")

    async def _keep(self) -> None:
        while self._waiting is not None:
            (cycle, before), self._waiting = self._waiting, None
            try:
                await self._reports.keep_if_eventful(cycle, before)
            except SonicError as error:
                get_logger().warning("report not kept", problem=error.message)
            except Exception as error:  # noqa: BLE001  a report that fails must not end those to come
                get_logger().error("report failed", exc_info=error)
