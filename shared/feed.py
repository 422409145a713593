"""What many watchers are told alike is worked out once."""

import asyncio
import contextvars
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

# Watchers that keep up all ask for the same; a few more for those that lag.
_KEPT_COUNT = 8


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
