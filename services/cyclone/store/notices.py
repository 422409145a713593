"""LISTEN: what this and other processes say about work, progress, cancels and the lease, as words.

Nobody relies on it alone: a lost notice costs time, never a cycle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import asyncpg

from services.cyclone.store.rows import CHANNEL
from shared.database.engine import Database
from shared.errors import SonicError
from shared.log import get_logger

_RETRY_SECONDS = 0.5
Hear = Callable[[str], None]


class Notices:
    """A Part that holds one connection. Hearers get the word said, or "" when some may have been missed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hearers: set[Hear] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="notices")

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

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except SonicError as error:
                get_logger().warning("not listening", problem=error.message)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _listen(self) -> None:
        lost = asyncio.Event()
        async with self._database.begin("AUTOCOMMIT") as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            if not isinstance(driver, asyncpg.Connection):
                raise TypeError("not a connection of asyncpg")

            def hear(_connection: object, _pid: int, _channel: str, payload: object) -> None:
                self._spread(str(payload))

            def end(_connection: object) -> None:
                lost.set()

            driver.add_termination_listener(end)
            await driver.add_listener(CHANNEL, hear)
            try:
                self._spread("")
                await lost.wait()
            finally:
                driver.remove_termination_listener(end)
                if not driver.is_closed():
                    await driver.remove_listener(CHANNEL, hear)

    def _spread(self, word: str) -> None:
        for hear in tuple(self._hearers):
            hear(word)
