"""Which channels a message takes, and why."""

from __future__ import annotations

import pytest

from services.xcom.domain.messages import ChannelsReason, Draft, Level, choose_channels

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


DRAFT = Draft("r", Level.HIGH, "subject", "body", "alerts", "key", ("email", "log"), {"a": "1", "b": "2"})


def test_the_order_of_channels_and_facts_is_no_other_content() -> None:
    same = Draft("r", Level.HIGH, "subject", "body", "alerts", "key", ("log", "email"), {"b": "2", "a": "1"})
    assert same.fingerprint == DRAFT.fingerprint


@pytest.mark.parametrize(
    "other",
    [
        Draft("r", Level.LOW, "subject", "body", "alerts", "key", ("email", "log"), {"a": "1", "b": "2"}),
        Draft("r", Level.HIGH, "subjec", "tbody", "alerts", "key", ("email", "log"), {"a": "1", "b": "2"}),
        Draft("r", Level.HIGH, "subject", "body", "alerts", "", ("email", "log"), {"a": "1", "b": "2"}),
        Draft("r", Level.HIGH, "subject", "body", "alerts", "key", ("email",), {"a": "1", "b": "2"}),
        Draft("r", Level.HIGH, "subject", "body", "alerts", "key", ("email", "log"), {"a": "1", "b": "3"}),
    ],
)
def test_any_other_content_has_another_fingerprint(other: Draft) -> None:
    assert other.fingerprint != DRAFT.fingerprint
