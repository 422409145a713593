"""Messages of recordings from and to domain values. Decides nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from sonic.alerts.v1 import alerts_pb2 as pb

from services.alerts.alerts.domain.change_payload import alert_id
from services.alerts.domain.kinds import AlertType, Condition, Level
from services.alerts.recorder.service.replays import (
    ListedRecordings,
    Replayed,
    ReplayRequest,
    Shown,
)
from services.alerts.recorder.store import About
from services.alerts.servicer.mapping import moment_of
from services.alerts.thresholds.domain import Scope, Threshold, dangerous_side
from shared.codec import fill, from_timestamp, number

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def replay_request(message: pb.ReplayRequest) -> ReplayRequest:
    return ReplayRequest(
        cycle_id=message.cycle_id.strip(),
        start_time=from_timestamp(message, "start_time"),
        end_time=from_timestamp(message, "end_time"),
        thresholds=[_threshold(one) for one in message.thresholds],
    )


def _threshold(message: pb.ReplayThreshold) -> Threshold:
    kind = AlertType(message.type)
    side = Condition(message.condition) if message.condition else dangerous_side(kind)
    scope = Scope(kind, side, message.asset.strip())
    low, medium, high = (number(message, name) for name in ("low", "medium", "high"))
    return Threshold(scope, low, medium, high, True, (), (), (), 0, _NEVER)


def listed_message(listed: ListedRecordings) -> pb.ListRecordingsResponse:
    return fill(
        pb.ListRecordingsResponse,
        listed.kept,
        recordings=map(_recording, listed.page.rows),
        next_page_token=listed.page.next_page_token,
    )


def _recording(about: About) -> pb.Recording:
    return fill(pb.Recording, about, number=about.recording_key)


def replayed_message(found: Replayed) -> pb.Replayed:
    return fill(
        pb.Replayed,
        found,
        first_time=moment_of(found.first_micros),
        last_time=moment_of(found.last_micros),
        changes=map(_change, found.changes),
        told=[
            pb.ToldCount(
                level=pb.Level.ValueType(level),
                recorded_count=found.recorded_told.get(level, 0),
                replayed_count=found.replayed_told.get(level, 0),
            )
            for level in Level
            if level > Level.NORMAL
        ],
    )


def _change(shown: Shown) -> pb.ReplayedChange:
    return fill(
        pb.ReplayedChange, shown, time=moment_of(shown.micros), alert_id=alert_id(shown.alert_key)
    )
