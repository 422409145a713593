"""Connections of a service's pool that are kept for the next test.

Opening one costs PostgreSQL and us 10 ms, and what it plans for the first time as much again; a
test with servers opens a dozen. One that a pool closes is kept when it is in no transaction and
listens to nobody, and is given to the next pool of the same address and name.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

from shared.database import pool
from shared.database.pool import Database

_kept: dict[tuple[str, str], list[_Kept]] = defaultdict(list)
# Counts of rows written are otherwise told once a second at most.
# The loop of the tests: what is opened in another one, as commands in a thread do, ends with it.
_loop: list[asyncio.AbstractEventLoop] = []
_LEAVE = "select pg_stat_force_next_flush(), pg_advisory_unlock_all()"


class _Kept(pool._Connection):
    """Closed, it is only taken from its pool."""

    owner: tuple[str, str]

    async def close(self, *, timeout: float | None = None) -> None:
        if self._is_of_no_use():
            return await super().close(timeout=timeout)
        try:
            await self.execute(_LEAVE, timeout=timeout)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            return await super().close(timeout=timeout)
        _kept[self.owner].append(self)
        return None

    def _is_of_no_use(self) -> bool:
        is_free = not self.is_in_transaction() and not self._listeners
        return self.is_closed() or not is_free or self._loop not in _loop


def keep() -> None:
    """From now on, for every pool of the running loop."""
    _loop.append(asyncio.get_running_loop())
    open_one = Database._open

    async def opened(database: Database) -> Any:
        key = (database._address, database.name)
        idle = _kept[key]
        while idle and asyncio.get_running_loop() in _loop:
            connection = idle.pop()
            if not connection.is_closed():
                return connection
        connection = await open_one(database)
        connection.owner = key
        return connection

    pool._Connection = _Kept  # type: ignore[misc]
    Database._open = opened  # type: ignore[method-assign]


@contextmanager
def none_kept() -> Iterator[None]:
    """For tests of when connections close: none is there before, none stays meanwhile."""
    for idle in _kept.values():
        while idle:
            idle.pop().terminate()
    loops = _loop[:]
    _loop.clear()
    yield
    _loop.extend(loops)


def kept_processes() -> list[int]:
    """PostgreSQL's process of each that is kept."""
    return [
        connection.get_server_pid()
        for idle in _kept.values()
        for connection in idle
        if not connection.is_closed()
    ]
