"""What counts as a call that a person answered."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from services.xcom.deliveries.service.counts import DeliveryCounts
from services.xcom.domain.messages import DeliveryState, Level
from shared.metrics import Metrics

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)


def attempt(channel: str) -> Any:
    return SimpleNamespace(
        channel=channel, message_id=f"msg-{channel}", level=Level.HIGH, created_time=NOW
    )


@pytest.mark.parametrize(
    ("channel", "state", "answered"),
    [
        ("voice", DeliveryState.SENT, 1.0),
        # Nobody took it, or a machine did: it is tried again.
        ("voice", DeliveryState.QUEUED, 0.0),
        ("voice", DeliveryState.DEAD, 0.0),
        ("sms", DeliveryState.SENT, 0.0),
        ("sound", DeliveryState.SENT, 0.0),
    ],
)
def test_a_call_is_answered_when_a_person_listened(
    channel: str, state: DeliveryState, answered: float
) -> None:
    metrics = Metrics()
    counts = DeliveryCounts(metrics, ["voice", "sms", "sound"])
    assert metrics.registry.get_sample_value("sonic_calls_answered_total") == 0.0
    counts.tried(attempt(channel), state, NOW)
    assert metrics.registry.get_sample_value("sonic_calls_answered_total") == answered
