"""What runs without being asked: due monitors, notifications, retention, updates for watchers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.monitor.domain.badges import KeptBadge
from services.monitor.domain.states import State
from services.monitor.service.queries import View
from shared.clock import Clock
from shared.lifecycle import Loop

_ROUND_SECONDS = 5.0
_RETRY_SECONDS = 5.0
# Another process may have died between writing a notification and sending it.
_NOTIFY_SECONDS = 60.0
_FORGET_SECONDS = 3600.0
_POLL_SECONDS = 1.0
_IDLE_SECONDS = 3600.0


def scheduler(run_outside: Callable[[], Awaitable[object]], clock: Clock) -> Loop:
    """Runs what is due and needs no cycle."""

    async def body() -> float:
        await run_outside()
        return _ROUND_SECONDS

    return Loop("monitor rounds", body, clock, first_delay_seconds=_ROUND_SECONDS)


def notifier(notify: Callable[[], Awaitable[bool]], clock: Clock) -> Loop:
    """Hands over what waits: at once when woken, again soon when nobody took it."""

    async def body() -> float:
        return _NOTIFY_SECONDS if await notify() else _RETRY_SECONDS

    return Loop("monitor notifications", body, clock)


def retention(forget: Callable[[datetime], Awaitable[int]], clock: Clock, kept: timedelta) -> Loop:
    """Deletes old runs, a few thousand at a time."""

    async def body() -> float:
        return 0.0 if await forget(clock.now() - kept) else _FORGET_SECONDS

    return Loop("monitor retention", body, clock, first_delay_seconds=_RETRY_SECONDS)


@dataclass(frozen=True, slots=True)
class News:
    """What one watcher gets: the monitors that changed, every badge that is set."""

    states: tuple[State, ...]
    badges: tuple[KeptBadge, ...]
    gap: bool = False


class MonitorFeed:
    """A Part that looks for changes each second while somebody watches, and at once after `wake`.

    It keeps one view and its number, no queue: a watcher that missed a view gets the whole present
    state.
    """

    def __init__(self, read: Callable[[], Awaitable[View]], clock: Clock) -> None:
        self._read = read
        self._loop = Loop("monitor feed", self._turn, clock)
        self._watching = 0
        self._view: View | None = None
        self._number = 0
        self._changed = asyncio.Condition()

    async def start(self) -> None:
        await self._loop.start()

    async def stop(self) -> None:
        await self._loop.stop()

    def wake(self) -> None:
        """Something was written here: read now."""
        if self._watching:
            self._loop.wake()

    async def watch(self, names: Collection[str]) -> AsyncIterator[News]:
        """The present state of these monitors first, then every change."""
        self._watching += 1
        try:
            seen, number = _only(await self._read(), names), self._number
            yield News(seen.states, seen.badges)
            self._loop.wake()
            while True:
                present, present_number = await self._next(number)
                present = _only(present, names)
                if news := _difference(seen, present, gap=present_number > number + 1):
                    yield news
                seen, number = present, present_number
        finally:
            self._watching -= 1

    async def _next(self, number: int) -> tuple[View, int]:
        async with self._changed:
            await self._changed.wait_for(lambda: self._number > number)
            if self._view is None:
                raise RuntimeError("a number without a view")
            return self._view, self._number

    async def _turn(self) -> float:
        if not self._watching:
            return _IDLE_SECONDS
        view = await self._read()
        if view != self._view:
            async with self._changed:
                self._view = view
                self._number += 1
                self._changed.notify_all()
        return _POLL_SECONDS


def _only(view: View, names: Collection[str]) -> View:
    return View(
        tuple(state for state in view.states if state.name in names),
        tuple(kept for kept in view.badges if kept.monitor in names),
    )


def _difference(seen: View, present: View, *, gap: bool) -> News | None:
    if gap:
        return News(present.states, present.badges, gap=True)
    states = tuple(state for state in present.states if state not in seen.states)
    return News(states, present.badges) if states or present.badges != seen.badges else None
