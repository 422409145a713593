"""SQL with :names made ready once for the driver, which knows $1, $2; a row as it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy import text
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg


class Row(Protocol):
    """By column name: the driver's records, and SQLAlchemy's rows by `mappings()`."""

    def __getitem__(self, name: str, /) -> Any: ...


_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]  # the library leaves it untyped


class Statement:
    """`sql` and `arguments(values)` are what `Database.fetch` takes."""

    def __init__(self, sql: str) -> None:
        compiled = text(sql).compile(dialect=_DIALECT)
        self.sql = str(compiled)
        self._names = tuple(compiled.positiontup or ())

    def arguments(self, values: Mapping[str, object]) -> list[object]:
        """In the order of the driver; KeyError for a name without a value."""
        return [values[name] for name in self._names]
