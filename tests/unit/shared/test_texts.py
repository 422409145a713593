"""Cut texts: never too long, never in the middle of a word, marked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.texts import cut, spelled


@pytest.mark.parametrize(
    ("text", "length", "expected"),
    [
        ("short", 5, "short"),
        ("the service does not answer", 20, "the service does..."),
        ("the service, which does not answer", 17, "the service..."),
        ("two words", 8, "two..."),
        ("one line\nand another", 12, "one line..."),
        ("Donaudampfschifffahrt", 10, "Donauda..."),
        ("a Donaudampfschifffahrt", 10, "a Donau..."),
        ("", 10, ""),
    ],
)
def test_a_text_is_cut_between_words(text: str, length: int, expected: str) -> None:
    assert cut(text, length) == expected


@given(text=st.text(), length=st.integers(8, 60))
def test_a_cut_text_is_short_enough_and_begins_as_the_whole_one(text: str, length: int) -> None:
    short = cut(text, length)
    assert len(short) <= length
    assert short == text or (short.endswith("...") and text.startswith(short.removesuffix("...")))


@pytest.mark.parametrize(
    ("text", "known", "meant"),
    [
        ("kpepe", ["BTC", "kPEPE"], ["kPEPE"]),
        ("KPEPE", ["KPEPE", "kPEPE"], ["KPEPE"]),
        ("kpepe", ["KPEPE", "kPEPE"], ["KPEPE", "kPEPE"]),
        ("PEPE", ["kPEPE"], []),
        ("", ["kPEPE"], []),
    ],
)
def test_a_name_is_meant_as_it_stands_and_else_in_any_case(
    text: str, known: list[str], meant: list[str]
) -> None:
    assert spelled(text, known) == meant
