"""Runs one cycle to its end: starts what may start, writes what changed, stops when asked to.

While the lease is certainly ours, no step waits for the write that it began: progress is written
beside the calls, what changed within a moment together. Else the write goes first and tells whether
we are fenced. A kill forgets that moment at most; a step that is asked again because of it is
answered by its service from its record.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from services.cyclone.domain import bounds, incidents, outcomes, steps
from services.cyclone.domain import cycle as cycles
from services.cyclone.domain.bounds import Caps
from services.cyclone.domain.cycle import (
    Cause,
    Cycle,
    CycleState,
    Event,
    Severity,
    Step,
    StepState,
)
from services.cyclone.domain.outcomes import (
    DOWN_REASONS,
    Answer,
    Call,
    Outcome,
    PriceReading,
    read_failure,
)
from services.cyclone.loop.counts import CycleCounts
from services.cyclone.loop.epoch_recovery import EpochRecovery
from services.cyclone.loop.incident_notifier import IncidentNotifier
from services.cyclone.loop.lease_keeper import HeldLease
from services.cyclone.loop.performer import Performer
from services.cyclone.loop.report_keeper import ReportKeeper
from services.cyclone.store.progress import ProgressStore
from shared import log, tracing
from shared.clock import Clock
from shared.errors import SonicError
from shared.names import new_id, shortened

_SEVERITIES = {StepState.SUCCEEDED: Severity.INFO, StepState.FAILED: Severity.ERROR}
_CYCLE_SEVERITIES = {CycleState.SUCCEEDED: Severity.INFO, CycleState.FAILED: Severity.ERROR}
_NO_XCOM = "XCOM_UNAVAILABLE"
# Longer than a small cycle takes: that one is written once, at its end.
_GATHER_SECONDS = 0.05


class Runner:
    """What every cycle is run with."""

    def __init__(
        self,
        store: ProgressStore,
        performer: Performer,
        notifier: IncidentNotifier,
        clock: Clock,
        caps: Caps,
        reports: ReportKeeper,
        counts: CycleCounts,
    ) -> None:
        self.store = store
        self.performer = performer
        self.notifier = notifier
        self.clock = clock
        self.caps = caps
        self.reports = reports
        self.counts = counts
        self.epoch_recovery = EpochRecovery(clock)
        self.position_count = 0  # as last heard of

    async def begin(self, held_lease: HeldLease, interval: timedelta) -> None:
        """A new owner first notifies of what the one before left."""
        await self.notifier.load(held_lease.epoch, bounds.notify_seconds(interval))

    @asynccontextmanager
    async def asking_mode(self, interval: timedelta) -> AsyncIterator[asyncio.Task[str]]:
        """Which market positions are of, asked beside what else a cycle begins with."""
        seconds = bounds.aside_seconds(interval)
        asking = asyncio.create_task(self.performer.mode(seconds), name="mode")
        # Whoever does not come to read the answer does not miss it.
        asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            yield asking
        finally:
            asking.cancel()

    async def run(
        self,
        cycle: Cycle,
        held_lease: HeldLease,
        mode: asyncio.Task[str],
        interval: timedelta | None = None,
    ) -> Cycle:
        """As it ended. Raises Fenced when the lease is lost on the way; the next owner resumes.

        `interval`: of the schedule, when known; it bounds the steps and is said to monitor.
        """
        log.bind(cycle_id=cycle.id)
        try:
            with tracing.entered("cycle", key=cycle.id, cycle_id=cycle.id, cause=cycle.cause.name):
                return await Run(cycle, held_lease, self, interval).run(mode)
        finally:
            log.rebind({})


class Run:
    """The state of one cycle under way."""

    def __init__(
        self, cycle: Cycle, held_lease: HeldLease, runner: Runner, interval: timedelta | None
    ) -> None:
        self._cycle = cycle
        self._held_lease = held_lease
        self._runner = runner
        self._clock = runner.clock
        self._interval = interval or bounds.USUAL_INTERVAL
        self._steps = {step.name: step for step in steps.resumed(cycle.steps)}
        self._events: list[Event] = []
        self._has_news = asyncio.Event()
        self._one_write = asyncio.Lock()
        self._calls: dict[asyncio.Task[Answer], tuple[str, float, float]] = {}
        forced = cycle.cause is Cause.REQUEST
        self._call = Call(
            cycle.id, held_lease.epoch, forced, "", self._clock.now(), interval=interval
        )
        self._up: set[str] = set()
        self._down: dict[str, str] = {}
        self._asked_again: set[str] = set()

    async def run(self, mode: asyncio.Task[str]) -> Cycle:
        stopping = asyncio.create_task(self._asked_to_stop(), name="cancel")
        writing = asyncio.create_task(self._keep_writing(), name="progress")
        try:
            if any(step.attempt for step in self._cycle.steps):
                self._say(Severity.WARNING, "cycle", "resumed: its owner before did not end it")
            await self._learn_mode(mode, stopping)
            while not stopping.done() and await self._go_on(stopping, writing):
                pass
            return await self._end(writing, asked_to_stop=stopping.done())
        finally:
            stopping.cancel()
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await self._drop_calls()

    async def _learn_mode(self, mode: asyncio.Task[str], stopping: asyncio.Task[None]) -> None:
        """Without an answer price keeps its market: a guess could mix simulated and real money."""
        await asyncio.wait({mode, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not mode.done():
            return
        try:
            self._call = replace(self._call, market=mode.result())
        except SonicError as error:
            # Who cannot say it now said it before: a demo is not shown as real meanwhile.
            self._cycle = replace(self._cycle, demo=self._runner.notifier.demo)
            self._say(Severity.WARNING, "positions", f"the mode is not known: {error.message}")
            return
        self._cycle = replace(self._cycle, demo=self._call.market == "DEMO")
        self._runner.notifier.demo = self._cycle.demo

    async def _go_on(self, stopping: asyncio.Task[None], writing: asyncio.Task[None]) -> bool:
        """Starts what may start, waits for one answer; False when all is done."""
        for step in steps.skipped(self._listed()):
            self._change(step)
            self._log_step(step)
        starting = [self._started(name) for name in steps.ready(self._listed())]
        if not self._calls and not starting:
            return False
        if not self._held_lease.is_certain():
            await self._write()
        for step in starting:
            self._send(step)
        waited = {*self._calls, stopping, writing}
        done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if writing.done():
            writing.result()
        for task in list(self._calls):
            if task in done and not await self._asks_again(task):
                self._finish(task)
        return True

    def _started(self, name: str) -> Step:
        step = Step(name, StepState.RUNNING, self._steps[name].attempt + 1, self._clock.now())
        self._change(step)
        return step

    def _send(self, step: Step) -> None:
        runner, again = self._runner, steps.BY_NAME[step.name].service in self._down
        seconds = bounds.step_seconds(
            step.name, self._interval, runner.caps, runner.position_count, again=again
        )
        epoch, now = self._held_lease.epoch, self._clock.now()
        call = replace(self._call, epoch=epoch, now=now, bound_seconds=seconds)
        task = asyncio.create_task(self._perform(step.name, call), name=step.name)
        self._calls[task] = (step.name, self._clock.monotonic(), seconds)

    async def _perform(self, name: str, call: Call) -> Answer:
        with tracing.entered(name):
            return await self._performed(name, call)

    async def _performed(self, name: str, call: Call) -> Answer:
        if name == steps.EVALUATE_ALERTS and not call.has_prices:
            call = replace(call, prices=await self._known_prices())
        return await self._runner.performer.perform(name, call)

    async def _known_prices(self) -> tuple[PriceReading, ...]:
        """For alerts judged without UPDATE_PRICES here: not asked for, or the owner before did."""
        try:
            return await self._runner.performer.prices(bounds.aside_seconds(self._interval))
        except SonicError as error:
            self._say(Severity.WARNING, "price", f"judged without market prices: {error.message}")
            return ()

    async def _asks_again(self, task: asyncio.Task[Answer]) -> bool:
        """Whether a step refused for its epoch waits to be sent again, once, with a new one."""
        error = task.exception()
        name = self._calls[task][0]
        if not isinstance(error, SonicError) or name in self._asked_again:
            return False
        if not await self._runner.epoch_recovery.opened(self._held_lease, error):
            return False
        del self._calls[task]
        self._asked_again.add(name)
        self._change(replace(self._steps[name], state=StepState.PENDING))
        if sentence := self._runner.epoch_recovery.sentence(
            steps.BY_NAME[name].service, name, error
        ):
            self._say(Severity.WARNING, "fence", sentence)
        return True

    def _finish(self, task: asyncio.Task[Answer]) -> None:
        name, started, bound_seconds = self._calls.pop(task)
        service = steps.BY_NAME[name].service
        outcome = self._outcome(task, name, service, bound_seconds)
        enriched = self._steps.get(steps.ENRICH_POSITIONS)
        if name == steps.EVALUATE_ALERTS and steps.is_useless(enriched):
            outcome = outcomes.without_positions(outcome)
        duration = self._clock.monotonic() - started
        step = replace(
            self._steps[name],
            state=outcome.state,
            duration_seconds=duration,
            counts=outcome.counts,
            reason=outcome.reason,
            message=outcome.message,
        )
        self._change(step)
        self._log_step(step)

    def _outcome(
        self, task: asyncio.Task[Answer], name: str, service: str, bound_seconds: float
    ) -> Outcome:
        try:
            answer = task.result()
        except SonicError as error:
            message = error.message
            if error.reason == "DEADLINE_EXCEEDED":
                message = f"no answer from {service} within {bound_seconds:.3g} s"
            self._note_failure(service, error, message)
            return read_failure(error.reason, message)
        except Exception as error:  # noqa: BLE001  an answer we cannot read fails its step, not every cycle to come
            incident_id = new_id("inc")
            log.get_logger().error(
                "step failed", step=name, incident_id=incident_id, exc_info=error
            )
            return read_failure(
                "INTERNAL", f"the answer could not be used, see {incident_id} in the log"
            )
        self._up.add(service)
        if name == steps.NOTIFY and answer.outcome.state is StepState.SUCCEEDED:
            self._up.add("xcom")
        if answer.prices is not None:
            self._call = replace(self._call, prices=answer.prices, has_prices=True)
        if answer.wallets is not None:
            self._call = replace(self._call, wallets=answer.wallets)
        if answer.position_count is not None:
            self._runner.position_count = answer.position_count
        if answer.totals is not None:
            self._call = replace(
                self._call, totals=answer.totals, membership_epoch=answer.membership_epoch
            )
        return answer.outcome

    def _note_failure(self, service: str, error: SonicError, message: str) -> None:
        if error.reason in DOWN_REASONS:
            self._down[service] = message
            return
        self._up.add(service)
        if error.reason == _NO_XCOM:
            self._down["xcom"] = error.message

    async def _keep_writing(self) -> None:
        """Ends only with what a write meets, such as Fenced, or cancelled."""
        while True:
            await self._has_news.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            await self._write()

    async def _write(self) -> None:
        async with self._one_write:
            if not self._has_news.is_set():
                return
            events = self._news()
            cancel = await self._runner.store.advance(
                self._held_lease.epoch, self._cycle.id, self._listed(), events, self._cycle.demo
            )
        if cancel:
            self._held_lease.on_notice(f"cancel {self._cycle.id}")

    def _news(self) -> list[Event]:
        """The lines not written yet; to be written, beside the steps, by whoever took them."""
        events, self._events = self._events, []
        self._has_news.clear()
        return events

    async def _end(self, writing: asyncio.Task[None], *, asked_to_stop: bool) -> Cycle:
        left = steps.cancelled(self._listed())
        cancelled = asked_to_stop and bool(left)
        if cancelled:
            await self._drop_calls()
            for step in left:
                self._change(step)
        listed, now = tuple(self._listed()), self._clock.now()
        state = CycleState.CANCELLED if cancelled else cycles.outcome(listed, steps.EVALUATE_ALERTS)
        message = "Cancelled by request." if cancelled else cycles.sentence(listed)
        ended = replace(self._cycle, state=state, ended_time=now, message=message, steps=listed)
        severity = _CYCLE_SEVERITIES.get(state, Severity.WARNING)
        self._say(severity, "cycle", f"{state.name}. {message}".strip())
        found = incidents.findings(ended, self._up, self._down)
        changed = incidents.changed(self._runner.notifier.incidents, found, new_id("incident"))
        async with self._one_write:
            if writing.done():
                writing.result()
            await self._runner.store.end(self._held_lease.epoch, ended, self._news(), changed)
        self._runner.counts.cycle(ended)
        await self._runner.notifier.after(
            ended, self._held_lease.epoch, changed, self._call.totals, self._interval
        )
        self._runner.reports.after(ended)
        return ended

    async def _drop_calls(self) -> None:
        calls, self._calls = list(self._calls), {}
        for task in calls:
            task.cancel()
        if calls:
            await asyncio.gather(*calls, return_exceptions=True)

    async def _asked_to_stop(self) -> None:
        while True:
            self._held_lease.cancel.clear()
            if self._cycle.cancel or self._cycle.id in self._held_lease.cancelled:
                self._held_lease.cancelled.discard(self._cycle.id)
                return
            await self._held_lease.cancel.wait()

    def _listed(self) -> list[Step]:
        return list(self._steps.values())

    def _change(self, step: Step) -> None:
        self._steps[step.name] = step
        self._has_news.set()

    def _log_step(self, step: Step) -> None:
        self._runner.counts.step(step)
        counts = ", ".join(f"{name} {count}" for name, count in step.counts.items())
        words = "; ".join(part for part in (step.message or step.reason, counts) if part)
        message = f"{step.state.name}{': ' + words if words else ''}"
        self._say(_SEVERITIES.get(step.state, Severity.WARNING), step.name, message)

    def _say(self, severity: Severity, source: str, message: str) -> None:
        self._events.append(
            Event(self._clock.now(), severity, source, shortened(message, 1000), self._cycle.id)
        )
        self._has_news.set()
