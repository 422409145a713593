"""LISTEN: rings when a delivery was stored by this or another process.

Nobody relies on it alone: a ring that is missed costs time, never a message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from services.xcom.store.rows import BELL
from shared.database.engine import Database
from shared.database.listen import listen


class Listener:
    """A Part that holds the one connection of `database`; rings everybody after every
    (re)connection too.

    A ring says for whom (nobody named: all hearers) and, when its sender was told already, who
    rang.
    """

    def __init__(
        self, database: Database, own_name: str, hearers: Mapping[str, Callable[[], None]]
    ) -> None:
        self._database = database
        self._own_name = own_name
        self._hearers = hearers
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(
            listen(self._database, BELL, self._ring), name="xcom listener"
        )

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def _ring(self, said: str = "") -> None:
        wanted, _, ringer = said.partition(" ")
        if ringer == self._own_name:
            return
        for name, hear in self._hearers.items():
            if wanted in ("", name):
                hear()
