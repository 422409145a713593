"""A digest names the worst three and what to do; each channel gets as much of it as it can hold."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.xcom.deliveries.domain.digests import Digest, Member, digest_of
from services.xcom.domain.fitting import cut
from services.xcom.domain.messages import DeliveryAttempt, DeliveryReason, Level
from services.xcom.domain.phrases import marked
from services.xcom.domain.texts import SMS_LENGTH, short_text, spoken, spoken_text
from services.xcom.domain.worst import Worst
from services.xcom.store.worst import fact_of, worst_of

ATTEMPT = DeliveryAttempt(
    "d", "m", "sms", Level.HIGH, "s", "", "alerts", {}, datetime(2026, 11, 20, tzinfo=UTC)
)


def danger(asset: str, percent: str, *, noun: str = "travel", **facts: str) -> Member:
    own = {
        "event": "RAISED",
        "asset": asset,
        "side": "LONG",
        "wallet": "main",
        "position_id": f"{asset}-1",
    }
    own |= {"liquidation_distance_percent": percent, "action": "Add collateral, cut size or close."}
    return Member(Level.HIGH, f"HIGH: {asset} long {noun} -80 % (main)", own | facts)


CRASH = [
    danger("SOL", "1.2", collateral_to_add_usd="250", size_to_cut_usd="400"),
    danger("SOL", "1.2", noun="heat"),
    danger("ETH", "2.34567"),
    danger("BTC", "-0.5"),
    danger("AVAX", "4"),
    Member(Level.HIGH, "HIGH: portfolio average heat 70", {"event": "RAISED"}),
]


def as_attempt(digest: Digest) -> DeliveryAttempt:
    return replace(
        ATTEMPT,
        level=digest.level,
        subject=digest.subject,
        body=digest.body,
        facts=digest.facts,
        reason=DeliveryReason.DIGEST,
        worst=digest.worst,
    )


def test_the_worst_three_are_named_with_what_to_do_and_the_rest_is_counted() -> None:
    digest = digest_of(11, CRASH, is_demo=False)
    assert digest.subject == (
        "HIGH: 11 messages: SOL long (main) 1.2 % to liquidation, add 250 USD or cut 400 USD;"
        " ETH long (main) 2.35 % to liquidation, check now;"
        " BTC long (main) PAST LIQUIDATION by 0.5 %, check now; and 7 more"
    )
    lines = digest.body.split("\n")
    assert lines[0] == "11 messages, the worst first:"
    assert lines[1] == (
        "- HIGH: SOL long travel -80 % (main). 1.2 % to liquidation. add 250 USD or cut 400 USD"
    )
    assert lines[-1] == "... and 5 more"


def test_a_text_of_a_digest_fits_and_says_how_many_it_leaves_out() -> None:
    text = short_text(as_attempt(digest_of(11, CRASH, is_demo=False)))
    assert len(text) <= SMS_LENGTH
    assert text.startswith(
        "HIGH: 11 messages: SOL long (main) 1.2 % to liquidation, add 250 USD or cut 400 USD; ETH"
    )
    assert text.endswith("; and 8 more")


def test_a_call_of_a_digest_reads_out_the_three_worst() -> None:
    said = spoken_text(as_attempt(digest_of(11, CRASH, is_demo=False)))
    assert said.startswith(
        "Sonic. High. 11 messages. SOL long, main, 1 point 2 percent to liquidation,"
        " add 250 dollars or cut 400 dollars. ETH long, main, 2 point 3 5 percent to liquidation,"
        " check now."
        " BTC long, main, Past liquidation by 0 point 5 percent, check now. and 7 more. I repeat."
    )


def test_of_simulated_data_every_text_of_a_digest_says_so() -> None:
    digest = digest_of(11, CRASH, is_demo=True)
    attempt = as_attempt(digest)
    assert digest.subject.startswith("DEMO HIGH: ")
    assert digest.body.startswith("DEMO: ")
    assert short_text(attempt).startswith("DEMO HIGH: ")
    assert spoken_text(attempt).startswith("Sonic. Demo, simulated data. ")


@given(
    st.integers(min_value=2, max_value=10_000),
    st.lists(st.text(min_size=1, max_size=400), min_size=1, max_size=30),
    st.booleans(),
)
def test_whatever_is_gathered_fits_a_text_and_a_call(
    count: int, subjects: list[str], is_demo: bool
) -> None:
    members = [Member(Level.LOW, subject, {}) for subject in subjects]
    attempt = as_attempt(digest_of(max(count, len(members)), members, is_demo))
    assert len(short_text(attempt)) <= SMS_LENGTH
    assert len(spoken_text(attempt)) < 1300


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("travel –75.35 %", "travel minus 75 point 3 5 percent"),
        (
            "price 92,410.5 USD <= limit 93,000 USD",
            "price 92410 point 5 dollars at or below limit 93000 dollars",
        ),
        (
            "leverage 12x & <b>heat</b> [50]",
            "leverage 12 times and below b above heat below b above, 50",
        ),
        ("SOL long (main): +3 %", "SOL long, main: plus 3 percent"),
        ("BTC-PERP A_B 🔥 10-20", "BTC-PERP A B 10-20"),
    ],
)
def test_a_voice_reads_numbers_and_no_symbols(written: str, said: str) -> None:
    assert spoken(written) == said


def test_a_single_text_says_what_how_far_and_what_to_do_before_anything_else() -> None:
    sol = CRASH[0]
    facts = {**sol.facts, "price_usd": "92.1", "liquidation_price_usd": "88.4"}
    text = short_text(replace(ATTEMPT, subject=sol.subject, facts=facts))
    assert text == (
        "HIGH: SOL long travel -80 % (main). 1.2 % to liquidation. add 250 USD or cut 400 USD."
        " price 92.1 USD. liquidation 88.4 USD"
    )


@given(st.text(max_size=300), st.integers(min_value=10, max_value=200))
def test_a_cut_text_fits(text: str, room: int) -> None:
    assert len(cut(text, room)) <= room


def test_a_text_is_cut_between_words() -> None:
    assert cut("one two three four", 14) == "one two..."


def test_the_marker_of_simulated_data_is_set_once_and_is_plain_letters() -> None:
    facts = {"demo": "true"}
    once = marked("HIGH: SOL long", "HIGH: SOL long\nmore", facts)
    assert once == (
        "DEMO HIGH: SOL long",
        "DEMO: simulated data, no money of yours.\nHIGH: SOL long\nmore",
    )
    assert marked(*once, facts) == once
    assert marked("HIGH: SOL long", "body", {}) == ("HIGH: SOL long", "body")
    text = short_text(replace(ATTEMPT, subject=once[0], facts=facts))
    assert re.match(r"DEMO HIGH: SOL long", text)
    assert "?" not in text


def test_a_digest_that_its_source_made_is_said_in_few_words_too() -> None:
    worst = Worst("HIGH", 60_123, ["SOL long (main) 4 % to liquidation"],
                  ["SOL long 4 % to liquidation"], [3], noun="alerts")  # fmt: skip
    found = worst_of({"worst": fact_of(worst)})
    assert found == worst
    assert found.within(160) == (
        "HIGH: 60123 alerts: SOL long (main) 4 % to liquidation; and 60120 more"
    )
    assert replace(worst, head="RESOLVED").within(160).startswith("RESOLVED: 60123 alerts: ")
    assert worst.sentences()[0] == "60123 alerts"


_NO_PHRASES = (
    '{"level":"HIGH","message_count":2,"phrases":[],"short_phrases":[],"covered_counts":[]}'
)
_UNEQUAL = _NO_PHRASES.replace('"phrases":[]', '"phrases":["a"]', 1)


@pytest.mark.parametrize("fact", ["", "x", "[]", "{}", _NO_PHRASES, _UNEQUAL])
def test_a_fact_that_names_no_worst_leaves_the_message_as_it_is(fact: str) -> None:
    assert worst_of({"worst": fact}) is None
    assert worst_of({}) is None
