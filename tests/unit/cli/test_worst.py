"""The worst alert in one line, as the console and `sonic status` say it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2
from sonic.xcom.v1 import xcom_pb2

from services.cli.worst import calm_line, told_by, unread_words, worst_line
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


def test_what_could_not_be_read_is_not_nothing_and_what_has_no_reading_is_not_calm() -> None:
    unread = positions_pb2.Totals(stale=True)
    assert unread_words(unread) == "What is held is not known: a wallet could not be read"
    assert unread_words(positions_pb2.Totals()) == ""
    assert unread_words(positions_pb2.Totals(stale=True, position_count=2)) == ""
    summary = pb.Summary(metrics=[pb.MetricSummary(unknown_count=3), pb.MetricSummary()])
    assert str(calm_line(summary)) == "Nothing was judged yet"
    summary.evaluated_time.FromDatetime(NOW)
    assert str(calm_line(summary)) == "Nothing is raised, but 3 alerts have no reading"
    summary.metrics[0].unknown_count = 0
    assert str(calm_line(summary)) == "NORMAL: no alert is raised"


def test_it_says_what_how_bad_since_when_told_by_whom_and_whether_somebody_answered() -> None:
    alert = pb.Alert(
        level=pb.LEVEL_HIGH,
        asset="SOL",
        side="LONG",
        wallet="main",
        why="HIGH until distance >= 5 %",
        status=pb.ALERT_STATUS_ACTIVE,
    )
    alert.last_triggered_time.FromDatetime(NOW - timedelta(hours=1))
    clock = PushedClock(NOW)
    assert str(worst_line(alert, "told by SMS", clock)) == (
        "HIGH: SOL LONG main: until distance >= 5 %, for 1 h, told by SMS, not acknowledged"
    )
    alert.status = pb.ALERT_STATUS_ACKNOWLEDGED
    assert str(worst_line(alert, "told by SMS", clock)).endswith("told by SMS, acknowledged")
