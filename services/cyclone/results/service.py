"""Tells results: whoever asked for a cycle with `deliver_to` hears how it ended, once.

The request to tell is stored with the cycle; xcom takes a result under an id of its own, so
whatever dies in between, asking again is the same message.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from services.cyclone.domain.cycle import Cycle, CycleState, Event, Severity
from services.cyclone.report.domain.page import page, plain_text
from services.cyclone.report.service import ReportService
from services.cyclone.results.domain import Result, result
from services.cyclone.results.store import ResultStore
from shared.clock import Clock
from shared.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    SonicError,
)
from shared.log import get_logger

# Without a notice: it got lost, or a cycle ended while nobody listened.
_LOOK_SECONDS = 600.0
_AGAIN_SECONDS = 15.0

Begin = Callable[[], AbstractAsyncContextManager[ResultStore]]


class Outbox(Protocol):
    """Who tells people."""

    async def send(self, result: Result) -> str:
        """What is wrong with what was accepted; empty when it is on its way. Raises SonicError."""
        ...


class ResultService:
    """`turn` tells what is due."""

    def __init__(
        self,
        begin: Begin,
        reports: ReportService,
        outbox: Outbox,
        clock: Clock,
        public_url: str,
    ) -> None:
        self._begin = begin
        self._reports = reports
        self._outbox = outbox
        self._clock = clock
        self._public_url = public_url

    async def turn(self) -> float:
        """The seconds until the next look."""
        async with self._begin() as store:
            due = await store.due()
        told = [await self._tell(cycle) for cycle in due]
        return _LOOK_SECONDS if all(told) else _AGAIN_SECONDS

    async def _tell(self, cycle: Cycle) -> bool:
        """Whether it is settled, one way or the other."""
        try:
            problem = await self._outbox.send(await self._result(cycle))
        except AlreadyExists:
            # Taken before with another report; only the answer was lost.
            problem = ""
        except (InvalidArgument, FailedPrecondition, NotFound) as error:
            problem = f"{error.reason}: {error.message}"
        except SonicError as error:
            get_logger().warning("result not told yet", cycle=cycle.id, problem=error.message)
            return False
        message = f"result cannot be sent: {problem}" if problem else "result handed to xcom"
        severity = Severity.ERROR if problem else Severity.INFO
        now = self._clock.now()
        async with self._begin() as store:
            line = Event(now, severity, "result", message, cycle.id)
            await store.told(cycle.id, now, problem, line)
        return True

    async def _result(self, cycle: Cycle) -> Result:
        if cycle.started_time is None:
            # Nothing to report of one that was cancelled before.
            told = f"{CycleState(cycle.state).name}. {cycle.message}"
            return result(cycle, told, "", self._public_url)
        report = await self._reports.kept_report(cycle.id)
        return result(cycle, plain_text(report), page(report), self._public_url)
