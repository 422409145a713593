"""One transaction on one connection: statements in, the driver's records out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import asyncpg
from sqlalchemy import ClauseElement

from shared.database.statement import Statement

Driver: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Query = Statement | ClauseElement


class Transaction:
    """What a store works with; see `Database.transaction`.

    A query is a Statement, made once, or a statement of SQLAlchemy Core put together on the spot
    (which costs its compilation each time). JSON comes as text.
    """

    def __init__(self, driver: Driver, column_types: dict[str, dict[str, str]]) -> None:
        # For bulk work: COPY, and SQL with $1, $2 that is built elsewhere.
        self.driver = driver
        # By table and column, as far as they were asked for: see shared.database.bulk.
        self.column_types = column_types

    async def fetch(self, query: Query, /, **values: object) -> list[asyncpg.Record]:
        """All rows."""
        statement = ready(query, values)
        with telling_sql(statement.sql):
            return await self.driver.fetch(statement.sql, *statement.arguments(values))

    async def first(self, query: Query, /, **values: object) -> asyncpg.Record | None:
        """The first row, if any."""
        statement = ready(query, values)
        # Every read passes here, so it is no context manager.
        try:
            return await self.driver.fetchrow(statement.sql, *statement.arguments(values))
        except asyncpg.PostgresError as error:
            error.add_note(_sql_note(statement.sql))
            raise

    async def scalar(self, query: Query, /, **values: object) -> Any:
        """The first value of the first row; None when there is none."""
        row = await self.first(query, **values)
        return None if row is None else row[0]

    async def execute(self, query: Query, /, **values: object) -> int:
        """How many rows it inserted, changed, deleted or found."""
        statement = ready(query, values)
        with telling_sql(statement.sql):
            status = await self.driver.execute(statement.sql, *statement.arguments(values))
        return int(count) if (count := status.rpartition(" ")[2]).isdigit() else 0

    async def many(self, query: Query, rows: Sequence[Mapping[str, object]]) -> None:
        """The statement once for each of the rows, which have the same names."""
        if not rows:
            return
        statement = ready(query, rows[0])
        with telling_sql(statement.sql):
            await self.driver.executemany(statement.sql, [statement.arguments(row) for row in rows])


def ready(query: Query, values: Mapping[str, object]) -> Statement:
    """The query as a Statement."""
    return query if isinstance(query, Statement) else Statement(query, values or None)


@contextmanager
def telling_sql(sql: str) -> Iterator[None]:
    """An error of the database says which statement it was; the values stay unsaid."""
    try:
        yield
    except asyncpg.PostgresError as error:
        error.add_note(_sql_note(sql))
        raise


def _sql_note(sql: str) -> str:
    return f"SQL: {sql}"
