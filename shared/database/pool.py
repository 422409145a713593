"""A service's pool of connections: one transaction a call, failures in our own words.

Constraint violations reach the store as the driver's, such as `asyncpg.UniqueViolationError`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from types import TracebackType
from typing import Any, Literal, TypeVar

import asyncpg

from shared.database.address import plain
from shared.database.failures import FULL, meaning_of, meant
from shared.database.lending import Lending, Loan
from shared.database.transaction import Query, Transaction, ready, telling_sql
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
        # What transactions have asked for of tables, for all that follow.
        self.column_types: dict[str, dict[str, str]] = {}
        self._pool: Lending | None = None

    async def start(self) -> None:
        """Nothing to do: readiness is ping(), and the database may come later than we do."""

    async def stop(self) -> None:
        """Close every connection of the pool."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.close(_CLOSE_SECONDS)

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
        return 0 if self._pool is None else self._pool.used_count

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
        async with self.transaction("AUTOCOMMIT") as transaction:
            with telling_sql(query):
                return await transaction.driver.fetch(query, *arguments)

    def transaction(
        self, isolation: Isolation | None = None
    ) -> AbstractAsyncContextManager[Transaction]:
        """One transaction: committed at the end of the block, rolled back when it raises.

        REPEATABLE READ reads one moment over several statements; AUTOCOMMIT commits each statement
        by itself. Raises Conflict (serialisation, deadlock, lock) and Unavailable (connection,
        pool, timeout).
        """
        return _Opened(self, isolation, lambda transaction: transaction)

    def open(
        self, store: Callable[[Transaction], StoreT], *, isolation: Isolation | None = None
    ) -> Callable[[], AbstractAsyncContextManager[StoreT]]:
        """A way to open `store` on a transaction of its own: `async with opened() as store`."""
        return lambda: _Opened(self, isolation, store)

    async def acquire(self) -> tuple[Lending, Loan]:
        """A connection, and whose it is, to be given back there."""
        pool = self._pool
        if pool is None:
            pool = self._pool = Lending(self._open, self._pool_size, _POOL_WAIT_SECONDS)
        try:
            return pool, await pool.lend()
        except TimeoutError as error:
            raise Unavailable(
                "DATABASE_BUSY",
                "no database connection became free",
                retry_after=timedelta(seconds=1),
            ) from error

    def meaning(self, error: BaseException) -> BaseException:
        """What is to be raised for what a block met: the same, or what it means."""
        told = meant(error) or error
        if isinstance(told, Unavailable) and told.reason == FULL:
            self._is_full = True
        return told

    async def _open(self) -> asyncpg.Connection[asyncpg.Record]:
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


class _Opened(AbstractAsyncContextManager[StoreT]):
    """A connection of the pool while the block runs, in a transaction unless each statement commits
    by itself. Every read opens one, so it is one object and not a chain of generators.
    """

    __slots__ = ("_database", "_isolation", "_loan", "_make", "_pool", "_transaction")

    def __init__(
        self, database: Database, isolation: Isolation | None, make: Callable[[Transaction], StoreT]
    ) -> None:
        self._database = database
        self._isolation = isolation
        self._make = make

    async def __aenter__(self) -> StoreT:
        database = self._database
        try:
            self._pool, self._loan = await database.acquire()
            try:
                await self._begin()
                return self._make(Transaction(self._loan.driver, database.column_types))
            except BaseException:
                self._pool.give_back(self._loan, is_clean=False)
                raise
        except Exception as error:
            told = database.meaning(error)
            if told is error:
                raise
            raise told from error

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        failure = error
        # Ended by its own word; else a statement may be under way that nobody waits for.
        is_clean = error is None or self._transaction is not None
        try:
            if self._transaction is not None:
                await self._transaction.__aexit__(kind, error, trace)
        except BaseException as later:  # noqa: BLE001  # raised below, by its meaning
            failure, is_clean = later, False
        self._pool.give_back(self._loan, is_clean=is_clean)
        if failure is None:
            return
        told = self._database.meaning(failure)
        if told is not failure:
            raise told from failure
        if failure is not error:
            raise failure

    async def _begin(self) -> None:
        self._transaction: asyncpg.transaction.Transaction | None = None
        if self._isolation != "AUTOCOMMIT":
            begun = self._loan.driver.transaction(isolation=_ISOLATIONS.get(self._isolation))
            await begun.start()
            self._transaction = begun
