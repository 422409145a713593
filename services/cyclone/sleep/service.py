"""Whether one may sleep: what others say, and what this service knows of its own cycles; asked by
a person, and each evening by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Protocol

from services.cyclone.domain import steps
from services.cyclone.domain.cycle import PING_SOURCE, Cycle, CycleState, Event, EventFilter
from services.cyclone.domain.outcomes import is_without_positions, works
from services.cyclone.domain.schedule import Lease, Setting
from services.cyclone.sleep.domain.evening import (
    Evening,
    EveningMessage,
    evening_message,
    night_due,
    until_next,
)
from services.cyclone.sleep.domain.facts import (
    CycleHealth,
    Facts,
    OutsidePing,
    Part,
    longest_pause,
)
from services.cyclone.sleep.domain.verdicts import Reason, Verdict, reasons, verdict
from shared.clock import Clock
from shared.errors import AlreadyExists, InvalidArgument, SonicError
from shared.log import get_logger
from shared.paging import Page

USUAL = timedelta(hours=8)
_RECENT_COUNT = 100
# A clock that is set is followed within so long.
_LONGEST_WAIT_SECONDS = 600.0
_AGAIN_SECONDS = 15.0
# A cycle without one of these has not looked, or would have told nobody.
_LOOKING = frozenset(
    {
        steps.SYNC_POSITIONS,
        steps.ENRICH_POSITIONS,
        steps.CREATE_ALERTS,
        steps.EVALUATE_ALERTS,
        steps.NOTIFY,
    }
)
_GOOD = frozenset({CycleState.SUCCEEDED, CycleState.PARTIAL})


class OwnCycles(Protocol):
    """What CycloneService tells of itself."""

    async def schedule(self) -> tuple[Setting, Lease]: ...

    async def list(
        self, page_size: int, page_token: str, state: CycleState | None
    ) -> Page[Cycle]: ...

    async def events(self, page_size: int, page_token: str, wanted: EventFilter) -> Page[Event]: ...


@dataclass(frozen=True, slots=True)
class SleepAnswer:
    """`reasons`: every part, the gravest first."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    asked_time: datetime
    duration: timedelta


class SleepService:
    """`read` asks the other services."""

    def __init__(
        self,
        read: Callable[[], Awaitable[Facts]],
        cycles: OwnCycles,
        clock: Clock,
        *,
        heartbeat_configured: bool,
    ) -> None:
        self._read = read
        self._cycles = cycles
        self._clock = clock
        self._heartbeat_configured = heartbeat_configured

    async def ask(self, duration: timedelta | None) -> SleepAnswer:
        """Never fails for what cannot be read: that is a reason."""
        wanted = duration or USUAL
        facts = replace(await self._read(), heartbeat_configured=self._heartbeat_configured)
        try:
            recent = (await self._cycles.list(_RECENT_COUNT, "", None)).rows
            facts = replace(facts, cycle=await self._health(recent))
            if self._heartbeat_configured:
                facts = replace(facts, last_ping=await self._last_ping(recent))
        except SonicError as error:
            unread = {**(facts.unread or {}), Part.CYCLE: error.message}
            facts = replace(facts, unread=unread)
        now = self._clock.now()
        found = reasons(facts, now, wanted / timedelta(hours=1))
        return SleepAnswer(verdict(found), found, now, wanted)

    async def _last_ping(self, recent: Sequence[Cycle]) -> OutsidePing | None:
        """After the newest whole good cycle; None: there was none lately. That it failed is an
        event of that cycle.
        """
        told = (
            (cycle.id, cycle.ended_time)
            for cycle in recent
            if tuple(step.name for step in cycle.steps) == steps.NAMES and works(cycle)
        )
        id, time = next(told, ("", None))
        if time is None:
            return None
        failed = await self._cycles.events(1, "", EventFilter(cycle_id=id, source=PING_SOURCE))
        return OutsidePing(time, failed.rows[0].message if failed.rows else "")

    async def _health(self, recent: Sequence[Cycle]) -> CycleHealth:
        setting, _ = await self._cycles.schedule()
        whole = [cycle for cycle in recent if {step.name for step in cycle.steps} >= _LOOKING]
        ended = [cycle for cycle in whole if cycle.ended_time is not None]
        good = [cycle.ended_time for cycle in ended if _is_good(cycle) and cycle.ended_time]
        last = ended[0] if ended else None
        problem = ""
        if last is not None and last.state is not CycleState.SUCCEEDED:
            problem = f"{last.state.name}. {last.message}".strip(". ")
        pause = longest_pause(good, self._clock.now())
        return CycleHealth(
            setting.enabled, setting.interval, max(good, default=None), problem, pause
        )


def _is_good(cycle: Cycle) -> bool:
    """Whether it judged, and the positions too."""
    return cycle.state in _GOOD and not any(
        step.name == steps.EVALUATE_ALERTS and is_without_positions(step) for step in cycle.steps
    )


class EveningOutbox(Protocol):
    """Who tells people."""

    async def send(self, message: EveningMessage) -> None:
        """Once a request id; AlreadyExists when it was told otherwise. Raises SonicError."""
        ...


class EveningTeller:
    """`turn` asks and tells once a night, whatever dies: xcom takes a request id once."""

    def __init__(
        self, sleep: SleepService, outbox: EveningOutbox, clock: Clock, evening: Evening
    ) -> None:
        self._sleep = sleep
        self._outbox = outbox
        self._clock = clock
        self._evening = evening
        self._told: date | None = None

    async def turn(self) -> float:
        """The seconds until the next look."""
        night = night_due(self._clock.now(), self._evening)
        if night is not None and night != self._told and not await self._is_told(night):
            return _AGAIN_SECONDS
        wait = until_next(self._clock.now(), self._evening).total_seconds()
        return min(wait, _LONGEST_WAIT_SECONDS)

    async def _is_told(self, night: date) -> bool:
        """Whether it is settled, one way or the other."""
        hours = self._evening.hours
        answer = await self._sleep.ask(timedelta(hours=hours))
        message = evening_message(night, answer.verdict, answer.reasons, hours)
        try:
            await self._outbox.send(message)
        except AlreadyExists:
            # Told by another process, or before this one started.
            pass
        except InvalidArgument as error:
            get_logger().error("evening message refused", reason=error.reason, words=error.message)
        except SonicError as error:
            # Full, locked out or broken is not for ever; it is tried until it is too late.
            get_logger().warning("evening message waits", reason=error.reason, words=error.message)
            return False
        self._told = night
        return True
