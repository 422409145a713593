"""The time as an argument: the system's clock, and one that tests push."""

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from shared.log import get_logger


class Clock(Protocol):
    def now(self) -> datetime:
        """The moment, aware, UTC; may step when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never step back, and that count while the machine
        is suspended: intervals are judged by these.
        """
        ...

    async def sleep(self, seconds: float) -> None: ...


# The one that runs on while the machine is suspended, by system (Linux, macOS): what was asked to
# last an hour lasts an hour of the wall, also on a machine that sleeps at night.
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
_LONGEST_SLEEP_SECONDS = 30.0


def until_next(interval_seconds: float, clock: Clock) -> float:
    """Seconds until the next multiple of the interval: who asks for it, wherever it began, is awake
    at the same moments.
    """
    return interval_seconds - clock.monotonic() % interval_seconds


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic() if _ELAPSED is None else time.clock_gettime(_ELAPSED)

    async def sleep(self, seconds: float) -> None:
        # asyncio's own sleep stands still with the machine: what is left is looked at anew.
        end, left = self.monotonic() + seconds, seconds
        while True:
            await asyncio.sleep(min(max(left, 0.0), _LONGEST_SLEEP_SECONDS))
            if (left := end - self.monotonic()) <= 0:
                return


class PushedClock:
    """Stands still until told to move. `set_time` steps the wall time only, as a badly set machine
    does.
    """

    def __init__(self, start: datetime) -> None:
        self._now = _aware(start)
        self._monotonic_seconds = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic_seconds

    @property
    def sleeping_count(self) -> int:
        """How many sleepers wait: a test that must push them waits until they are there."""
        return len(self.sleeping_seconds)

    @property
    def sleeping_seconds(self) -> list[float]:
        """How long each of them sleeps yet."""
        return [
            end - self._monotonic_seconds for end, _, woken in self._sleepers if not woken.done()
        ]

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(
            self._sleepers, (self._monotonic_seconds + seconds, next(self._order), woken)
        )
        await woken

    def advance(self, seconds: float) -> None:
        """Moves both times on and wakes everyone whose time has come (they run at the next loop
        turn).
        """
        if seconds < 0:
            raise ValueError("time does not run backwards; set_time steps the wall clock")
        self._now += timedelta(seconds=seconds)
        self._monotonic_seconds += seconds
        # A hair of tolerance: 0.1 + 0.2 must wake the one who sleeps 0.3.
        while self._sleepers and self._sleepers[0][0] <= self._monotonic_seconds + 1e-9:
            woken = heapq.heappop(self._sleepers)[2]
            if not woken.done():
                woken.set_result(None)

    def set_time(self, moment: datetime) -> None:
        self._now = _aware(moment)


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a clock needs an aware time")
    return moment.astimezone(UTC)


# A difference up to this is drift, or the clock being put right: it is followed.
_DRIFT_SECONDS = 60.0


class ClockGuard:
    """The wall clock as long as it runs evenly; after a step, what it would have shown."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_seconds = self._difference()
        self._stepped = False

    def micros(self) -> int:
        """Microseconds since 1970; for what must not end early or late by a step."""
        self._follow()
        return round((self._clock.monotonic() + self._offset_seconds) * 1_000_000)

    def wall_micros(self, guarded_micros: int) -> int:
        """What of these microseconds the wall clock shows then, as it is set now: for who knows
        nothing of the step.
        """
        step = self._follow()
        return guarded_micros + (round(step * 1_000_000) if self._stepped else 0)

    def _follow(self) -> float:
        """By how many seconds the wall clock is off."""
        difference = self._difference()
        step = difference - self._offset_seconds
        if abs(step) <= _DRIFT_SECONDS:
            self._offset_seconds, self._stepped = difference, False
        elif not self._stepped:
            self._stepped = True
            get_logger().warning(
                "the clock stepped; silences and cooldowns keep their time", seconds=step
            )
        return step

    def _difference(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970."""
    return round(moment.timestamp() * 1_000_000)
