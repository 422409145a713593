"""Bulk COPY: what goes in comes out, bit for bit, and what does not fit is refused whole."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray

from shared.database.bulk import copy_in, copy_out
from shared.database.pool import Database
from tests.fakes.databases import Databases

_SPEC = {
    "wide": "int8",
    "middle": "int4",
    "narrow": "int2",
    "real": "float8",
    "flag": "bool",
    "moment": "timestamptz",
}
_QUERY = f"select {', '.join(_SPEC)} from sample order by id"
# Years 1 to 9999: further out, PostgreSQL's and numpy's ranges differ.
_MICROSECONDS = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)


@pytest.fixture
async def database(samples: Databases) -> AsyncIterator[Database]:
    made = Database(samples.url("alpha"), pool_size=2)
    yield made
    await made.stop()


@st.composite
def tables(draw: st.DrawFn) -> dict[str, NDArray[Any]]:
    rows = draw(st.integers(0, 40))

    def column(kind: str, elements: st.SearchStrategy[Any] | None = None) -> NDArray[Any]:
        return draw(arrays_of.arrays(kind, rows, elements=elements))

    return {
        "wide": column("i8"),
        "middle": column("i4"),
        "narrow": column("i2"),
        "real": column("f8"),
        "flag": column("?"),
        "moment": column("i8", _MICROSECONDS),
    }


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(written=tables())
async def test_every_table_comes_back_as_it_went_in(
    database: Database, written: dict[str, NDArray[Any]]
) -> None:
    async with database.transaction() as connection:
        await connection.driver.execute("delete from sample")
        assert await copy_in(connection, "sample", written) == len(written["wide"])
        read = await copy_out(connection, _QUERY, _SPEC)
    for name, column in written.items():
        np.testing.assert_array_equal(read[name], column)
        assert read[name].dtype == column.dtype


async def test_moments_and_numbers_are_what_sql_says_they_are(database: Database) -> None:
    moments = np.array(
        ["2026-05-01T12:00:00.000001", "1969-12-31T23:59:59"], dtype="datetime64[us]"
    )
    async with database.transaction() as connection:
        await copy_in(connection, "sample", {"moment": moments, "real": np.array([np.nan, -0.5])})
        found = await connection.driver.fetch("select moment::text, real from sample order by id")
        rows = [tuple(row) for row in found]
    assert [text for text, _ in rows] == ["2026-05-01 12:00:00.000001+00", "1969-12-31 23:59:59+00"]
    assert np.isnan(rows[0][1])
    assert rows[1][1] == -0.5


async def test_texts_of_any_length_go_in_beside_numbers(database: Database) -> None:
    words = ["", "a", "über", "😀", "a", "longer than all the others", ""]
    numbers = np.arange(len(words))
    async with database.transaction() as connection:
        await connection.driver.execute("create temp table said (word text, wide int8, more text)")
        await copy_in(connection, "said", {"word": words, "wide": numbers, "more": words[::-1]})
        found = await connection.driver.fetch("select word, more from said order by wide")
    assert [tuple(row) for row in found] == list(zip(words, words[::-1], strict=True))


async def test_arguments_reach_the_query(database: Database) -> None:
    async with database.transaction() as connection:
        await copy_in(connection, "sample", {"wide": np.arange(10)})
        read = await copy_out(
            connection, "select wide from sample where wide >= $1", {"wide": "int8"}, 7
        )
    assert sorted(read["wide"].tolist()) == [7, 8, 9]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"middle": np.array([1 << 31])}, "does not fit"),
        ({"narrow": np.array([1.5])}, "does not go into"),
        ({"flag": np.array([1])}, "does not go into"),
        ({"absent": np.array([1])}, "no column absent"),
        ({"name": np.array([1])}, "varchar is not one of"),
        ({"wide": np.array([1]), "real": np.array([1.0, 2.0])}, "one length"),
        ({}, "one length"),
    ],
)
async def test_what_does_not_fit_is_refused(
    database: Database, columns: dict[str, NDArray[Any]], problem: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=problem):
        async with database.transaction() as connection:
            await copy_in(connection, "sample", columns)


async def test_a_narrower_whole_number_goes_into_a_wider_column(database: Database) -> None:
    async with database.transaction() as connection:
        await copy_in(
            connection, "sample", {"wide": np.array([-1], "i2"), "middle": np.array([2], "i8")}
        )
        read = await copy_out(
            connection, "select wide, middle from sample", {"wide": "int8", "middle": "int4"}
        )
    assert (read["wide"].tolist(), read["middle"].tolist()) == ([-1], [2])


@pytest.mark.parametrize(
    ("query", "spec"),
    [
        ("select null::int8", {"a": "int8"}),
        ("select * from (values (1::int8), (null)) rows", {"a": "int8"}),
        ("select 1::int4", {"a": "int8"}),
        ("select 1::int8, 2::int8", {"a": "int8"}),
        ("select 1::int4, 2::int8", {"a": "int8", "b": "int4"}),
    ],
)
async def test_an_answer_that_does_not_fit_the_spec_is_refused(
    database: Database, query: str, spec: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match="not"):
        async with database.transaction() as connection:
            await copy_out(connection, query, spec)


async def test_bulk_work_is_undone_with_its_transaction(database: Database) -> None:
    async def undone() -> None:
        async with database.transaction() as connection:
            await copy_in(connection, "sample", {"wide": np.arange(5)})
            raise RuntimeError("changed our mind")

    with pytest.raises(RuntimeError, match="changed our mind"):
        await undone()
    async with database.transaction() as connection:
        read = await copy_out(connection, "select count(*) from sample", {"count": "int8"})
    assert read["count"].tolist() == [0]


async def test_a_hundred_thousand_rows_are_timed(database: Database) -> None:
    rows = 100_000
    written = {
        "wide": np.arange(rows),
        "real": np.random.default_rng(1).random(rows),
        "flag": np.arange(rows) > 9,
    }
    async with database.transaction() as connection:
        started = time.perf_counter()
        await copy_in(connection, "sample", written)
        between = time.perf_counter()
        read = await copy_out(
            connection,
            "select wide, real, flag from sample",
            {"wide": "int8", "real": "float8", "flag": "bool"},
        )
        ended = time.perf_counter()
    into, out = (1e6 * seconds / rows for seconds in (between - started, ended - between))
    print(f"copy in {into:.2f} us/row, out {out:.2f} us/row")
    np.testing.assert_array_equal(read["real"], written["real"])
