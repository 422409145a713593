"""What people read and hear, and when quieter messages wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.xcom.deliveries.domain.capacity import Budget
from services.xcom.domain.messages import DeliveryAttempt, Level
from services.xcom.domain.settings import QuietHours
from services.xcom.domain.texts import SMS_LENGTH, gsm, short_text, spoken_text, whole_text

NOW = datetime(2026, 11, 20, tzinfo=UTC)
ATTEMPT = DeliveryAttempt(
    "dlv-1", "msg-1", "sms", Level.HIGH, "subject", "body\nmore", "alerts", {}, NOW
)
FACTS = (
    "asset",
    "side",
    "wallet",
    "price_usd",
    "liquidation_price_usd",
    "liquidation_distance_percent",
    "action",
)


@given(
    st.text(max_size=400),
    st.text(max_size=400),
    st.dictionaries(st.sampled_from(FACTS), st.text(max_size=90)),
)
def test_a_text_message_fits_one_whatever_is_said(
    subject: str, body: str, facts: dict[str, str]
) -> None:
    text = short_text(replace(ATTEMPT, subject=subject, body=body, facts=facts))
    assert len(text) <= SMS_LENGTH
    # A hundred and sixty septets: one character outside the alphabet would make it two messages.
    assert not set(text) & set("[]{}\\^~|€`„“–")
    assert "\n" not in text


def test_letters_the_alphabet_lacks_become_their_plain_kin() -> None:
    assert gsm("Łódź – ł [x] “q” é") == '?odz - ? (x) "q" é'


@pytest.mark.parametrize(
    ("price_usd", "said"),
    [("0.0000123456", "0.0000123"), ("0.0000000012", "0.0000000012"), ("1234567890", "1234567890")],
)
def test_a_price_of_an_asset_that_is_worth_next_to_nothing_is_not_said_to_be_zero(
    price_usd: str, said: str
) -> None:
    facts = {"asset": "PEPE", "side": "LONG", "price_usd": price_usd, "event": "RAISED"}
    attempt = replace(ATTEMPT, subject="HIGH: PEPE long", body="", facts=facts)
    assert f"price {said} USD" in short_text(attempt)


def test_a_short_link_is_kept_whole_and_a_long_one_left_out() -> None:
    attempt = replace(ATTEMPT, subject="x" * 300, link="https://s.example/l/abcdefghijklmnopqrstuv")
    assert short_text(attempt).endswith("x... https://s.example/l/abcdefghijklmnopqrstuv")
    assert len(short_text(attempt)) <= SMS_LENGTH
    assert "http" not in short_text(replace(attempt, link="https://" + "x" * 100))


def test_a_message_without_facts_says_its_subject_and_first_line() -> None:
    assert short_text(ATTEMPT) == "subject. body"
    assert spoken_text(ATTEMPT).count("subject. body") == 2
    assert whole_text(replace(ATTEMPT, link="https://x/1")).endswith(
        "Acknowledge or snooze: https://x/1"
    )


@pytest.mark.parametrize(
    ("percent", "said"),
    [
        ("-0.8565", "PAST LIQUIDATION by 0.857 %"),
        ("0", "PAST LIQUIDATION by 0 %"),
        ("4.5", "4.5 % to liquidation"),
        ("", "heat 100"),
    ],
)
def test_past_liquidation_is_said_in_words(percent: str, said: str) -> None:
    facts = {"asset": "ETH", "wallet": "main", "liquidation_distance_percent": percent}
    text = short_text(replace(ATTEMPT, subject="HIGH: ETH long heat 100 (main)", facts=facts))
    assert said in text
    assert text.count("main") == 1


@pytest.mark.parametrize(
    ("start", "end", "zone", "moment", "holds"),
    [
        (1320, 420, "UTC", "2026-11-20T22:00", True),
        (1320, 420, "UTC", "2026-11-21T06:59", True),
        (1320, 420, "UTC", "2026-11-21T07:00", False),
        (1320, 420, "UTC", "2026-11-20T21:59", False),
        (540, 600, "UTC", "2026-11-20T09:30", True),
        (540, 600, "UTC", "2026-11-20T10:00", False),
        (0, 0, "UTC", "2026-11-20T00:00", False),
        (1320, 420, "Europe/Berlin", "2026-07-01T05:30", False),
        (1320, 420, "Europe/Berlin", "2026-12-01T05:30", True),
        (1320, 420, "Asia/Kolkata", "2026-12-01T16:30", True),
    ],
)
def test_quiet_hours_follow_the_clock_on_the_wall_there(
    start: int, end: int, zone: str, moment: str, holds: bool
) -> None:
    now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert QuietHours(start, end, zone).hold(now) is holds


@pytest.mark.parametrize(
    ("used", "own", "left"), [(0, None, 30), (29, None, 1), (99, None, 0), (2, 5, 3)]
)
def test_quiet_sends_leave_the_reserve_to_loud_ones(used: int, own: int | None, left: int) -> None:
    assert Budget(40, timedelta(minutes=1), 10).left(used, own) == left


@pytest.mark.parametrize(
    ("end", "zone", "now", "over"),
    [
        (7 * 60, "UTC", "2026-11-20T23:00", "2026-11-21T07:00"),
        (7 * 60, "UTC", "2026-11-21T06:59", "2026-11-21T07:00"),
        (7 * 60, "Europe/Berlin", "2026-11-20T23:30", "2026-11-21T06:00"),
        (0, "UTC", "2026-11-20T23:00", "2026-11-21T00:00"),
        # The night that has an hour less, and the end in the hour that it lacks.
        (7 * 60, "Europe/Berlin", "2027-03-27T22:00", "2027-03-28T05:00"),
        (2 * 60 + 30, "Europe/Berlin", "2027-03-27T22:00", "2027-03-28T01:30"),
    ],
)
def test_quiet_hours_end_when_their_zone_says(end: int, zone: str, now: str, over: str) -> None:
    hours = QuietHours(22 * 60, end, zone)
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert hours.hold(moment)
    assert hours.end(moment) == datetime.fromisoformat(over).replace(tzinfo=UTC)
    assert not hours.hold(hours.end(moment))
