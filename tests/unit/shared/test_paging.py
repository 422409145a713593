"""Tokens continue the question they came from, and no other."""

import base64
import hashlib
from datetime import UTC, datetime

import pytest

from shared import paging
from shared.errors import InvalidArgument

ASKED = paging.context("wallet=main", "heat desc")


def test_a_token_gives_its_key_back() -> None:
    key = ("pos-1", 12, 0.1, None, True, datetime(2026, 1, 2, 3, 4, 5, 678, UTC))
    assert paging.parse(10, paging.next_token(ASKED, key), context=ASKED).after == key


def test_no_size_is_the_default_and_a_large_one_is_capped() -> None:
    assert paging.parse(0, "", context=ASKED) == paging.PageRequest(50, None)
    assert paging.parse(10_000, "", context=ASKED).size == 500


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(InvalidArgument) as raised:
        paging.parse(-1, "", context=ASKED)
    assert raised.value.reason == "BAD_PAGE_SIZE"


def test_a_token_of_another_question_is_refused() -> None:
    token = paging.next_token(paging.context("wallet=other"), ("pos-1",))
    with pytest.raises(InvalidArgument) as raised:
        paging.parse(10, token, context=ASKED)
    assert raised.value.reason == "PAGE_TOKEN_MISMATCH"


@pytest.mark.parametrize("token", ["x", "nonsense", "====", "é", "AAAAAAAAAAAAAAAA"])
def test_a_token_that_is_not_ours_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        paging.parse(10, token, context=ASKED)
    assert raised.value.reason == "BAD_PAGE_TOKEN"


def test_an_edited_token_is_refused() -> None:
    token = paging.next_token(ASKED, ("pos-1",))
    edited = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    with pytest.raises(InvalidArgument):
        paging.parse(10, edited, context=ASKED)


def test_one_row_more_than_asked_makes_a_next_page() -> None:
    request = paging.PageRequest(2, None)
    page = paging.cut(["a", "b", "c"], request, ASKED, lambda row: (row,))
    assert page.rows == ["a", "b"]
    assert paging.parse(2, page.next_page_token, context=ASKED).after == ("b",)
    assert paging.cut(["a", "b"], request, ASKED, lambda row: (row,)).next_page_token == ""


def forged(body: str) -> str:
    """A token as anybody can make it who has read the code."""
    raw = body.encode(errors="surrogatepass")
    return (
        base64.urlsafe_b64encode(hashlib.sha256(b"page" + raw).digest()[:6] + raw)
        .decode()
        .rstrip("=")
    )


@pytest.mark.parametrize(
    "values",
    [
        "[]",
        "{}",
        '""',
        "[" * 100_000,
        "[" * 900 + "]" * 900,
        "[" + "9" * 5000 + "]",
        "[9223372036854775808]",
        "[-9223372036854775809]",
        r'["\ud800"]',
        r'["a\u0000b"]',
        '[{"t": "2026-01-01T00:00:00"}]',
        '[{"t": "9999-12-31T23:59:59+00:00"}]',
        '[{"t": "0001-01-01T00:00:00+00:00"}]',
        '[{"t": 5}]',
        '[{"x": 5}]',
        "5",
        "null",
    ],
)
def test_a_forged_key_that_no_query_can_take_is_refused(values: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        paging.parse(10, forged(f'["{ASKED}",{values}]'), context=ASKED)
    assert raised.value.reason == "BAD_PAGE_TOKEN"
    assert paging.parse(10, forged(f'["{ASKED}",[9223372036854775807]]'), context=ASKED).after == (
        2**63 - 1,
    )
