"""LISTEN: what this and other processes say about work, progress, cancels and the lease, as words.

Nobody relies on it alone: a lost notice costs time, never a cycle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.cyclone.store.rows import CHANNEL
from shared.database.engine import Database
from shared.database.listen import listen

Hear = Callable[[str], None]


class Notices:
    """A Part that holds one connection. Hearers get the word said, or "" when some may have been
    missed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hearers: set[Hear] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(
            listen(self._database, CHANNEL, self._spread), name="notices"
        )

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    @contextmanager
    def heard_by(self, hear: Hear) -> Iterator[None]:
        self._hearers.add(hear)
        try:
            yield
        finally:
            self._hearers.discard(hear)

    def _spread(self, word: str) -> None:
        for hear in tuple(self._hearers):
            hear(word)
