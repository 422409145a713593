"""SQL made ready once for the driver: from text with :names, or from SQLAlchemy Core."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import ClauseElement, text
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql.compiler import SQLCompiler

from shared.rows import Row

__all__ = ["Query", "Row", "Statement"]

Query = str | ClauseElement
_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]  # the library leaves it untyped


class Statement:
    """`sql` with $1, $2 and `arguments(values)` are what the driver takes.

    `columns`: those an insert or update of Core sets, when it does not say so itself.
    """

    def __init__(self, query: Query, columns: Collection[str] | None = None) -> None:
        element = text(query) if isinstance(query, str) else query
        compiled = element.compile(
            dialect=_DIALECT,
            column_keys=None if columns is None else list(columns),
            compile_kwargs={"render_postcompile": True},
        )
        if not isinstance(compiled, SQLCompiler):
            raise TypeError(f"not a statement: {query}")
        self.sql = str(compiled)
        self._names = tuple(compiled.positiontup or ())
        # What the statement holds itself; a name without a value is not among them.
        self._given = {
            name: value
            for name, value in compiled.params.items()
            if name in self._names and not _is_required(compiled, name)
        }
        self._dumps = {
            name: dump for name in self._names if (dump := _dump(compiled, name)) is not None
        }

    def arguments(self, values: Mapping[str, object]) -> list[object]:
        """In the order of the driver; KeyError for a name without a value."""
        named = {**self._given, **values} if self._given else values
        if not self._dumps:
            return [named[name] for name in self._names]
        return [
            self._dumps[name](named[name]) if name in self._dumps else named[name]
            for name in self._names
        ]


def _is_required(compiled: SQLCompiler, name: str) -> bool:
    bound = compiled.binds.get(name)
    return bound is not None and bound.required


def _dump(compiled: SQLCompiler, name: str) -> Callable[[Any], Any] | None:
    """How the column's type makes a value what the driver takes: JSON becomes text."""
    bound = compiled.binds.get(name)
    return None if bound is None else bound.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
