"""Columns are the same bytes as the packed message."""

from typing import Any

import numpy as np
import pytest

from shared import columns
from shared.errors import InvalidArgument
from tests.contract.shared.echo import Columns, Word


def arrays() -> dict[str, columns.Array]:
    return {
        "heat": np.array([1.5, np.nan, -0.0]),
        "key": np.array([-1, 2**62, 3]),
        "asset": np.array([1, -2, 3], np.int32),
        "stale": np.array([True, False, True]),
    }


def test_an_encoded_message_is_the_message() -> None:
    parsed = Columns.FromString(columns.encode(Columns, arrays(), cycle="cyc-1", notes=["a", "b"]))
    assert parsed.cycle == "cyc-1"
    assert list(parsed.notes) == ["a", "b"]
    assert list(parsed.key) == [-1, 2**62, 3]
    assert list(parsed.asset) == [1, -2, 3]
    assert list(parsed.stale) == [True, False, True]
    assert parsed.heat[0] == 1.5
    assert np.isnan(parsed.heat[1])


def test_a_view_reads_what_the_message_wrote() -> None:
    sent = Columns(
        heat=[1.5, 2.5], key=[7, -8], asset=[1, 2], stale=[True, False], notes=["a"], cycle="cyc-1"
    )
    read: Any = columns.bytes_view(Columns).FromString(sent.SerializeToString())
    decoded = columns.decode(read)
    assert {name: array.tolist() for name, array in decoded.items()} == {
        "heat": [1.5, 2.5],
        "key": [7, -8],
        "asset": [1, 2],
        "stale": [True, False],
    }
    assert (read.cycle, list(read.notes)) == ("cyc-1", ["a"])


def test_a_view_is_made_once() -> None:
    assert columns.bytes_view(Columns) is columns.bytes_view(Columns)


def test_minus_zero_loses_its_sign() -> None:
    decoded = columns.decode(
        columns.bytes_view(Columns).FromString(columns.encode(Columns, arrays()))
    )
    assert not np.signbit(decoded["heat"][2])


def test_a_column_that_was_not_asked_for_is_empty() -> None:
    decoded = columns.decode(columns.bytes_view(Columns).FromString(b""))
    assert {name: len(array) for name, array in decoded.items()} == dict.fromkeys(arrays(), 0)


def test_infinity_is_refused_on_both_sides() -> None:
    with pytest.raises(ValueError, match="infinity"):
        columns.encode(Columns, {"heat": np.array([np.inf])})
    sent = Columns(heat=[float("inf")]).SerializeToString()
    with pytest.raises(InvalidArgument) as raised:
        columns.decode(columns.bytes_view(Columns).FromString(sent))
    assert raised.value.reason == "NOT_FINITE"


def test_a_cut_column_is_refused() -> None:
    broken = columns.bytes_view(Columns)(heat=b"12345")
    with pytest.raises(InvalidArgument) as raised:
        columns.decode(broken)
    assert raised.value.reason == "BAD_COLUMN"


def test_a_column_the_message_does_not_have_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        columns.encode(Columns, {"colour": np.zeros(1)})


def test_a_plain_message_is_not_read_as_columns() -> None:
    with pytest.raises(TypeError, match="view of bytes"):
        columns.decode(Word())


def test_every_other_row_of_an_array_is_sent_as_it_looks() -> None:
    sent = columns.encode(Columns, {"key": np.arange(10)[::2], "heat": np.arange(10.0)[::2]})
    assert list(Columns.FromString(sent).key) == [0, 2, 4, 6, 8]


def test_slices_cover_all_rows_once() -> None:
    parts = list(columns.slices({"key": np.arange(10)}, rows=4))
    assert [part["key"].tolist() for part in parts] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert list(columns.slices({"key": np.arange(0)})) == []
