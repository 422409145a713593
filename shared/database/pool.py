"""A service's pool of connections: one transaction a call, failures in our own words.

Constraint violations reach the store as the driver's, such as `asyncpg.UniqueViolationError`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any, Literal, TypeVar

import asyncpg

from shared.database.address import plain
from shared.database.failures import FULL, meaning_of, translated
from shared.database.transaction import Driver, Query, Transaction, ready, telling_sql
from shared.errors import Unavailable

StoreT = TypeVar("StoreT")
Isolation = Literal["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "AUTOCOMMIT"]

_CONNECT_SECONDS = 5.0
_POOL_WAIT_SECONDS = 10.0
_CLOSE_SECONDS = 2.0
_RETRY_AFTER = timedelta(seconds=1)
_ISOLATIONS: dict[str | None, Literal["repeatable_read", "serializable"]] = {
    "REPEATABLE READ": "repeatable_read",
    "SERIALIZABLE": "serializable",
}
# A host that is gone without a word breaks what waits for it after half a minute: by itself TCP
# resends for a quarter of an hour, and waits for an answer for ever. Names that a system lacks are
# left out.
_KEPT_ALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}
# Three pages of a table that is gone with the transaction.
_WRITE_A_LITTLE = (
    "create temporary table room_probe (filler text) on commit drop",
    "insert into room_probe select md5(n::text) from generate_series(1, 400) n",
)


class Database:
    """A pool on one URL; a Part. Nothing is opened before the first use, so a service starts
    without it.

    A transaction holds one connection; a second one inside it can wait for itself when the pool is
    used up.
    """

    def __init__(self, url: str, *, pool_size: int = 5, application_name: str = "sonic") -> None:
        self._address = plain(url)
        self._application_name = application_name
        self._pool_size = pool_size
        # The last write found no room; only another one can tell that there is some again.
        self._is_full = False
        self._column_types: dict[str, dict[str, str]] = {}
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def start(self) -> None:
        """Nothing to do: readiness is ping(), and the database may come later than we do."""

    async def stop(self) -> None:
        """Close every connection of the pool."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            try:
                await asyncio.wait_for(pool.close(), _CLOSE_SECONDS)
            except TimeoutError:
                pool.terminate()

    @property
    def name(self) -> str:
        """What its connections are called."""
        return self._application_name

    @property
    def size(self) -> int:
        """Connections at most."""
        return self._pool_size

    @property
    def used_count(self) -> int:
        """Connections that somebody works with now."""
        pool = self._pool
        return 0 if pool is None else pool.get_size() - pool.get_idle_size()

    async def ping(self) -> None:
        """A real query; Unavailable when it cannot be answered."""
        await self.fetch("select 1")

    async def has_room(self) -> None:
        """Unavailable DATABASE_FULL while the disk is full: reading goes on then, and would look
        well.

        Asks nothing unless a write failed for it; then it writes a little that is taken back.
        """
        if not self._is_full:
            return
        async with self.transaction() as transaction:
            for sql in _WRITE_A_LITTLE:
                await transaction.driver.execute(sql)
        self._is_full = False

    async def fetch(
        self, query: str | Query, /, *arguments: object, **values: object
    ) -> list[asyncpg.Record]:
        """The rows of one statement, committed by itself; errors as in transaction()."""
        if not isinstance(query, str):
            statement = ready(query, values)
            query, arguments = statement.sql, tuple(statement.arguments(values))
        with self._noticing(), translated():
            async with self._connection() as driver:
                with telling_sql(query):
                    return await driver.fetch(query, *arguments)

    @asynccontextmanager
    async def transaction(self, isolation: Isolation | None = None) -> AsyncIterator[Transaction]:
        """One transaction: committed at the end of the block, rolled back when it raises.

        REPEATABLE READ reads one moment over several statements; AUTOCOMMIT commits each statement
        by itself. Raises Conflict (serialisation, deadlock, lock) and Unavailable (connection,
        pool, timeout).
        """
        with self._noticing(), translated():
            async with self._connection() as driver:
                if isolation == "AUTOCOMMIT":
                    yield Transaction(driver, self._column_types)
                    return
                async with driver.transaction(isolation=_ISOLATIONS.get(isolation)):
                    yield Transaction(driver, self._column_types)

    def open(
        self, store: Callable[[Transaction], StoreT], *, isolation: Isolation | None = None
    ) -> Callable[[], AbstractAsyncContextManager[StoreT]]:
        """A way to open `store` on a transaction of its own: `async with opened() as store`."""

        @asynccontextmanager
        async def opened() -> AsyncIterator[StoreT]:
            async with self.transaction(isolation) as transaction:
                yield store(transaction)

        return opened

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Driver]:
        if self._pool is None:
            self._pool = asyncpg.create_pool(
                min_size=0, max_size=self._pool_size, connect=self._open, reset=_leave
            )
        # Opens nothing yet: only connections that are asked for are made.
        await self._pool
        try:
            driver = await self._pool.acquire(timeout=_POOL_WAIT_SECONDS)
        except TimeoutError as error:
            raise Unavailable(
                "DATABASE_BUSY",
                "no database connection became free",
                retry_after=timedelta(seconds=1),
            ) from error
        try:
            yield driver
        finally:
            await self._pool.release(driver)

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        try:
            yield
        except Unavailable as error:
            self._is_full = self._is_full or error.reason == FULL
            raise

    async def _open(
        self, *_pool: object, **_settings: object
    ) -> asyncpg.Connection[asyncpg.Record]:
        try:
            return await asyncpg.connect(
                self._address,
                timeout=_CONNECT_SECONDS,
                connection_class=_Connection,
                server_settings={
                    "application_name": self._application_name,
                    "timezone": "UTC",
                    "jit": "off",
                },
            )
        except (OSError, TimeoutError) as error:
            raise Unavailable(
                "DATABASE_UNAVAILABLE",
                "the database cannot be reached",
                retry_after=timedelta(seconds=1),
            ) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise meaning_of(error) or error from error


class _Connection(asyncpg.Connection):
    """The driver's, on a socket that notices that the other end is gone."""

    def __init__(self, protocol: Any, transport: asyncio.Transport, *others: Any) -> None:
        super().__init__(protocol, transport, *others)
        found: socket.socket = transport.get_extra_info("socket")
        if found.family == socket.AF_UNIX:
            return
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEPT_ALIVE.items():
            if hasattr(socket, name):
                found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _leave(_connection: object) -> None:
    """Readers leave nothing behind that would have to be reset."""
