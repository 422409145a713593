"""Columns of a venue's rows read at once say what each row by itself says."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.positions.venues.row_columns import Faults, each_once, stated_column
from services.positions.venues.rows import DECIMAL, INTEGER, RowRefused, stated

_TEXTS = st.one_of(
    st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,40})?", fullmatch=True),
    st.floats().map(repr),
    st.integers().map(str),
    st.text("0123456789-,.e[] ", max_size=6),
)


@pytest.mark.parametrize("form", [DECIMAL, INTEGER])
@given(texts=st.lists(_TEXTS, max_size=4))
@example(texts=[""])
@example(texts=["007", "1.5"])
@example(texts=["1,2"])
@example(texts=["1", ""])
@example(texts=["-0"])
@example(texts=["9" * 400])
@example(texts=["0.1", "9007199254740993", "123456789012345678901234567890.5"])
def test_numbers_of_a_column_are_those_of_each_row_to_the_last_bit(
    form: re.Pattern[str], texts: list[str]
) -> None:
    rows = [{"size": text} for text in texts]
    faults = Faults(len(rows))
    numbers = stated_column(rows, "size", faults, form)
    assert len(numbers) == len(rows)
    for place, row in enumerate(rows):
        try:
            wanted, said = stated(row, "size", form), ("", "")
        except RowRefused as refused:
            wanted, said = None, (refused.reason, refused.field)
        assert faults.of(place) == said
        known = np.array([np.nan if wanted is None else wanted])
        assert numbers[place : place + 1].tobytes() == known.tobytes()


@pytest.mark.parametrize("values", [[], ["long", "short", "long"], ["long", ["long"], None, {}, 1]])
def test_what_is_read_once_is_said_of_every_row(values: list[object]) -> None:
    assert each_once(values, repr) == [repr(value) for value in values]
