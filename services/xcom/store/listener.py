"""LISTEN: wakes who waits for it when a delivery was stored by this or another process.

Nobody relies on it alone: a payload that is missed costs time, never a message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from shared.database.listen import listen
from shared.database.pool import Database

# The channel of LISTEN / NOTIFY on which new deliveries are announced, and for whom.
NOTIFY_CHANNEL: Final = "xcom_delivery"
HIGH: Final = "high"
QUIET: Final = "quiet"
SOUNDS: Final = "sounds"


class Listener:
    """A Part that holds the one connection of `database`; wakes everybody after every
    (re)connection too.

    A payload says for whom it is (empty: for all) and, when its sender has woken its own already,
    who sent it.
    """

    def __init__(
        self, database: Database, own_name: str, wakes: Mapping[str, Callable[[], None]]
    ) -> None:
        self._database = database
        self._own_name = own_name
        self._wakes = wakes
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(
            listen(self._database, NOTIFY_CHANNEL, self._hear), name="xcom listener"
        )

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def _hear(self, payload: str) -> None:
        wanted, _, sender = payload.partition(" ")
        if sender == self._own_name:
            return
        for name, wake in self._wakes.items():
            if wanted in ("", name):
                wake()
