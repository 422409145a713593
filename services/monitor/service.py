"""Use cases of monitor: run checks, keep their ledger and badges, tell a concern once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from services.monitor.checks import Check, Readings
from services.monitor.domain import (
    Badge,
    Finding,
    Health,
    Notice,
    Run,
    Runs,
    RunStatus,
    follow,
    health,
    is_due,
)
from services.monitor.store import Store
from shared import paging
from shared.clock import Clock
from shared.database.fence import Step
from shared.errors import InvalidArgument, NotFound, SonicError
from shared.log import get_logger
from shared.names import new_id
from shared.paging import Page

Begin = Callable[[], AbstractAsyncContextManager[Store]]


class Teller(Protocol):
    """Who reaches people."""

    async def send(self, notice: Notice) -> None:
        """Hand over; the same id again is harmless. Raises SonicError."""


@dataclass(frozen=True, slots=True)
class State:
    """A monitor as it stands."""

    check: Check
    last_run: Run | None
    health: Health
    next_run_time: datetime
    now: datetime


class MonitorService:
    """Runs the checks. `readings(in_cycle)` gives what one pass may read."""

    def __init__(
        self,
        begin: Begin,
        checks: Mapping[str, Check],
        readings: Callable[[bool], Readings],
        teller: Teller,
        clock: Clock,
    ) -> None:
        self._begin = begin
        self._checks = checks
        self._readings = readings
        self._teller = teller
        self._clock = clock

    async def states(self) -> list[State]:
        """Every monitor with its health."""
        now = self._clock.now()
        async with self._begin() as store:
            last = await store.last_runs(list(self._checks))
        return [_state(check, last.get(name), now) for name, check in sorted(self._checks.items())]

    async def run_one(self, name: str) -> Run:
        """Run a monitor now; NotFound MONITOR_NOT_FOUND."""
        check = self._check(name)
        runs = await self._run([check], self._readings(False), Step("RUN_MONITOR"))
        await self._tell()
        return runs.runs[0]

    async def run_all(self, step: Step, names: Sequence[str]) -> Runs:
        """Run the named monitors, else those of every cycle and those that are due.

        In a cycle (step with a cycle id) the readings are what the cycle left; nothing is refreshed.
        """
        chosen = [self._check(name) for name in names] or await self._due()
        runs = await self._run(chosen, self._readings(bool(step.cycle_id)), step)
        await self._tell()
        return runs

    async def badges(self) -> list[tuple[Badge, str, datetime]]:
        """Badges that are set."""
        async with self._begin() as store:
            return await store.badges()

    async def list_runs(self, page_size: int, page_token: str, monitor: str, status: int) -> Page[Run]:
        """The ledger of runs, newest first."""
        context = paging.context("runs", monitor, status)
        page = paging.parse(page_size, page_token, context=context)
        async with self._begin() as store:
            rows = await store.list_runs(page, monitor, status)
        return paging.cut(rows, page, context, lambda run: (run.id,))

    async def clear(self, confirm: str) -> int:
        """Delete runs and badges; InvalidArgument NOT_CONFIRMED."""
        if confirm != "clear":
            raise InvalidArgument(
                "NOT_CONFIRMED", 'confirm must be "clear"', fields={"confirm": 'must be "clear"'}
            )
        async with self._begin() as store:
            return await store.clear()

    def _check(self, name: str) -> Check:
        check = self._checks.get(name.strip().lower())
        if check is None:
            known = ", ".join(sorted(self._checks))
            raise NotFound("MONITOR_NOT_FOUND", f"no monitor {name!r}; known are {known}")
        return check

    async def _due(self) -> list[Check]:
        others = [check.name for check in self._checks.values() if not check.every_cycle]
        last: dict[str, Run] = {}
        if others:
            async with self._begin() as store:
                last = await store.last_runs(others)
        now = self._clock.now()
        return [
            c for c in self._checks.values() if c.every_cycle or is_due(last.get(c.name), c.interval, now)
        ]

    async def _run(self, chosen: Sequence[Check], readings: Readings, step: Step) -> Runs:
        # Together: what several of them read is asked for once.
        looked = await asyncio.gather(*(self._look(check, readings) for check in chosen))
        now = self._clock.now()
        async with self._begin() as store:
            done = await store.enter(step)
            if done is not None:
                return done
            rows = [replace(run, cycle_id=step.cycle_id) for run, _ in looked]
            ids = await store.add_runs(rows) if rows else []
            await self._keep(store, [(run.monitor, finding) for run, finding in looked], now)
            runs = _counted([replace(run, id=id) for run, id in zip(rows, ids, strict=True)])
            await store.record(step, runs, now)
        return runs

    async def _look(self, check: Check, readings: Readings) -> tuple[Run, Finding]:
        """One run of one check: a check that raises is an ERROR row and never a failed call."""
        started_time, began = self._clock.now(), time.perf_counter()
        try:
            finding = await check.run(readings, started_time)
        except SonicError as error:
            finding = Finding(RunStatus.ERROR, error=str(error))
        except Exception as error:  # noqa: BLE001  a monitor of others must not take the house down
            get_logger().error("check failed", monitor=check.name, exc_info=error)
            finding = Finding(RunStatus.ERROR, error=f"{type(error).__name__}: see the log")
        seconds = time.perf_counter() - began
        run = Run(check.name, started_time, seconds, finding.status, finding.metadata, finding.error)
        return run, finding

    async def _keep(self, store: Store, findings: Sequence[tuple[str, Finding]], now: datetime) -> None:
        """Badges and incidents of a pass, in its transaction."""
        await store.set_badges({monitor: finding.badges for monitor, finding in findings}, now)
        open_incidents = await store.incidents()
        for monitor, finding in findings:
            change = follow(monitor, open_incidents.get(monitor), finding, new_id(f"monitor-{monitor}"))
            if change.opened and change.notice is not None:
                await store.open_incident(monitor, change.notice.id.removesuffix("-begin"), now)
            if change.closed:
                await store.close_incident(monitor)
            if change.notice is not None:
                await store.add_notice(change.notice, now)

    async def _tell(self) -> None:
        """Hand waiting notices to xcom; what cannot be handed over now waits for the next pass."""
        async with self._begin() as store:
            waiting = await store.notices()
        for notice in waiting:
            try:
                await self._teller.send(notice)
            except SonicError as error:
                get_logger().warning("notice waits", notice=notice.id, reason=error.reason)
                return
            async with self._begin() as store:
                await store.drop_notice(notice.id)


def _state(check: Check, last: Run | None, now: datetime) -> State:
    due = now if last is None else last.started_time + check.interval
    return State(check, last, health(last, check.interval, now), due, now)


def _counted(runs: Sequence[Run]) -> Runs:
    return Runs(
        runs=runs,
        breach_count=sum(run.status is RunStatus.BREACH for run in runs),
        error_count=sum(run.status is RunStatus.ERROR for run in runs),
    )
