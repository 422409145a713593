"""SQL with :names made ready once for the driver, which knows only $1, $2; knows no table."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

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
