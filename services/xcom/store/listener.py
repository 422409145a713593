"""LISTEN: rings when a delivery was stored by this or another process.

Nobody relies on it alone: a ring that is missed costs time, never a message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import asyncpg

from services.xcom.store.rows import BELL
from shared.database.engine import Database
from shared.errors import SonicError
from shared.log import get_logger

_FIRST_RETRY_SECONDS = 0.5
_LONGEST_RETRY_SECONDS = 10.0


class Listener:
    """A Part that holds the one connection of `database`; rings everybody after every (re)connection too.

    A ring says for whom (nobody named: all hearers) and, when its sender was told already, who rang.
    """

    def __init__(self, database: Database, own_name: str, hearers: Mapping[str, Callable[[], None]]) -> None:
        self._database = database
        self._own_name = own_name
        self._hearers = hearers
        self._retry_seconds = _FIRST_RETRY_SECONDS
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="xcom listener")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except (SonicError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                get_logger().warning("not listening", problem=type(error).__name__)
            await asyncio.sleep(self._retry_seconds)
            self._retry_seconds = min(self._retry_seconds * 2, _LONGEST_RETRY_SECONDS)

    async def _listen(self) -> None:
        lost = asyncio.Event()
        async with self._database.begin("AUTOCOMMIT") as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            if not isinstance(driver, asyncpg.Connection):
                raise TypeError("not a connection of asyncpg")

            def hear(_connection: object, _pid: int, _channel: str, payload: object) -> None:
                self._ring(str(payload))

            def end(_connection: object) -> None:
                lost.set()

            driver.add_termination_listener(end)
            await driver.add_listener(BELL, hear)
            self._retry_seconds = _FIRST_RETRY_SECONDS
            try:
                self._ring()
                await lost.wait()
            finally:
                driver.remove_termination_listener(end)
                if not driver.is_closed():
                    await driver.remove_listener(BELL, hear)

    def _ring(self, said: str = "") -> None:
        wanted, _, ringer = said.partition(" ")
        if ringer == self._own_name:
            return
        for name, hear in self._hearers.items():
            if wanted in ("", name):
                hear()
