"""Which channels a message takes, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.xcom.domain.messages import (
    URGENT,
    ChannelsReason,
    Draft,
    Kind,
    Level,
    choose_channels,
    urgency,
)
from services.xcom.store.accept import fingerprint

ALL = ("email", "webhook", "log")


@pytest.mark.parametrize(
    ("explicit", "mapped", "configured", "channels", "reason"),
    [
        ((), ("email",), ALL, ("email",), "LEVEL_MAP"),
        ((), ("sms", "email"), ALL, ("email",), "LEVEL_MAP"),
        ((), ("sms", "voice", "sound"), ALL, ("email", "webhook"), "FALLBACK_ALL_CONFIGURED"),
        ((), ("email",), ("webhook", "log"), ("webhook",), "FALLBACK_ALL_CONFIGURED"),
        ((), ("email",), ("log",), ("log",), "FALLBACK_ALL_CONFIGURED"),
        ((), ("email",), (), (), "FALLBACK_ALL_CONFIGURED"),
        ((), (), ALL, ("email", "webhook"), "FALLBACK_ALL_CONFIGURED"),
        ((), ("log",), ALL, ("log",), "LEVEL_MAP"),
        (("webhook",), ("email",), ALL, ("webhook",), "EXPLICIT"),
        (("webhook", "webhook"), ("email",), ALL, ("webhook",), "EXPLICIT"),
        (("sms", "webhook"), ("email",), ALL, ("webhook",), "EXPLICIT"),
        (("log",), ("email",), ALL, ("log",), "EXPLICIT"),
        (("sms",), ("email",), ALL, ("email", "webhook"), "FALLBACK_ALL_CONFIGURED"),
        (("email",), ("email",), ("log",), ("log",), "FALLBACK_ALL_CONFIGURED"),
    ],
)
def test_explicit_replaces_the_map_and_nothing_usable_means_everything(
    explicit: tuple[str, ...],
    mapped: tuple[str, ...],
    configured: tuple[str, ...],
    channels: tuple[str, ...],
    reason: str,
) -> None:
    choice = choose_channels(explicit, mapped, configured)
    assert (choice.channels, choice.reason) == (channels, ChannelsReason(reason))


PHONES = ("email", "sms", "voice", "slack", "sound", "log")


@pytest.mark.parametrize(
    ("explicit", "mapped", "configured", "channels", "reason"),
    [
        ((), ("email",), PHONES, ("email",), "LEVEL_MAP"),
        ((), ("sms", "email"), PHONES, ("email",), "LEVEL_MAP"),
        ((), ("sms", "voice", "sound"), PHONES, ("email", "slack"), "FALLBACK_NEWS"),
        ((), ("email",), ("sms", "voice", "sound", "log"), ("log",), "FALLBACK_NEWS"),
        (("sms",), ("email",), PHONES, ("sms",), "EXPLICIT"),
        (("sms",), ("email",), ("voice", "email", "log"), ("email",), "FALLBACK_NEWS"),
        (("sound",), ("email",), PHONES, ("sound",), "EXPLICIT"),
    ],
)
def test_news_takes_what_rings_only_by_its_name(
    explicit: tuple[str, ...],
    mapped: tuple[str, ...],
    configured: tuple[str, ...],
    channels: tuple[str, ...],
    reason: str,
) -> None:
    choice = choose_channels(explicit, mapped, configured, Kind.NEWS)
    assert (choice.channels, choice.reason) == (channels, ChannelsReason(reason))


NUMBERS = st.floats(allow_nan=True, allow_infinity=True).map(str) | st.text(max_size=5)


@given(
    st.sampled_from(Level), st.sampled_from([Level.LOW, Level.MEDIUM, Level.HIGH]), NUMBERS, NUMBERS
)
def test_danger_goes_before_news_and_louder_before_quieter_at_any_distance(
    one: Level, other: Level, near: str, far: str
) -> None:
    danger = urgency(one, Kind.DANGER, {"liquidation_distance_percent": near})
    news = urgency(other, Kind.NEWS, {"liquidation_distance_percent": far})
    assert danger > news
    if one > other:
        assert danger > urgency(other, Kind.DANGER, {"liquidation_distance_percent": far})
    assert (danger >= URGENT) == (one >= Level.HIGH)


def test_of_equals_the_one_nearest_to_liquidation_goes_first_and_the_unknown_last() -> None:
    distances = ["-3.5", "0", "0.4", "12", "900", ""]
    found = [
        urgency(Level.HIGH, Kind.DANGER, {"liquidation_distance_percent": one}) for one in distances
    ]
    assert found == sorted(found, reverse=True)


DRAFT = Draft(
    "r", Level.HIGH, "subject", "body", "alerts", "key", ("email", "log"), {"a": "1", "b": "2"}
)


def test_the_order_of_channels_and_facts_is_no_other_content() -> None:
    same = Draft(
        "r", Level.HIGH, "subject", "body", "alerts", "key", ("log", "email"), {"b": "2", "a": "1"}
    )
    assert fingerprint(same) == fingerprint(DRAFT)


@pytest.mark.parametrize(
    "other",
    [
        Draft(
            "r",
            Level.LOW,
            "subject",
            "body",
            "alerts",
            "key",
            ("email", "log"),
            {"a": "1", "b": "2"},
        ),
        Draft(
            "r",
            Level.HIGH,
            "subjec",
            "tbody",
            "alerts",
            "key",
            ("email", "log"),
            {"a": "1", "b": "2"},
        ),
        Draft(
            "r", Level.HIGH, "subject", "body", "alerts", "", ("email", "log"), {"a": "1", "b": "2"}
        ),
        Draft(
            "r", Level.HIGH, "subject", "body", "alerts", "key", ("email",), {"a": "1", "b": "2"}
        ),
        Draft(
            "r",
            Level.HIGH,
            "subject",
            "body",
            "alerts",
            "key",
            ("email", "log"),
            {"a": "1", "b": "3"},
        ),
        replace(DRAFT, kind=Kind.NEWS),
    ],
)
def test_any_other_content_has_another_fingerprint(other: Draft) -> None:
    assert fingerprint(other) != fingerprint(DRAFT)
