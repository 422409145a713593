"""A task that goes on: one that ends though nobody stopped it is said, and begun again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Self

from shared.backoff import backoff_seconds
from shared.clock import Clock

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0
# What went on for so long begins again soon.
_HEALTHY_SECONDS = 60.0


class Steady:
    """`work` from when it is made until stop(), or until it returns: what it meets, or a
    cancellation that is not ours, is said and it begins again, later and later.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Coroutine[Any, Any, None]],
        say: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self.name = name
        self._work = work
        self._say = say
        self._clock = clock
        self._end_count = 0
        self._task: asyncio.Task[None] | None = None
        self._begin(0.0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def _begin(self, pause_seconds: float) -> None:
        self._begun = self._clock.monotonic() + pause_seconds
        self._task = asyncio.create_task(self._run(pause_seconds), name=self.name)
        self._task.add_done_callback(self._ended)

    async def _run(self, pause_seconds: float) -> None:
        if pause_seconds:
            await self._clock.sleep(pause_seconds)
        await self._work()

    def _ended(self, task: asyncio.Task[None]) -> None:
        problem = asyncio.CancelledError() if task.cancelled() else task.exception()
        if task is not self._task or problem is None:
            return
        is_healthy = self._clock.monotonic() - self._begun > _HEALTHY_SECONDS
        self._end_count = 1 if is_healthy else self._end_count + 1
        pause = backoff_seconds(self._end_count, _FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        self._begin(pause)
        self._say(f"{self.name} ended ({problem!r}); again in {pause:g} s")
