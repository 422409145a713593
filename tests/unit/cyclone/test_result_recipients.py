"""Who may hear of a result, and what is told, by tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.cyclone.domain.cycle import Cause, Cycle, CycleState
from services.cyclone.results.domain import parted, recipients, result
from shared.errors import SonicError

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
MISSING = {"email": [], "webhook": [], "slack": ["SLACK_WEBHOOK_URL"]}
ALLOWED = ("ops@example.org", "https://example.org/Hook")
CYCLE = Cycle(
    "cycle-1",
    CycleState.PARTIAL,
    Cause.REQUEST,
    NOW,
    started_time=NOW,
    ended_time=NOW + timedelta(seconds=1.25),
    deliver_to=("email",),
)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (["email"], ("email",)),
        ([" EMAIL ", "email", "webhook"], ("email", "webhook")),
        (["OPS@example.org"], ("email:ops@example.org",)),
        (["https://example.org/Hook"], ("webhook:https://example.org/Hook",)),
    ],
)
def test_channels_and_allowed_addresses_are_taken_once(
    asked: list[str], wanted: tuple[str, ...]
) -> None:
    assert recipients(asked, MISSING, ALLOWED) == wanted


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("pigeon", "UNKNOWN_NAME"),
        ("", "UNKNOWN_NAME"),
        ("slack", "CHANNEL_NOT_CONFIGURED"),
        ("eve@example.org", "ADDRESS_NOT_ALLOWED"),
        # A path has its case.
        ("https://example.org/hook", "ADDRESS_NOT_ALLOWED"),
        ("https://ops@example.org/", "ADDRESS_NOT_ALLOWED"),
    ],
)
def test_anything_else_is_refused_with_its_field(asked: str, reason: str) -> None:
    with pytest.raises(SonicError) as told:
        recipients(["email", asked], MISSING, ALLOWED)
    assert told.value.reason == reason
    assert told.value.fields["deliver_to"]


@pytest.mark.parametrize(
    ("recipient", "wanted"),
    [("email", ("email", "")), ("webhook:https://a/b:c", ("webhook", "https://a/b:c"))],
)
def test_a_recipient_is_taken_apart(recipient: str, wanted: tuple[str, str]) -> None:
    assert parted(recipient) == wanted


def test_a_result_is_named_by_its_cycle_and_links_where_people_reach_the_page() -> None:
    told = result(CYCLE, "PARTIAL. x", "<html>", "https://sonic.example.org/")
    assert told.request_id == "cycle-result-cycle-1"
    assert told.subject == "Cycle PARTIAL in 1.2 s"
    assert told.body.endswith("https://sonic.example.org/v1/cycles/cycle-1:report")
    assert not told.is_good
    assert result(CYCLE, "x", "<html>", "").body.endswith("sonic report cycle-1")
    assert result(CYCLE, "x", "", "https://a").body == "x"
    assert result(replace(CYCLE, demo=True), "x", "", "").subject.startswith("DEMO: ")
    long = result(CYCLE, "word " * 5_000, "", "")
    assert len(long.body) <= 10_000
