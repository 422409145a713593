"""Secrets within other words are found, and ordinary words are not taken for one."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.secret_shapes import REMOVED, looks_secret, without_secrets

KEY = hashlib.sha256(b"not a key of anybody").hexdigest()
PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"
SIGNATURE = "5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQpjKhoR4tjF3ZpRzrFmBV6UjKdiSZkQUW"


@pytest.mark.parametrize(
    "text",
    [
        f"If I forget it, the words are {PHRASE}, do not lose them.",
        f"seed:\n{PHRASE}\nsecond line of a note that goes on about the market of this week",
        PHRASE.replace("wave", "waev"),
        "words: " + PHRASE.replace("wave", "waev"),
        ", ".join(PHRASE.split()),
        " ".join([PHRASE] * 2),
        "abandon " * 23 + "art",
        f"key {KEY} of the bot",
        f"0x{KEY[:32]} {KEY[32:]}",
    ],
)
def test_a_secret_within_other_words_is_found(text: str) -> None:
    assert looks_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        # Twelve words of three to eight letters each.
        "sell half the size when the price falls below the entry again",
        "close all longs before the meeting and open them again after that",
        "HIGH: BTC long in demo-main, liquidation distance 4.9 % at 86,410; add 500 USD or cut 1,200 USD",
        f"closed by https://etherscan.io/tx/0x{KEY}",
        f"see https://solscan.io/tx/{SIGNATURE} for the fill",
        "alerts-" + KEY[:32],
        KEY[:63],
        "00-" + KEY[:32] + "-" + KEY[:16] + "-01",
    ],
)
def test_ordinary_words_links_and_ids_are_none(text: str) -> None:
    assert not looks_secret(text)


@given(st.lists(st.sampled_from(["the", "a", "to", "BTC", "86,410", *PHRASE.split()]), max_size=40))
def test_what_is_told_never_holds_a_secret(words: list[str]) -> None:
    assert not looks_secret(without_secrets(" ".join(words)))


def test_only_the_line_that_holds_a_secret_is_taken_out() -> None:
    told = without_secrets(f"HIGH: BTC long\nnote: {PHRASE}\nliquidation 86,410")
    assert told == f"HIGH: BTC long\n{REMOVED}\nliquidation 86,410"
    assert without_secrets(PHRASE.replace(" ", "\n")) == REMOVED
