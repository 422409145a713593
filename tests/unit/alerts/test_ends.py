"""How a position ended, by what is known of it."""

from __future__ import annotations

import math

import pytest

from services.alerts.alerts.domain.ends import EndRecord, PositionEnd, ending
from services.alerts.domain.kinds import Level
from services.alerts.notifications.domain import CLOSED, GONE, LIQUIDATED, compose, is_news

UNKNOWN = math.nan


@pytest.mark.parametrize(
    ("record", "distance", "worst", "event"),
    [
        (EndRecord.LIQUIDATED, 40.0, Level.NORMAL, LIQUIDATED),
        (EndRecord.LIQUIDATED, UNKNOWN, Level.NORMAL, LIQUIDATED),
        (EndRecord.CLOSED, 9.99, Level.NORMAL, GONE),
        (EndRecord.CLOSED, -1.0, Level.HIGH, GONE),
        (EndRecord.CLOSED, 10.0, Level.HIGH, CLOSED),
        (EndRecord.CLOSED, UNKNOWN, Level.HIGH, GONE),
        (EndRecord.CLOSED, UNKNOWN, Level.MEDIUM, CLOSED),
        (EndRecord.BY_HAND, 1.0, Level.HIGH, CLOSED),
    ],
)
def test_what_happened_is_judged_by_record_distance_and_level(
    record: EndRecord, distance: float, worst: Level, event: str
) -> None:
    assert ending(PositionEnd(record), distance, worst) == event


@pytest.mark.parametrize(
    ("event", "subject", "news"),
    [
        (LIQUIDATED, "HIGH: SOL long was LIQUIDATED (was LOW) (main)", False),
        (GONE, "HIGH: SOL long is gone, may have been liquidated (was LOW) (main)", False),
        (CLOSED, "CLOSED: SOL long is no longer held (was LOW) (main)", True),
    ],
)
def test_people_read_what_happened(event: str, subject: str, news: bool) -> None:
    payload = {
        "event": event, "type": "HEAT_INDEX", "condition": "ABOVE", "level": "HIGH",
        "previous_level": "LOW",
        "asset": "SOL", "side": "LONG", "wallet": "main", "last_distance_percent": "4.5",
    }  # fmt: skip
    text = compose(payload)
    assert text.subject == subject
    assert "last distance to liquidation 4.5 %" in text.body
    assert is_news(payload) is news
