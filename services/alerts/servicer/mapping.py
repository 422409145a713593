"""Messages of alerts from and to domain values. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, TypeVar

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from sonic.alerts.v1 import alerts_pb2 as pb

from services.alerts.alerts.domain.readings import Reading
from services.alerts.alerts.domain.summaries import MetricSummary, Raised
from services.alerts.alerts.domain.views import Alert
from services.alerts.alerts.service.evaluate import Evaluated, Transition
from services.alerts.alerts.service.queries import Summary
from services.alerts.domain.kinds import AlertClass, AlertType, Condition
from services.alerts.ledger.domain import Sealed
from services.alerts.ledger.store.statistics import Statistics
from services.alerts.price_rules.service import RuleEvent
from services.alerts.thresholds.domain import Scope, Threshold, check_scope
from services.alerts.thresholds.service.edits import CHANGEABLE, ThresholdEdit, channel_names
from shared.codec import apply_mask, from_timestamp, number, put, to_duration, to_timestamp
from shared.errors import InvalidArgument

# The generated servicers name another context for each method.
Context = grpc.aio.ServicerContext[Any, Any]
E = TypeVar("E", bound=IntEnum)

_LIMITS = ("low", "medium", "high")
_TOTALS = {
    AlertType.TOTAL_VALUE: "total_value_usd",
    AlertType.TOTAL_SIZE: "total_size_usd",
    AlertType.TOTAL_PROFIT: "total_profit_usd",
    AlertType.AVG_LEVERAGE: "avg_leverage_ratio",
    AlertType.AVG_TRAVEL_PERCENT: "avg_travel_percent",
    AlertType.TOTAL_HEAT: "avg_heat_index",
    AlertType.VALUE_TO_COLLATERAL_RATIO: "value_to_collateral_ratio",
}


def chosen(kind: type[E], value: int, field: str) -> E | None:
    """The member of a number, None for unspecified; InvalidArgument UNKNOWN_NAME for no member at
    all.
    """
    if value == 0:
        return None
    try:
        return kind(value)
    except ValueError as error:
        known = ", ".join(member.name for member in kind)
        raise InvalidArgument(
            "UNKNOWN_NAME",
            f"{field} {value} is not known; one of {known}",
            fields={field: f"one of {known}"},
        ) from error


def moment_of(micros: int) -> Timestamp | None:
    return to_timestamp(datetime.fromtimestamp(micros / 1_000_000, UTC)) if micros else None


def _micros(moment: datetime | None) -> int:
    return 0 if moment is None else round(moment.timestamp() * 1_000_000)


def alert_message(alert: Alert, now: datetime) -> pb.Alert:
    evaluated = moment_of(alert.evaluated_micros)
    age = (
        timedelta(microseconds=max(_micros(now) - alert.evaluated_micros, 0)) if evaluated else None
    )
    message = pb.Alert(
        id=alert.id,
        type=pb.AlertType.ValueType(alert.type),
        alert_class=pb.AlertClass.ValueType(alert.alert_class),
        asset=alert.asset,
        position_id=alert.position_id,
        wallet=alert.wallet,
        metric=alert.metric,
        condition=pb.Condition.ValueType(alert.condition),
        level=pb.Level.ValueType(alert.level),
        previous_level=pb.Level.ValueType(alert.previous_level),
        evaluated_time=evaluated,
        reading_age=to_duration(age),
        reading_state=pb.ReadingState.ValueType(alert.reading_state),
        status=pb.AlertStatus.ValueType(alert.status),
        last_triggered_time=moment_of(alert.last_triggered_micros),
        cooldown=to_duration(timedelta(seconds=alert.cooldown_seconds)),
        trigger_count=alert.trigger_count,
        description=alert.description,
        created_time=moment_of(alert.created_micros),
        why=alert.why,
        incident_id=alert.incident_id,
        side=alert.side,
        notes=alert.notes,
        channels=alert.channels,
        held_level=pb.Level.ValueType(alert.held_level),
        held_until_time=moment_of(alert.held_until_micros),
        etag=alert.etag,
        trigger_time=moment_of(alert.trigger_micros),
    )
    put(
        message,
        trigger_value=alert.trigger_value,
        starting_value=alert.starting_value,
        evaluated_value=alert.evaluated_value,
        progress_percent=alert.progress_percent,
        flip_value=alert.flip_value,
    )
    return message


def totals_of(message: pb.TotalsReading) -> dict[AlertType, Reading]:
    observed = _micros(from_timestamp(message, "observed_time"))
    return {
        kind: Reading(number(message, field), observed, message.stale)
        for kind, field in _TOTALS.items()
    }


def prices_of(messages: Iterable[pb.PriceReading]) -> dict[str, Reading]:
    return {
        message.asset.strip().upper(): Reading(
            number(message, "price_usd"),
            _micros(from_timestamp(message, "price_time")),
            message.stale,
        )
        for message in messages
    }


def evaluated_message(evaluated: Evaluated) -> pb.EvaluateAlertsResponse:
    return pb.EvaluateAlertsResponse(
        evaluated_count=evaluated.evaluated_count,
        raised_count=evaluated.raised_count,
        lowered_count=evaluated.lowered_count,
        stale_count=evaluated.stale_count,
        unknown_count=evaluated.unknown_count,
        transitions=map(_transition_message, evaluated.transitions),
        level_count=evaluated.level_count,
        rule_events=map(_rule_event_message, evaluated.rule_events),
        unjudged_count=evaluated.unjudged_count,
    )


def _transition_message(transition: Transition) -> pb.Transition:
    message = pb.Transition(
        alert_id=transition.alert_id,
        type=pb.AlertType.ValueType(transition.type),
        subject=transition.subject,
        level_before=pb.Level.ValueType(transition.level_before),
        level_after=pb.Level.ValueType(transition.level_after),
        told=transition.notified,
    )
    put(message, value=transition.value)
    return message


def _rule_event_message(event: RuleEvent) -> pb.Transition:
    return pb.Transition(
        alert_id=event.rule_id,
        type=pb.ALERT_TYPE_PRICE_THRESHOLD,
        subject=event.asset,
        level_before=pb.Level.ValueType(event.level_before),
        level_after=pb.Level.ValueType(event.level_after),
        value=event.price_usd,
        told=event.notified,
    )


def summary_message(summary: Summary) -> pb.Summary:
    return pb.Summary(
        level=pb.Level.ValueType(summary.level),
        metrics=[_metric_message(metric, summary) for metric in summary.metrics],
        evaluated_time=moment_of(summary.evaluated_micros),
        ledger_head=summary.head_hash.hex(),
        waiting_count=summary.waiting_count,
    )


def _metric_message(metric: MetricSummary, summary: Summary) -> pb.MetricSummary:
    key = metric.worst_subject_key
    message = pb.MetricSummary(
        type=pb.AlertType.ValueType(metric.type),
        alert_class=pb.AlertClass.ValueType(metric.alert_class),
        level=pb.Level.ValueType(metric.level),
        worst_subject="" if key is None else summary.names.get(key, ""),
        worst_asset=metric.worst_asset,
        alert_count=metric.alert_count,
        stale_count=metric.stale_count,
        unknown_count=metric.unknown_count,
        level_count=metric.level_count,
        worst_by_asset=metric.worst_by_asset,
        raised=[_raised_message(one, summary) for one in metric.raised],
        raised_count=metric.raised_count,
    )
    put(message, worst_value=metric.worst_value)
    return message


def _raised_message(raised: Raised, summary: Summary) -> pb.SubjectReading:
    message = pb.SubjectReading(
        subject=summary.names.get(raised.subject_key, ""),
        asset=raised.asset,
        level=pb.Level.ValueType(raised.level),
        stale=raised.stale,
    )
    put(message, value=raised.value)
    return message


def threshold_message(threshold: Threshold) -> pb.Threshold:
    scope = threshold.scope
    message = pb.Threshold(
        id=scope.id,
        type=pb.AlertType.ValueType(scope.type),
        alert_class=pb.AlertClass.ValueType(scope.alert_class),
        condition=pb.Condition.ValueType(scope.condition),
        asset=scope.asset,
        enabled=threshold.enabled,
        low_channels=threshold.low_channels,
        medium_channels=threshold.medium_channels,
        high_channels=threshold.high_channels,
        etag=threshold.etag,
        updated_time=to_timestamp(threshold.updated_time),
    )
    put(message, low=threshold.low, medium=threshold.medium, high=threshold.high)
    return message


def edit_of(request: pb.UpdateThresholdRequest) -> ThresholdEdit:
    message = request.threshold
    values: dict[str, object] = {}
    for path in apply_mask(message, request.update_mask, CHANGEABLE):
        if path in _LIMITS:
            values[path] = number(message, path)
        elif path == "enabled":
            values[path] = message.enabled
        else:
            values[path] = channel_names(getattr(message, path))
    return ThresholdEdit(message.id, _scope(message), values, message.etag, request.allow_missing)


def new_threshold(message: pb.Threshold) -> tuple[Scope, dict[str, object]]:
    """Scope and values of a threshold to be made."""
    scope = _scope(message)
    if scope is None:
        problem = "type and condition are needed"
        raise InvalidArgument("INVALID_FIELD", problem, fields={"threshold.type": problem})
    values: dict[str, object] = {name: number(message, name) for name in _LIMITS}
    names = ("low_channels", "medium_channels", "high_channels")
    return scope, values | {name: channel_names(getattr(message, name)) for name in names}


def _scope(message: pb.Threshold) -> Scope | None:
    """None unless type and condition are given."""
    alert_type = chosen(AlertType, message.type, "threshold.type")
    condition = chosen(Condition, message.condition, "threshold.condition")
    alert_class = chosen(AlertClass, message.alert_class, "threshold.alert_class")
    if alert_type is None or condition is None:
        return None
    scope = Scope(alert_type, condition, message.asset.strip().upper())
    check_scope(scope)
    if alert_class not in (None, scope.alert_class):
        problem = f"{alert_type.name} is not of class {message.alert_class}"
        raise InvalidArgument("INVALID_FIELD", problem, fields={"threshold.alert_class": problem})
    return scope


def entry_message(row: Sealed) -> pb.LedgerEntry:
    entry = row.entry
    message = pb.LedgerEntry(
        sequence=row.sequence,
        entry_time=to_timestamp(entry.entry_time),
        alert_id=entry.alert_id,
        type=pb.AlertType.ValueType(entry.type),
        actor=entry.actor,
        reason=entry.reason,
        level_before=pb.Level.ValueType(entry.level_before),
        level_after=pb.Level.ValueType(entry.level_after),
        inputs_json=entry.inputs_json,
        cycle_id=entry.cycle_id,
        subject=entry.subject,
        hash=row.hash.hex(),
        previous_hash=row.previous_hash.hex(),
    )
    put(message, value=entry.value, flip_value=entry.flip_value)
    return message


def statistics_message(row: Statistics) -> pb.Statistics:
    return pb.Statistics(
        type=pb.AlertType.ValueType(row.type),
        rule_id=row.rule_id,
        fired_count=row.fired_count,
        repeated_count=row.repeated_count,
        acknowledged_count=row.acknowledged_count,
        silenced_count=row.silenced_count,
        ended_count=row.ended_count,
        median_duration=to_duration(row.median_duration),
        last_fired_time=to_timestamp(row.last_fired_time),
    )
