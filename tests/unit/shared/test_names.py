"""Identifiers and the words people write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgument
from shared.names import choose, new_id, normalise, shortened


def test_ids_differ_and_sort_by_time() -> None:
    ids = [new_id("cyc") for _ in range(10_000)]
    assert len(set(ids)) == len(ids)
    assert ids == sorted(ids)


def test_an_id_is_its_prefix_and_26_lower_case_characters() -> None:
    prefix, _, rest = new_id("req").partition("-")
    assert (prefix, len(rest), rest) == ("req", 26, rest.lower())


@pytest.mark.parametrize(
    "text", ["Travel Percent", "travelPercent", "travel-percent", " TRAVEL_PERCENT "]
)
def test_all_ways_to_write_a_name_are_one(text: str) -> None:
    assert normalise(text) == "TRAVEL_PERCENT"


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def test_a_known_name_comes_back_as_it_is_kept() -> None:
    assert choose("heat index", ["heat_index", "profit"], field="type") == "heat_index"


def test_an_alias_stands_for_a_known_name() -> None:
    assert (
        choose("Critical", ["LOW", "HIGH"], field="level", aliases={"critical": "HIGH"}) == "HIGH"
    )


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidArgument) as raised:
        choose("warm", ["LOW", "HIGH"], field="level")
    assert raised.value.reason == "UNKNOWN_NAME"
    assert raised.value.fields == {"level": "one of LOW, HIGH"}


@pytest.mark.parametrize(
    ("text", "length", "expected"),
    [
        ("a wallet failed", 15, "a wallet failed"),
        ("a wallet failed", 14, "a wallet\u2026"),
        ("a wallet failed", 9, "a wallet\u2026"),
        ("wallets: main, bot, vault", 19, "wallets: main, bot\u2026"),
        ("wallets: main, bot, vault", 16, "wallets: main\u2026"),
        ("unbreakable", 6, "unbre\u2026"),
    ],
)
def test_a_text_is_cut_between_words(text: str, length: int, expected: str) -> None:
    assert shortened(text, length) == expected


@given(st.text(max_size=60), st.integers(2, 60))
def test_a_text_that_was_cut_says_so_and_fits(text: str, length: int) -> None:
    cut = shortened(text, length)
    assert len(cut) <= length
    assert cut == text if len(text) <= length else cut.endswith("\u2026")
