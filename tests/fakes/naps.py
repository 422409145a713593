"""Time as this process could use it, for tests that bound how long something takes."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

_NAP_SECONDS = 0.01


class Naps:
    """`async with Naps() as naps: ...; assert naps.seconds < 5`.

    Counted in naps of the loop: a machine that is busy with others wakes it late, and the seconds
    are as much longer as everything else.
    """

    def __init__(self) -> None:
        self._count = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def seconds(self) -> float:
        return self._count * _NAP_SECONDS

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._nap())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _nap(self) -> None:
        while True:
            await asyncio.sleep(_NAP_SECONDS)
            self._count += 1
