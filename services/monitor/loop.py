"""What runs without being asked: due monitors, notifications, retention, updates for watchers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from datetime import datetime, timedelta

from services.monitor.service.queries import News, View
from shared.clock import Clock
from shared.feed import Feed
from shared.lifecycle import Loop

_ROUND_SECONDS = 5.0
_RETRY_SECONDS = 5.0
# Another process may have died between writing a notification and sending it.
_NOTIFY_SECONDS = 60.0
_FORGET_SECONDS = 3600.0


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


def retention(
    forget: Callable[[datetime, datetime], Awaitable[int]],
    clock: Clock,
    kept: timedelta,
    quiet_kept: timedelta,
) -> Loop:
    """Deletes old runs, a few thousand at a time; sooner those that found nothing."""

    async def body() -> float:
        now = clock.now()
        return 0.0 if await forget(now - kept, now - quiet_kept) else _FORGET_SECONDS

    return Loop("monitor retention", body, clock, first_delay_seconds=_RETRY_SECONDS)


class MonitorFeed(Feed[View]):
    """The monitors and badges, whoever changes them."""

    def __init__(self, view: Callable[[], Awaitable[View]], clock: Clock) -> None:
        super().__init__("monitor feed", view, clock)

    async def news(self, names: Collection[str]) -> AsyncIterator[News]:
        """The present state of these monitors first, then every change."""
        seen: View | None = None
        async for view, gap in self.watch():
            states = tuple(state for state in view.states if state.name in names)
            badges = tuple(kept for kept in view.badges if kept.monitor in names)
            if seen is None or gap:
                yield News(states, badges, gap)
            else:
                changed = tuple(state for state in states if state not in seen.states)
                if changed or badges != seen.badges:
                    yield News(changed, badges)
            seen = View(states, badges)
