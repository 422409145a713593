"""PostgreSQL's own types as the driver knows them, asked for once a process of tests.

The driver asks each connection anew about every kind of array, by a query that costs PostgreSQL
more than all else a short connection does. Types of a number below are the same in every database.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import asyncpg

_FIRST_MADE_BY_USERS = 16384


@dataclass(frozen=True)
class _NothingAsked:
    """In the place of the statement that asks: it did not run, and spoiled no other one."""

    name: str = "known"


def remember() -> None:
    """From now on, for every connection of this process."""
    ask = asyncpg.Connection._introspect_types
    known: dict[frozenset[int], Any] = {}

    async def introspect(
        connection: asyncpg.Connection[Any], type_numbers: Iterable[int], timeout: float | None
    ) -> tuple[Any, Any]:
        wanted = frozenset(type_numbers)
        if wanted in known:
            return known[wanted], _NothingAsked()
        types, statement = await ask(connection, wanted, timeout)
        if max(wanted) < _FIRST_MADE_BY_USERS:
            known[wanted] = types
        return types, statement

    asyncpg.Connection._introspect_types = introspect
