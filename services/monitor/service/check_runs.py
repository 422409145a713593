"""Passes over the checks: choose who runs, run them, keep what was found in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from services.monitor.checks import CheckContext, CycleReadings, Readings
from services.monitor.checks.registry import Registered
from services.monitor.domain.badges import KeptBadge, outlived
from services.monitor.domain.findings import Badge, Finding, Run, Runs, RunStatus, counted, skipped
from services.monitor.domain.incidents import Incident, follow
from services.monitor.domain.settings import Setting, is_due, resting_reason
from services.monitor.domain.states import Heartbeat, StoredMonitor
from services.monitor.service.configured_checks import ConfiguredChecks
from services.monitor.service.runner import run_check
from services.monitor.store import Store
from services.monitor.store.check_runs import BadgeChanges, Outcome
from shared.clock import Clock
from shared.database.fence import Step
from shared.log import get_logger
from shared.names import new_id

Begin = Callable[[], AbstractAsyncContextManager[Store]]
Results = Sequence[tuple[Run, Finding]]

NOTHING = CycleReadings()
# A cycle takes over from the background only what that has left undone for this long.
_LEFT_UNDONE = timedelta(minutes=1)
_CLAIM = timedelta(minutes=1)
_CLAIM_SHARE = 0.9
# Of the caller's time; the rest is for keeping what was found.
_LEFT_SHARE = 0.8


class CheckReadings(Readings, Protocol):
    """Readings of one pass."""

    def prefetch(self) -> None:
        """Begin to ask what the monitors of every cycle want to know."""


# Readings for one pass; True: brought up to date first, but for what the cycle read.
Ask = Callable[[bool, CycleReadings], CheckReadings]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long one check may take: in a cycle, which waits for it, and outside of one."""

    in_cycle_seconds: float
    outside_seconds: float


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one pass knows: who asked, the readings, where the monitors stand, the time."""

    step: Step
    readings: Readings
    stored: Mapping[str, StoredMonitor]
    beat: Heartbeat
    now: datetime
    limit_seconds: float
    by_hand: bool = False
    cycle_interval: timedelta | None = None


class CheckRuns:
    """Runs the checks. `read` opens one statement, `begin` more; `notify` wakes the notifier."""

    def __init__(
        self,
        begin: Begin,
        read: Begin,
        configured: ConfiguredChecks,
        ask: Ask,
        clock: Clock,
        limits: Limits,
        *,
        changed: Callable[[], None],
        notify: Callable[[], None],
        counted: Callable[[Run], None],
    ) -> None:
        self._begin = begin
        self._read = read
        self._configured = configured
        self._ask = ask
        self._clock = clock
        self._limits = limits
        self._changed = changed
        self._notify = notify
        self._counted = counted
        self._start_time = clock.now()
        self._has_dropped = False

    async def run_one(
        self, name: str, left_seconds: float | None = None, *, force: bool = False
    ) -> Run:
        """Run a monitor now, SKIPPED when it rests unless forced; NotFound MONITOR_NOT_FOUND.

        `left_seconds`: how long the caller waits; None = for ever.
        """
        name = self._configured.named(name).name
        step, readings = Step("RUN_MONITOR"), self._ask(True, NOTHING)
        names = [name, *self._beside(name)]
        batch = await self._batch(step, readings, names, left_seconds, by_hand=True)
        rest = "" if force else self._rest(batch, name)
        return (await self._run(batch, {name: rest})).runs[0]

    async def run_all(
        self,
        step: Step,
        names: Sequence[str],
        cycle_interval: timedelta | None = None,
        cycle_readings: CycleReadings = NOTHING,
        left_seconds: float | None = None,
    ) -> Runs:
        """Run the named monitors, else those of every cycle and those that are due.

        In a cycle (step with a cycle id) the readings are what the cycle left or brings along;
        nothing is refreshed. A check that takes more than most of `left_seconds` is given up: the
        caller hears of the others. NotFound MONITOR_NOT_FOUND, Conflict STALE_EPOCH.
        """
        in_cycle = bool(step.cycle_id)
        wanted = list(dict.fromkeys(self._configured.named(name).name for name in names))
        readings = self._ask(not in_cycle, cycle_readings)
        if in_cycle and not wanted:
            readings.prefetch()
        by_hand = not in_cycle and bool(wanted)
        known = wanted or self._configured.names
        beside = [other for name in wanted for other in self._beside(name)]
        asked = list(dict.fromkeys([*known, *beside]))
        batch = await self._batch(step, readings, asked, left_seconds, by_hand=by_hand)
        if in_cycle:
            interval = cycle_interval or batch.beat.cycle_interval
            demo = batch.beat.demo if cycle_readings.demo is None else cycle_readings.demo
            beat = Heartbeat(batch.now, interval, demo)
            batch = replace(batch, beat=beat, cycle_interval=cycle_interval)
        if wanted:
            return await self._run(batch, {name: self._rest(batch, name) for name in wanted})
        return await self._run(batch, await self._choose(batch))

    async def run_outside(self) -> Runs:
        """Run what is due and does not need a cycle."""
        names = [name for name in self._configured.names if self._configured[name].outside]
        batch = await self._batch(Step("RUN_OUTSIDE"), self._ask(False, NOTHING), names)
        due = [name for name in names if self._is_due(batch, name, batch.now)]
        claimed = await self._claim(batch, due)
        if not claimed:
            return counted([])
        return await self._run(batch, {name: self._rest(batch, name) for name in claimed})

    async def _batch(
        self,
        step: Step,
        readings: Readings,
        names: Sequence[str],
        left_seconds: float | None = None,
        *,
        by_hand: bool = False,
    ) -> _Batch:
        async with self._read() as store:
            stored, beat = await store.stored(names)
        now, limits = self._clock.now(), self._limits
        # A clock that was set back: what waits for a time since the start waits from here.
        self._start_time = min(self._start_time, now)
        limit_seconds = limits.in_cycle_seconds if step.cycle_id else limits.outside_seconds
        if left_seconds is not None:
            limit_seconds = min(limit_seconds, left_seconds * _LEFT_SHARE)
        return _Batch(step, readings, stored, beat, now, limit_seconds, by_hand)

    async def _run(self, batch: _Batch, chosen: Mapping[str, str]) -> Runs:
        """Run these, each unless it has a reason to rest, and keep what they found."""
        # Together: what several of them read is asked for once.
        runs = (
            self._run_check(batch, self._configured[name], rest) for name, rest in chosen.items()
        )
        return await self._keep(batch, await asyncio.gather(*runs))

    async def _choose(self, batch: _Batch) -> dict[str, str]:
        """Who runs when nobody is named, each with why it rests."""
        chosen = {
            name: self._rest(batch, name) or self._fresh(batch, name)
            for name in self._configured.every_cycle
        }
        late = batch.now - _LEFT_UNDONE if batch.step.cycle_id else batch.now
        others = [name for name in self._configured.names if not self._configured[name].every_cycle]
        due = [
            name
            for name in others
            if self._is_due(batch, name, late if self._configured[name].outside else batch.now)
        ]
        return chosen | {name: self._rest(batch, name) for name in await self._claim(batch, due)}

    def _setting(self, batch: _Batch, name: str) -> Setting:
        return self._configured.setting(name, batch.stored[name].chosen)

    def _rest(self, batch: _Batch, name: str) -> str:
        return resting_reason(self._setting(batch, name), batch.stored[name].last_run, batch.now)

    def _fresh(self, batch: _Batch, name: str) -> str:
        """Somebody chose an interval longer than the time between cycles."""
        setting, last = self._setting(batch, name), batch.stored[name].last_run
        if not setting.is_interval_chosen or last is None:
            return ""
        if is_due(last.started_time, setting.interval, batch.now):
            return ""
        return f"FRESH: ran {(batch.now - last.started_time).total_seconds():.0f} s ago"

    def _is_due(self, batch: _Batch, name: str, moment: datetime) -> bool:
        last_time, last_run = batch.stored[name].last_time, batch.stored[name].last_run
        if last_time is None and moment < batch.now:
            # Never ran: due since this process runs.
            return self._start_time <= moment
        if last_time is not None and last_time > batch.now:
            return True
        interval = self._setting(batch, name).interval_after(last_run)
        return is_due(last_time, interval, max(moment, last_time or moment))

    async def _claim(self, batch: _Batch, names: Sequence[str]) -> list[str]:
        """Those that no other process is running."""
        if not names:
            return []
        ends = {
            name: batch.now + min(self._setting(batch, name).interval * _CLAIM_SHARE, _CLAIM)
            for name in names
        }
        async with self._begin() as store:
            won = await store.claim(ends, batch.now)
        return [name for name in names if name in won]

    async def _run_check(self, batch: _Batch, one: Registered, rest: str) -> tuple[Run, Finding]:
        if rest:
            return Run(one.name, batch.now, 0.0, RunStatus.SKIPPED, {}, rest), skipped(rest)
        setting, last = self._setting(batch, one.name), batch.stored[one.name].last_run
        context = CheckContext(
            batch.readings,
            batch.now,
            setting.threshold_percent,
            last,
            batch.by_hand,
            batch.beat,
            self._start_time,
            setting.interval,
            self._others(batch, one.name),
        )
        run, finding = await run_check(one.name, one.check, context, batch.limit_seconds)
        if (
            variable := setting.environment.get("threshold_percent")
        ) and run.status <= RunStatus.BREACH:
            run = replace(run, metadata=dict(run.metadata) | {"threshold_from": variable})
        return run, finding

    def _beside(self, name: str) -> list[str]:
        # Checks of others need not know the word.
        beside = getattr(self._configured[name].check, "beside", ())
        return [other for other in beside if other in self._configured.names]

    def _others(self, batch: _Batch, name: str) -> dict[str, Run]:
        """What the monitors beside this one found last, of those that run as often as cycles and
        tell at their own levels.
        """
        found = {}
        for other in self._beside(name):
            last = batch.stored[other].last_run
            setting = self._setting(batch, other)
            is_own = setting.notification.level is None and not setting.is_interval_chosen
            if last is not None and is_own and not self._rest(batch, other):
                found[other] = last
        return found

    async def _keep(self, batch: _Batch, results: Results) -> Runs:
        """Runs, badges, incidents: one statement, in a transaction when somebody is notified."""
        await self._drop_uninstalled()
        concerns = any(
            follow(run.monitor, batch.stored[run.monitor].incident, finding, "", batch.now).changed
            for run, finding in results
        )
        runs = [replace(run, cycle_id=batch.step.cycle_id) for run, _ in results]
        in_cycle = bool(batch.step.cycle_id)
        outcome = Outcome(
            runs,
            _badge_changes(batch.stored, results),
            in_cycle,
            batch.cycle_interval,
            in_cycle and not concerns,
            batch.beat.demo,
        )
        async with self._begin() if concerns else self._read() as store:
            answer, is_new = await store.keep(batch.step, outcome, batch.now)
            notifies = concerns and is_new and await self._follow(store, batch, results)
        if is_new:
            for run in runs:
                self._counted(run)
            self._changed()
        if notifies:
            self._notify()
        return answer

    async def _drop_uninstalled(self) -> None:
        """Once a process: what monitors left behind that are no longer installed."""
        if self._has_dropped:
            return
        async with self._begin() as store:
            badges = await store.drop_uninstalled(self._configured.names)
        self._has_dropped = True
        if badges:
            get_logger().info("badges of monitors that are not installed are gone", badges=badges)

    async def _follow(self, store: Store, batch: _Batch, results: Results) -> bool:
        """Incidents as they are behind their lock; whether somebody is to be notified."""
        incidents: Mapping[str, Incident] = await store.incidents()
        notifies = False
        for run, finding in results:
            fresh_id = new_id(f"monitor-{run.monitor}")
            notification = self._setting(batch, run.monitor).notification
            incident = incidents.get(run.monitor)
            change = follow(run.monitor, incident, finding, fresh_id, batch.now, notification)
            if change.changed:
                await store.keep_incident(run.monitor, change.after, batch.now)
            if change.notification is not None:
                await store.add_notification(
                    replace(change.notification, demo=bool(batch.beat.demo), monitor=run.monitor),
                    batch.now,
                )
                notifies = True
        return notifies


def _badge_changes(stored: Mapping[str, StoredMonitor], results: Results) -> BadgeChanges:
    changes = BadgeChanges()
    for run, finding in results:
        kept = {one.badge.name: one for one in stored[run.monitor].badges}
        for name, badge in _badges_after(run, finding, kept).items():
            before = kept.get(name)
            if badge is None:
                if before is not None:
                    changes.gone.append((run.monitor, name))
                    changes.forgotten.append((name, None))
                continue
            if before is None or before.badge != badge:
                changes.badges.append((run.monitor, badge))
            if before is not None and before.dismissals:
                forgotten, lowered = outlived(before, badge)
                changes.forgotten.extend((name, subject) for subject in forgotten)
                changes.lowered.extend((name, one) for one in lowered)
    # One write cannot set a badge twice: the first monitor that names it has it.
    once = {badge.name: (monitor, badge) for monitor, badge in reversed(changes.badges)}
    return replace(changes, badges=list(once.values()))


def _badges_after(
    run: Run, finding: Finding, kept: Mapping[str, KeptBadge]
) -> Mapping[str, Badge | None]:
    """What a run says of badges; of a monitor that somebody turned off nothing stays shown."""
    if run.status is RunStatus.SKIPPED and run.error.startswith("DISABLED"):
        return dict.fromkeys(kept)
    return finding.badges
