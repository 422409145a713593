"""Texts fit, by whole lines and words, and say how much is missing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.xcom.domain.fitting import Size, cut, fitted, utf8_size, utf16_size

SIZES = st.sampled_from([len, utf8_size, utf16_size])


@given(st.lists(st.text(max_size=60), max_size=60).map("\n".join), st.integers(40, 2000), SIZES)
def test_whatever_is_said_fits_however_it_is_measured(text: str, room: int, size: Size) -> None:
    assert size(fitted(text, room, size)) <= room
    assert size(cut(text, room, size)) <= room


@given(
    st.lists(st.from_regex(r"[a-z]{1,30}", fullmatch=True), min_size=1, max_size=60),
    st.integers(60, 800),
)
def test_lines_told_and_lines_left_out_are_all_of_them(lines: list[str], room: int) -> None:
    text = "\n".join([*lines, "... and 9000 more"])
    kept = fitted(text, room).split("\n")
    found = re.fullmatch(r"\.\.\. and (\d+) more", kept[-1])
    assert found is not None
    assert len(kept) - 1 + int(found[1]) == len(lines) + 9000


@pytest.mark.parametrize(
    ("text", "room", "fit"),
    [
        ("one\ntwo\nthree", 13, "one\ntwo\nthree"),
        ("one\ntwo\nthree and much more", 25, "one\ntwo\n... and 1 more"),
        ("a single line of many words", 15, "a single..."),
        ("🚨🚨🚨🚨🚨🚨🚨🚨🚨🚨", 13, "🚨🚨🚨🚨🚨..."),
    ],
)
def test_a_text_is_cut_between_lines_then_between_words(text: str, room: int, fit: str) -> None:
    assert fitted(text, room, utf16_size) == fit
