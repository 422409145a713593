"""Strict JSON: the quick reading and the slow one that says what is wrong are of one mind."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.http import strict_json
from shared.http.strict_json import BadJson

texts = st.text(alphabet=st.sampled_from('a{}[]":,\\/ü\n\x7f😀0'), max_size=6)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def finite(value: object) -> bool:
    return "Infinity" not in json.dumps(value)


@given(values.filter(finite), st.booleans())
def test_what_json_writes_is_read_as_it_was(value: object, ascii_only: bool) -> None:
    assert strict_json.parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.text(alphabet=st.sampled_from('{}[]":,\\ue0123456789.-+E tfn'), max_size=24))
def test_any_text_is_a_value_or_refused_as_the_slow_reading_says(text: str) -> None:
    def read(parse: object) -> object:
        try:
            return repr(parse(text.encode()))  # type: ignore[operator]
        except BadJson as refused:
            return refused.args

    assert read(strict_json.parse) == read(strict_json._parse_strictly)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"b": {"a": "x", "a": "x"}, "c": "\\u0022\\u0022"}',
        '[{"a": 1, "b": "\\"", "a": 2}]',
        '{"": 1, "": 1}',
    ],
)
def test_a_doubled_key_is_refused_wherever_it_hides(text: str) -> None:
    with pytest.raises(BadJson, match="twice"):
        strict_json.parse(text.encode())


@pytest.mark.parametrize("digits", [299, 300, 301])
@pytest.mark.parametrize("ahead", range(0, 10, 3))
def test_an_integer_of_over_300_digits_is_refused_wherever_it_stands(
    digits: int, ahead: int
) -> None:
    text = b" " * ahead + b"9" * digits
    if digits <= 300:
        assert math.log10(float(str(strict_json.parse(text)))) > 298
    else:
        with pytest.raises(BadJson, match="too large"):
            strict_json.parse(text)


@pytest.mark.parametrize(("depth", "taken"), [(32, True), (34, False), (5000, False)])
@pytest.mark.parametrize(
    ("opened", "closed"), [("[", "]"), ('{"a":', "}"), ('[{"}":"{","b":', "}]")]
)
def test_depth_is_counted_by_what_is_nested(
    depth: int, taken: bool, opened: str, closed: str
) -> None:
    count = depth // len(closed)
    text = (opened * count + "1" + closed * count).encode()
    if taken:
        strict_json.parse(text)
    else:
        with pytest.raises(BadJson, match="deep"):
            strict_json.parse(text)
