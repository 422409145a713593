"""Keyset pages: complete, in order, without a row twice, whatever the ties and directions."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Double,
    Integer,
    MetaData,
    String,
    Table,
    select,
)

from shared.database import keyset
from shared.database.bulk import copy_in
from shared.database.pool import Database
from shared.errors import InvalidArgument
from tests.fakes.databases import Databases

sample = Table(
    "sample",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    Column("middle", Integer),
    Column("real", Double),
    Column("moment", DateTime(timezone=True)),
    Column("name", String),
)
_ROWS = 97


@pytest.fixture
async def database(samples: Databases) -> AsyncIterator[Database]:
    made = Database(samples.url("alpha"), pool_size=2)
    chance = np.random.default_rng(7)
    async with made.transaction() as connection:
        real = np.where(chance.random(_ROWS) < 0.2, np.nan, chance.integers(0, 4, _ROWS))
        await copy_in(connection, "sample", {"middle": chance.integers(0, 5, _ROWS), "real": real})
    yield made
    await made.stop()


async def _pages(database: Database, ordering: keyset.Ordering, size: int) -> list[tuple[Any, ...]]:
    columns = [column for column, _ in ordering]
    seen: list[tuple[Any, ...]] = []
    after: tuple[Any, ...] | None = None
    while True:
        async with database.transaction() as connection:
            query = keyset.apply(select(*columns), ordering, after, size)
            rows = [tuple(row) for row in await connection.fetch(query)]
        seen += rows[:size]
        if len(rows) <= size:
            return seen
        after = seen[-1]


@pytest.mark.parametrize("size", [1, 2, 10, 96, 97, 98])
@pytest.mark.parametrize("directions", list(itertools.product(("asc", "desc"), repeat=3)))
async def test_pages_are_the_whole_list_in_order(
    database: Database, size: int, directions: tuple[keyset.Direction, ...]
) -> None:
    columns = (sample.c.middle, sample.c.real, sample.c.id)
    ordering = list(zip(columns, directions, strict=True))
    paged = await _pages(database, ordering, size)
    whole = await _pages(database, ordering, 1000)
    assert len(whole) == _ROWS
    assert [row[2] for row in paged] == [row[2] for row in whole]


async def test_rows_that_come_and_go_between_pages_disturb_no_other_row(database: Database) -> None:
    ordering: keyset.Ordering = [(sample.c.middle, "desc"), (sample.c.id, "asc")]
    query = select(sample.c.middle, sample.c.id)
    async with database.transaction() as connection:
        first = [
            tuple(row) for row in await connection.fetch(keyset.apply(query, ordering, None, 30))
        ][:30]
        await connection.execute(sample.delete().where(sample.c.id == first[-1][1]))
        await connection.driver.execute("insert into sample (middle) values (9)")
        rest = [
            tuple(row)
            for row in await connection.fetch(keyset.apply(query, ordering, first[-1], 1000))
        ]
    assert len(first) + len(rest) == _ROWS
    assert {row[1] for row in first}.isdisjoint({row[1] for row in rest})


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (sample.c.id, "1"),
        (sample.c.id, 2**63),
        (sample.c.middle, 2**31),
        (sample.c.middle, -(2**31) - 1),
        (sample.c.id, 1.5),
        (sample.c.id, True),
        (sample.c.id, None),
        (sample.c.real, "x"),
        (sample.c.name, 3),
        (sample.c.moment, "2026-01-01"),
    ],
)
def test_a_key_of_another_type_is_refused(column: Column[Any], value: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        keyset.apply(select(column), [(column, "asc")], (value,), 10)
    assert caught.value.reason == "BAD_PAGE_TOKEN"


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        keyset.apply(select(sample.c.id), [(sample.c.id, "asc")], (1, 2), 10)


def test_one_direction_is_one_comparison_of_rows() -> None:
    ordering: keyset.Ordering = [(sample.c.moment, "desc"), (sample.c.id, "desc")]
    key = (datetime(2026, 1, 1, tzinfo=UTC), 5)
    assert "(sample.moment, sample.id) <" in str(
        keyset.apply(select(sample.c.id), ordering, key, 10)
    )
