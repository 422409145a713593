"""After a cycle: deaths and recoveries are notified once, and a good cycle is reported outside."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from services.cyclone.domain import bounds, incidents, steps
from services.cyclone.domain.cycle import PING_SOURCE, Cause, Cycle, Event, Severity
from services.cyclone.domain.incidents import Attempt, Incident, NotifiedBy
from services.cyclone.domain.outcomes import TotalsReading, works
from services.cyclone.store.progress import Fenced, ProgressStore
from shared.clock import Clock
from shared.errors import SonicError
from shared.log import get_logger


class DeathNotifier(Protocol):
    """Who notifies people. Every method raises SonicError when nobody answers in time."""

    async def raise_death(self, incident: Incident, attempt: Attempt) -> None: ...

    async def resolve_death(self, incident: Incident, attempt: Attempt) -> None: ...

    async def send_death(self, incident: Incident, attempt: Attempt) -> None:
        """Through xcom, HIGH, when alerts cannot; the same incident again is one message."""
        ...

    async def send_recovery(self, incident: Incident, attempt: Attempt) -> None:
        """To those who heard of it directly, and to nobody's contacts any more."""
        ...

    async def end_death(self, incident: Incident, attempt: Attempt) -> None:
        """What was perhaps sent directly goes to no further contact; notifies nobody."""
        ...


class Pinger(Protocol):
    """The dead-man switch outside."""

    async def ping(self, cycle_id: str, oldest_mark_age_seconds: float | None) -> None:
        """Raises SonicError when the outside did not take it."""
        ...


class Drills(Protocol):
    """Whether the watcher plays dead to the outside."""

    async def keeps_back(self) -> bool: ...


class IncidentNotifier:
    """Holds the incidents as the owner knows them; read again whenever the lease is taken."""

    def __init__(
        self,
        store: ProgressStore,
        deaths: DeathNotifier,
        pinger: Pinger | None,
        drills: Drills,
        clock: Clock,
    ) -> None:
        self._store = store
        self._deaths = deaths
        self._pinger = pinger
        self._drills = drills
        self._clock = clock
        self._pinging: set[asyncio.Task[None]] = set()
        self._pinged_at = float("-inf")
        self.incidents: dict[str, Incident] = {}
        # As last known: who is down may be the one who knows.
        self.demo = False

    async def start(self) -> None:
        """Nothing to do: the first owner loads."""

    async def stop(self) -> None:
        for task in self._pinging:
            task.cancel()
        if self._pinging:
            await asyncio.wait(self._pinging)

    async def load(self, epoch: int, notify_seconds: float) -> None:
        self.incidents = await self._store.incidents()
        self.demo = await self._store.last_demo(self._clock.now())
        await self._notify("", epoch, notify_seconds)

    async def after(
        self,
        cycle: Cycle,
        epoch: int,
        changed: Sequence[Incident],
        totals: TotalsReading | None,
        interval: timedelta,
    ) -> None:
        """`changed` is stored already, with the end of the cycle; `interval`: of the schedule."""
        self.incidents |= {incident.name: incident for incident in changed}
        await self._notify(cycle.id, epoch, bounds.notify_seconds(interval))
        # Only the whole cycle shows that everything works, not a good part of it.
        whole = tuple(step.name for step in cycle.steps) == steps.NAMES
        if (
            self._pinger is not None
            and whole
            and works(cycle)
            and not _judged_nothing(cycle, totals)
            and not (cycle.cause is Cause.STREAM and self._pinged_within(interval / 2))
        ):
            self._pinged_at = self._clock.monotonic()
            task = asyncio.create_task(self._ping(self._pinger, cycle, epoch, totals), name="ping")
            self._pinging.add(task)
            task.add_done_callback(self._pinging.discard)

    def _pinged_within(self, time: timedelta) -> bool:
        return self._clock.monotonic() - self._pinged_at < time.total_seconds()

    async def _notify(self, cycle_id: str, epoch: int, seconds: float) -> None:
        notified, events = [], []
        waiting = incidents.unnotified(self.incidents.values())
        # Together: who does not answer is waited for once, not once an incident.
        attempt = Attempt(cycle_id, epoch, self.demo, seconds)
        ends = await asyncio.gather(*(self._notify_one(incident, attempt) for incident in waiting))
        for incident, (after, message) in zip(waiting, ends, strict=True):
            severity = Severity.INFO if incident.resolving and after != incident else Severity.ERROR
            events.append(Event(self._clock.now(), severity, incident.name, message, cycle_id))
            notified.append(after)
        if not notified:
            return
        self.incidents |= {incident.name: incident for incident in notified}
        await self._store.note(epoch, events, notified)

    async def _notify_one(self, incident: Incident, attempt: Attempt) -> tuple[Incident, str]:
        try:
            if incident.resolving:
                return await self._notify_end(incident, attempt)
            return await self._notify_begin(incident, attempt)
        except SonicError as error:
            get_logger().error(
                "a death cannot be told", incident=incident.name, problem=error.message
            )
            return incident, f"cannot be told, tried again after the next cycle: {error.message}"

    async def _notify_begin(self, incident: Incident, attempt: Attempt) -> tuple[Incident, str]:
        try:
            await self._deaths.raise_death(incident, attempt)
        except SonicError:
            await self._deaths.send_death(incident, attempt)
            after = replace(incident, notified_by=NotifiedBy.XCOM)
            return after, f"told through xcom: {incident.summary}"
        after = replace(incident, notified_by=NotifiedBy.ALERTS)
        return after, f"told through alerts: {incident.summary}"

    async def _notify_end(self, incident: Incident, attempt: Attempt) -> tuple[Incident, str]:
        # Who did not answer in time may have notified all the same: it ends there too.
        if incident.notified_by is NotifiedBy.ALERTS:
            await self._deaths.resolve_death(incident, attempt)
            await self._deaths.end_death(incident, attempt)
        else:
            await self._deaths.send_recovery(incident, attempt)
            await self._deaths.resolve_death(incident, attempt)
        return Incident(incident.name, incident.bad_count), "over"

    async def _ping(
        self, pinger: Pinger, cycle: Cycle, epoch: int, totals: TotalsReading | None
    ) -> None:
        if await self._drills.keeps_back():
            return
        oldest = totals.oldest_mark_time if totals else None
        age = None if oldest is None else self._clock.now() - oldest
        try:
            await pinger.ping(cycle.id, None if age is None else max(age.total_seconds(), 0.0))
            return
        except SonicError as error:
            message = f"the outside ping failed: {error.message}"
        event = Event(self._clock.now(), Severity.WARNING, PING_SOURCE, message, cycle.id)
        try:
            await self._store.note(epoch, [event])
        except (SonicError, Fenced):
            get_logger().warning("the failed ping could not be written down", problem=message)


def _judged_nothing(cycle: Cycle, totals: TotalsReading | None) -> bool:
    """Positions are held and not one alert was looked at: a good cycle by its states alone."""
    evaluated = next(
        (
            step.counts.get("evaluated", 0)
            for step in cycle.steps
            if step.name == steps.EVALUATE_ALERTS
        ),
        0,
    )
    return totals is not None and totals.position_count > 0 and evaluated == 0
