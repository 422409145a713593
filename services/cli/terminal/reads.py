"""Reading for the screen beside it: keys are answered while a service is not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any


class Reads:
    """Reads by name, each at most once at a time and none waiting for another.

    `start` lets a coroutine run beside the caller. Who asks for one that is under way gets it once
    more, begun after its end: what it then reads is not older than the question.
    """

    def __init__(self, start: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self._start = start
        # By name: what is to be read once more, None when nobody asked again.
        self._under_way: dict[str, Callable[[], Awaitable[None]] | None] = {}

    def ask(self, name: str, read: Callable[[], Awaitable[None]]) -> None:
        """Read soon; returns at once."""
        if name in self._under_way:
            self._under_way[name] = read
            return
        self._under_way[name] = None
        self._start(self._run(name, read))

    async def _run(self, name: str, read: Callable[[], Awaitable[None]]) -> None:
        try:
            wanted: Callable[[], Awaitable[None]] | None = read
            while wanted is not None:
                self._under_way[name] = None
                await wanted()
                wanted = self._under_way[name]
        finally:
            del self._under_way[name]
