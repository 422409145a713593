"""Connections of a service's pool that are kept for the next test.

Opening one costs PostgreSQL and us 10 ms, and what it plans for the first time as much again; a
test with servers opens a dozen. One that a pool closes is kept when it is in no transaction and
listens to nobody, and is given to the next pool of the same address and name.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import asyncpg

from shared.database import pool
from shared.database.pool import Database

_kept: dict[tuple[str, str], list[_Kept]] = defaultdict(list)
# Counts of rows written are otherwise told once a second at most.
_LEAVE = "select pg_stat_force_next_flush(), pg_advisory_unlock_all()"


class _Kept(pool._Connection):
    """Closed, it is only taken from its pool."""

    owner: tuple[str, str]

    async def close(self, *, timeout: float | None = None) -> None:
        if self.is_closed() or self.is_in_transaction() or self._listeners:
            return await super().close(timeout=timeout)
        try:
            await self.execute(_LEAVE, timeout=timeout)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            return await super().close(timeout=timeout)
        holder = self._pool_holder and self._pool_holder()
        self._pool_holder = None
        if holder is not None:
            holder._release_on_close()
        _kept[self.owner].append(self)
        return None


def keep() -> None:
    """From now on, for every pool of this process."""
    open_one = Database._open

    async def opened(database: Database, *others: object, **settings: object) -> Any:
        key = (database._address, database.name)
        idle = _kept[key]
        while idle:
            connection = idle.pop()
            if not connection.is_closed():
                return connection
        connection = await open_one(database, *others, **settings)
        connection.owner = key
        return connection

    pool._Connection = _Kept  # type: ignore[misc]
    Database._open = opened  # type: ignore[method-assign]


def kept_processes() -> list[int]:
    """PostgreSQL's process of each that is kept."""
    return [
        connection.get_server_pid()
        for idle in _kept.values()
        for connection in idle
        if not connection.is_closed()
    ]
