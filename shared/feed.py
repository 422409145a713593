"""What every Watch shares: a feed of states for any number of watchers; work that is alike for
several of them is done once.
"""

import asyncio
import contextvars
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from shared.clock import Clock
from shared.lifecycle import Loop

T = TypeVar("T")

# Watchers that keep up all ask for the same; a few more for those that lag.
_KEPT_COUNT = 8
_IDLE_SECONDS = 3600.0


class Alike(Generic[T]):
    """Work that several watchers ask for under one key, done by the first."""

    def __init__(self) -> None:
        self._work: OrderedDict[Hashable, asyncio.Task[T]] = OrderedDict()

    async def get(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The outcome of `work`; one that failed is asked for again."""
        task = self._work.get(key)
        if task is None:
            # It belongs to no caller: neither its deadline nor its leaving may end it for the
            # others.
            task = asyncio.create_task(work(), context=contextvars.Context())
            self._work[key] = task
            task.add_done_callback(lambda done: self._forget_failed(key, done))
            while len(self._work) > _KEPT_COUNT:
                self._work.popitem(last=False)
        return await asyncio.shield(task)

    def _forget_failed(self, key: Hashable, done: asyncio.Task[T]) -> None:
        if (done.cancelled() or done.exception() is not None) and self._work.get(key) is done:
            del self._work[key]


class Feed(Generic[T]):
    """A Part: the states of something, whichever process changes it.

    While somebody watches, it asks every `poll_seconds`, and at once after `wake`, for the state
    after the last one: `changed(seen)`, None while there is none; by default `present()` when it is
    another. The last `kept_count` of them wait for watchers that are slow; who is further behind
    goes on from `present()`. So a slow watcher costs no memory and holds up nobody.
    """

    def __init__(
        self,
        name: str,
        present: Callable[[], Awaitable[T]],
        clock: Clock,
        *,
        changed: Callable[[T], Awaitable[T | None]] | None = None,
        kept_count: int = 1,
        poll_seconds: float = 1.0,
    ) -> None:
        self._present = present
        self._changed = changed or self._other
        self._poll_seconds = poll_seconds
        self._loop = Loop(name, self._poll, clock)
        self.name, self.failed = name, self._loop.failed
        # States are read one after the other, so that none is older than the one before.
        self._reading = asyncio.Lock()
        self._published = asyncio.Condition()
        self._states: deque[T] = deque(maxlen=kept_count)
        self._number = 0
        self._newest: T | None = None
        self._watcher_count = 0

    async def start(self) -> None:
        await self._loop.start()

    async def stop(self) -> None:
        await self._loop.stop()

    def wake(self) -> None:
        """Something was written here: read now."""
        if self._watcher_count:
            self._loop.wake()

    async def watch(self) -> AsyncIterator[tuple[T, bool]]:
        """The present state, then every later one; True: others before it were left out, and it is
        the present one.

        Raises what `present` raises.
        """
        self._watcher_count += 1
        try:
            state, number = await self._read_present()
            yield state, False
            while True:
                async with self._published:
                    await self._published.wait_for(lambda: self._number > number)  # noqa: B023  # waited for at once
                behind_count = self._number - number
                if behind_count <= len(self._states):
                    number += 1
                    yield self._states[-behind_count], False
                else:
                    state, number = await self._read_present()
                    yield state, True
        finally:
            self._watcher_count -= 1

    async def _read_present(self) -> tuple[T, int]:
        async with self._reading:
            state = await self._present()
            if self._newest is None:
                self._newest = state
                self._loop.wake()
            return state, self._number

    async def _poll(self) -> float:
        if not self._watcher_count:
            self._newest = None
            self._states.clear()
            return _IDLE_SECONDS
        async with self._reading:
            if self._newest is not None:
                await self._publish(await self._changed(self._newest))
        return self._poll_seconds

    async def _publish(self, state: T | None) -> None:
        if state is None:
            return
        async with self._published:
            self._newest = state
            self._states.append(state)
            self._number += 1
            self._published.notify_all()

    async def _other(self, seen: T) -> T | None:
        state = await self._present()
        return None if state == seen else state
