"""Use cases of maintenance windows: planned, ended, told at both ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from datetime import datetime

from services.xcom.domain.messages import OWN_SOURCE, Draft, Kind, Level
from services.xcom.domain.settings import WINDOWS, MaintenanceWindow, Settings, Windows
from services.xcom.store.windows import WindowStore
from services.xcom.windows.domain import KEPT, MOST_COUNT, beginning, end, problem_of
from shared.clock import Clock
from shared.errors import AlreadyExists, Conflict, Exhausted, InvalidArgument, NotFound
from shared.names import new_id

Begin = Callable[[], AbstractAsyncContextManager[WindowStore]]

_LOOK_SECONDS, _SHORTEST_SECONDS = 30.0, 0.2


class WindowService:
    """`turn` is the body of a loop; `send` stores a message."""

    def __init__(
        self, begin: Begin, send: Callable[[Draft], Awaitable[object]], clock: Clock
    ) -> None:
        self._begin = begin
        self._send = send
        self._clock = clock

    async def create(self, wanted: MaintenanceWindow) -> MaintenanceWindow:
        """Plan one. InvalidArgument INVALID_FIELD, Exhausted TOO_MANY_WINDOWS."""
        now = self._clock.now()
        if problem := problem_of(wanted, now):
            name, why = problem
            raise InvalidArgument(
                "INVALID_FIELD", f"{name}: {why}", fields={f"maintenance_window.{name}": why}
            )
        made = replace(wanted, id=new_id("win"), told_start=False, told_end=False)

        def added(present: Sequence[MaintenanceWindow]) -> Sequence[MaintenanceWindow]:
            if sum(one.end_time > now for one in present) >= MOST_COUNT:
                raise Exhausted("TOO_MANY_WINDOWS", f"at most {MOST_COUNT} windows are planned")
            return [*present, made]

        async with self._begin() as store:
            await self._changed(store, added)
        return made

    async def windows(self) -> Sequence[MaintenanceWindow]:
        """All of them, by their start."""
        async with self._begin() as store:
            return (await store.settings()).windows.windows

    async def end(self, id: str) -> MaintenanceWindow:
        """End it now; what it held is told. NotFound WINDOW_NOT_FOUND."""
        now = self._clock.now()
        async with self._begin() as store:
            before = (await store.settings()).windows
            present = before.windows
            window = next((one for one in present if one.id == id and one.end_time > now), None)
            if window is None:
                raise NotFound("WINDOW_NOT_FOUND", f"no window {id[:60]!r} that is not over")
            ended = replace(window, start_time=min(window.start_time, now), end_time=now)
            # Nobody was told of one that had not begun.
            is_early = window.start_time > now
            ended = replace(ended, told_start=True, told_end=is_early)
            await self._changed(
                store, lambda windows: [ended if one.id == id else one for one in windows]
            )
            after = Windows(tuple(ended if one.id == id else one for one in present))
            for urgent in (False, True):
                held = before.held_until(window.start_time, urgent=urgent)
                until = after.held_until(now, urgent=urgent) or now
                if held is not None and until < held:
                    await store.release(held, until, urgent=urgent)
        return ended

    async def turn(self) -> float:
        """Tell of those that begin and end; the seconds until the next look."""
        now = self._clock.now()
        async with self._begin() as store:
            settings = await store.settings()
        for window in settings.windows.windows:
            if not window.told_start and window.start_time <= now:
                await self._told(window, "start", *beginning(window))
            if not window.told_end and window.end_time <= now:
                async with self._begin() as store:
                    standing = await store.standing(window)
                await self._told(window, "end", *end(window, standing))
        return _pause_seconds(settings, self._clock.now())

    async def _told(self, window: MaintenanceWindow, which: str, subject: str, body: str) -> None:
        """Once over all processes and crashes: by its request id."""
        draft = Draft(
            request_id=f"{window.id}-{which}",
            level=Level.MEDIUM,
            subject=subject[:300],
            body=body,
            source=OWN_SOURCE,
            kind=Kind.NEWS,
        )
        # Told before it could be written down; what stands has changed since, and so the words.
        with suppress(AlreadyExists):
            await self._send(draft)

        def told(windows: Sequence[MaintenanceWindow]) -> Sequence[MaintenanceWindow]:
            return [
                replace(one, told_start=True, told_end=one.told_end or which == "end")
                if one.id == window.id
                else one
                for one in windows
            ]

        async with self._begin() as store:
            await self._changed(store, told)

    async def _changed(
        self,
        store: WindowStore,
        change: Callable[[Sequence[MaintenanceWindow]], Sequence[MaintenanceWindow]],
    ) -> None:
        settings, now = await store.settings(), self._clock.now()
        kept = [one for one in change(settings.windows.windows) if one.end_time > now - KEPT]
        windows = Windows(tuple(sorted(kept, key=lambda one: (one.start_time, one.id))))
        if not await store.put_windows(windows, settings.etag(WINDOWS), now):
            raise Conflict("ETAG_MISMATCH", "the windows were changed meanwhile: do it again")


def _pause_seconds(settings: Settings, now: datetime) -> float:
    windows = settings.windows.windows
    moments = [moment for one in windows for moment in (one.start_time, one.end_time)]
    left = [(moment - now).total_seconds() for moment in moments if moment > now]
    return max(min([*left, _LOOK_SECONDS]), _SHORTEST_SECONDS)
