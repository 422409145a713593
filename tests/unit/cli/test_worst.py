"""The worst alert in one line, as the console and `sonic status` say it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.xcom.v1 import xcom_pb2

from services.cli.worst import told_by, worst_line
from shared.clock import PushedClock

NOW = datetime(2026, 3, 1, 3, 14, tzinfo=UTC)


def deliveries(*pairs: tuple[str, str]) -> list[xcom_pb2.Delivery]:
    return [
        xcom_pb2.Delivery(
            channel=channel, state=xcom_pb2.DeliveryState.Value(f"DELIVERY_STATE_{s}")
        )
        for channel, s in pairs
    ]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], "told nobody"),
        ([("log", "SENT")], "told nobody: written to the log only"),
        ([("sms", "SENT"), ("log", "SENT")], "told by SMS"),
        (
            [("sms", "SENT"), ("email", "SENT"), ("webhook", "SENT"), ("sms", "SENT")],
            "told by SMS, e-mail and webhook",
        ),
        ([("sms", "SENT"), ("email", "DEAD")], "told by SMS, not by e-mail: failed"),
        ([("sound", "HANDED_OVER")], "handed to sound: whether it arrived is not known yet"),
        ([("sms", "QUEUED"), ("email", "GROUPED")], "not told yet: SMS and e-mail waiting"),
        ([("sms", "DEAD")], "not told: SMS failed"),
        ([("sms", "CANCELLED")], "told nobody"),
    ],
)
def test_who_was_told_is_said_by_what_became_of_the_deliveries(
    found: list[tuple[str, str]], words: str
) -> None:
    assert told_by(deliveries(*found)) == words


def test_it_says_what_how_bad_since_when_told_by_whom_and_whether_somebody_answered() -> None:
    alert = pb.Alert(
        level=pb.LEVEL_HIGH,
        asset="SOL",
        side="LONG",
        wallet="main",
        why="distance 1.8 %",
        status=pb.ALERT_STATUS_ACTIVE,
    )
    alert.last_triggered_time.FromDatetime(NOW - timedelta(hours=1))
    clock = PushedClock(NOW)
    assert str(worst_line(alert, "told by SMS", clock)) == (
        "HIGH: SOL LONG main: distance 1.8 %, for 1 h, told by SMS, not acknowledged"
    )
    alert.status = pb.ALERT_STATUS_ACKNOWLEDGED
    assert str(worst_line(alert, "told by SMS", clock)).endswith("told by SMS, acknowledged")
