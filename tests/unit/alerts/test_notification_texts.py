"""What people read: subject, numbers, the why with its flip value; never an address, never an
exponent.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts.alerts.domain.standing import Standing, why
from services.alerts.domain.kinds import AlertType, Condition, Level
from services.alerts.notifications.domain import CLOSED, RAISED, RESOLVED, compose, plain, short

PAYLOAD = {
    "event": RAISED,
    "type": "TRAVEL_PERCENT",
    "condition": "BELOW",
    "level": "HIGH",
    "previous_level": "LOW",
    "asset": "SOL",
    "side": "LONG",
    "wallet": "main",
    "value": "-75.3",
    "limit": "-50",
    "flip_value": "-47.5",
    "price_usd": "84.94",
    "entry_price_usd": "100",
    "liquidation_price_usd": "80",
    "liquidation_distance_percent": "5.815869",
    "liquidation_distance_usd": "4.94",
    "size_usd": "12345.678",
    "action": "Add collateral.",
    "observed_time": "2026-03-01T12:00:00.000Z",
}


def test_the_subject_says_level_asset_side_metric_and_value() -> None:
    assert compose(PAYLOAD).subject == "HIGH: SOL long travel -75.3 % (main)"


def test_the_body_says_what_price_how_far_why_what_to_do_and_when() -> None:
    body = compose(PAYLOAD).body
    for part in (
        "SOL long, wallet main, size 12,345.68 USD",
        "84.94 USD, entry 100 USD, liquidation 80 USD",
        "5.8159 % (4.94 USD)",
        "travel -75.3 % <= limit -50 %; HIGH until >= -47.5 %",
        "What to do: Add collateral.",
        "Observed: 2026-03-01T12:00:00.000Z",
    ):
        assert part in body


def test_the_simulation_says_so_first() -> None:
    assert compose({**PAYLOAD, "demo": "true"}).subject.startswith("DEMO HIGH: ")


def test_an_end_is_told_as_resolved_without_advice() -> None:
    payload = {
        **PAYLOAD,
        "event": RESOLVED,
        "level": "NORMAL",
        "previous_level": "HIGH",
        "value": "3",
    }
    del payload["action"]
    text = compose(payload)
    assert text.subject == "RESOLVED: SOL long travel 3 % (main)"
    assert "What to do" not in text.body


def test_a_portfolio_that_is_well_as_nothing_is_held_says_so() -> None:
    payload = {
        "event": RESOLVED,
        "type": "AVG_LEVERAGE",
        "condition": "ABOVE",
        "level": "NORMAL",
        "previous_level": "MEDIUM",
        "alert_id": "alert-4",
        "incident_id": "alert-4.1",
        "demo": "true",
    }
    text = compose(payload)
    assert text.subject == "DEMO RESOLVED: portfolio average leverage: nothing is held"
    assert "back to NORMAL from MEDIUM: nothing is held" in text.body
    assert "not known" not in text.subject + text.body


def test_a_closed_position_is_told_as_closed() -> None:
    text = compose({**PAYLOAD, "event": CLOSED, "previous_level": "HIGH"})
    assert text.subject == "CLOSED: SOL long is no longer held (was HIGH) (main)"
    assert "not known" not in text.body


@pytest.mark.parametrize(("percent", "usd"), [("-0.8565", "-38.39"), ("0", "0")])
def test_a_position_past_liquidation_is_said_to_be_in_words(percent: str, usd: str) -> None:
    payload = {**PAYLOAD, "liquidation_distance_percent": percent, "liquidation_distance_usd": usd}
    body = compose(payload).body
    assert f"AT OR PAST LIQUIDATION by {percent.lstrip('-')} % ({usd.lstrip('-')} USD)" in body
    assert "Distance to" not in body


def test_a_missing_figure_is_said_to_be_missing() -> None:
    payload = {name: text for name, text in PAYLOAD.items() if name != "entry_price_usd"}
    assert "entry not known" in compose(payload).body


def test_a_death_says_what_died() -> None:
    payload = {
        "event": RAISED,
        "type": "DEATH_NAIL",
        "level": "HIGH",
        "summary": "price does not answer",
    }
    assert compose(payload).subject == "HIGH: price does not answer"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_plain_number_has_no_exponent_and_reads_back(number: float) -> None:
    text = plain(number)
    assert "e" not in text
    assert float(text) == number


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (86410.0, "USD", "86,410 USD"),
        (0.00001234, "USD", "0.00001234 USD"),
        (0.3, "", "0.3"),
        (-0.0, "%", "0 %"),
        (2.5, "x", "2.5x"),
    ],
)
def test_numbers_for_people_are_short(number: float, unit: str, text: str) -> None:
    assert short(number, unit) == text


def _standing(**changes: object) -> Standing:
    values: dict = {
        "type": AlertType.TRAVEL_PERCENT,
        "condition": Condition.BELOW,
        "level": Level.MEDIUM,
        "value": -40.0,
        "limits": (-20.0, -35.0, -50.0),
        "flip_value": -33.25,
        "active": True,
        "known": True,
        "stale": False,
    }
    return Standing(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "MEDIUM until travel >= -33.25 % (now -40 %)"),
        ({"stale": True}, "MEDIUM until travel >= -33.25 % (now -40 %, stale: the level is held)"),
        (
            {"level": Level.NORMAL, "flip_value": math.nan, "value": 1.0},
            "NORMAL until travel <= -20 % (now 1 %)",
        ),
        (
            {"known": False},
            "MEDIUM until travel >= -33.25 %; travel is not known now, the level is held",
        ),
        ({"active": False}, "not judged: its threshold is disabled"),
    ],
)
def test_why_says_what_would_flip_it(changes: dict, line: str) -> None:
    assert why(_standing(**changes)) == line
