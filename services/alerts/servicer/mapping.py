"""Messages of alerts from and to domain values. Decides nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, TypeVar

import grpc
from sonic.alerts.v1 import alerts_pb2 as pb

from services.alerts.alerts.domain.change_payload import side_name
from services.alerts.alerts.domain.previews import PreviewedRow
from services.alerts.alerts.domain.readings import Reading
from services.alerts.alerts.domain.summaries import MetricSummary
from services.alerts.alerts.domain.views import Alert
from services.alerts.alerts.service.evaluated import Evaluated
from services.alerts.alerts.service.previews import Previewed
from services.alerts.alerts.service.queries import Summary
from services.alerts.domain.kinds import (
    METRICS,
    OF_PORTFOLIO,
    AlertClass,
    AlertType,
    Condition,
    is_news_kind,
)
from services.alerts.ledger.domain.chain import Sealed
from services.alerts.ledger.store.statistics import Statistics
from services.alerts.price_rules.service.judging import RuleEvent
from services.alerts.thresholds.domain import (
    CHANNELS,
    LIMITS,
    Scope,
    Threshold,
    built_in,
    check_scope,
    scope_from_id,
)
from services.alerts.thresholds.service.edits import CHANGEABLE, ThresholdEdit, channel_names
from shared.clock import micros_of
from shared.codec import apply_mask, fill, from_timestamp, number
from shared.errors import InvalidArgument, invalid

# The generated servicers name another context for each method.
Context = grpc.aio.ServicerContext[Any, Any]
E = TypeVar("E", bound=IntEnum)


def chosen(kind: type[E], value: int, field: str) -> E | None:
    """The member of a number, None for unspecified; UNKNOWN_NAME for no member at all."""
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


def moment_of(micros: int) -> datetime | None:
    """None for 0, which is never."""
    return datetime.fromtimestamp(micros / 1_000_000, UTC) if micros else None


def _micros(moment: datetime | None) -> int:
    return 0 if moment is None else micros_of(moment)


def alert_message(alert: Alert, now: datetime) -> pb.Alert:
    return fill(pb.Alert, alert, **alert_values(alert, now))


def alert_values(alert: Alert, now: datetime) -> dict[str, Any]:
    """What a message of an alert says beside its own values."""
    age = max(micros_of(now) - alert.evaluated_micros, 0)
    return {
        "evaluated_time": moment_of(alert.evaluated_micros),
        "reading_age": timedelta(microseconds=age) if alert.evaluated_micros else None,
        "last_triggered_time": moment_of(alert.last_triggered_micros),
        "cooldown": timedelta(seconds=alert.cooldown_seconds),
        "created_time": moment_of(alert.created_micros),
        "held_until_time": moment_of(alert.held_until_micros),
        "trigger_time": moment_of(alert.trigger_micros),
        "mark_frozen_since_time": moment_of(alert.mark_frozen_since_micros),
        "is_news": is_news_kind(alert.type, alert.condition),
    }


def totals_of(message: pb.TotalsReading) -> dict[AlertType, Reading]:
    observed = _micros(from_timestamp(message, "observed_time"))
    return {
        kind: Reading(number(message, METRICS[kind].name), observed, message.stale)
        for kind in OF_PORTFOLIO
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
    return fill(
        pb.EvaluateAlertsResponse,
        evaluated,
        transitions=[fill(pb.Transition, one, told=one.notified) for one in evaluated.transitions],
        rule_events=map(_rule_event_message, evaluated.rule_events),
        unfinished=evaluated.is_part,
        unseen=[fill(pb.UnseenTime, one) for one in evaluated.unseen],
    )


def _rule_event_message(event: RuleEvent) -> pb.Transition:
    return fill(
        pb.Transition,
        event,
        alert_id=event.rule_id,
        type=pb.ALERT_TYPE_PRICE_THRESHOLD,
        subject=event.asset,
        value=event.price_usd,
        told=event.notified,
    )


def summary_message(summary: Summary) -> pb.Summary:
    return fill(
        pb.Summary,
        summary,
        metrics=[_metric_message(metric, summary.names) for metric in summary.metrics],
        evaluated_time=moment_of(summary.evaluated_micros),
        ledger_head=summary.head_hash.hex(),
    )


def _metric_message(metric: MetricSummary, names: Mapping[int, str]) -> pb.MetricSummary:
    key = metric.worst_subject_key
    return fill(
        pb.MetricSummary,
        metric,
        worst_subject="" if key is None else names.get(key, ""),
        is_news=METRICS[metric.type].opportunity,
        raised=[
            fill(pb.SubjectReading, one, subject=names.get(one.subject_key, ""))
            for one in metric.raised
        ],
    )


def threshold_message(threshold: Threshold) -> pb.Threshold:
    scope = threshold.scope
    metric, comes_with = METRICS[scope.type], built_in(scope)
    defaults: dict[str, Any] = {
        f"default_{name}": getattr(comes_with, name, None) for name in LIMITS
    }
    return fill(
        pb.Threshold,
        threshold,
        id=scope.id,
        type=scope.type,
        alert_class=scope.alert_class,
        condition=scope.condition,
        asset=scope.asset,
        metric=metric.name,
        opportunity=metric.opportunity,
        has_default=comes_with is not None,
        lowest_limit=_finite(metric.lowest),
        highest_limit=_finite(metric.highest),
        **defaults,
    )


def _finite(limit: float) -> float | None:
    return limit if math.isfinite(limit) else None


def previewed_limits(message: pb.Threshold) -> tuple[Scope, list[float | None]]:
    """What a preview is about, by id or by type, condition and asset; UNKNOWN_NAME."""
    scope = _scope(message) or scope_from_id(message.id)
    if scope is None:
        problem = "an id of a threshold, or type and condition, are needed"
        raise invalid("threshold.id", problem, problem)
    check_scope(scope)
    return scope, [number(message, name) for name in LIMITS]


def preview_message(found: Previewed) -> pb.ThresholdPreview:
    return fill(
        pb.ThresholdPreview,
        found.preview,
        worst=[_previewed(row, found) for row in found.preview.worst],
        evaluated_time=moment_of(found.evaluated_micros),
    )


# Whose subjects have ids that people can ask for.
_NAMED = (AlertClass.POSITION, AlertClass.ACCOUNT)


def _previewed(row: PreviewedRow, found: Previewed) -> pb.PreviewedSubject:
    whose = found.subjects.get(row.subject_key)
    if whose is None:
        return fill(pb.PreviewedSubject, row)
    return fill(
        pb.PreviewedSubject,
        row,
        subject=whose.name if found.scope.alert_class in _NAMED else "",
        wallet=whose.wallet,
        side=side_name(whose.side_sign, found.scope.alert_class),
    )


def edit_of(request: pb.UpdateThresholdRequest) -> ThresholdEdit:
    message = request.threshold
    values: dict[str, object] = {}
    for path in apply_mask(message, request.update_mask, CHANGEABLE):
        if path in LIMITS:
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
        raise invalid("threshold.type", problem, problem)
    values: dict[str, object] = {name: number(message, name) for name in LIMITS}
    return scope, values | {name: channel_names(getattr(message, name)) for name in CHANNELS}


def _scope(message: pb.Threshold) -> Scope | None:
    """None unless type and condition are given."""
    alert_type = chosen(AlertType, message.type, "threshold.type")
    condition = chosen(Condition, message.condition, "threshold.condition")
    alert_class = chosen(AlertClass, message.alert_class, "threshold.alert_class")
    if alert_type is None or condition is None:
        return None
    scope = Scope(alert_type, condition, message.asset.strip())
    check_scope(scope)
    if alert_class not in (None, scope.alert_class):
        problem = f"{alert_type.name} is not of class {message.alert_class}"
        raise invalid("threshold.alert_class", problem, problem)
    return scope


def entry_message(row: Sealed) -> pb.LedgerEntry:
    return fill(
        pb.LedgerEntry,
        row.entry,
        sequence=row.sequence,
        hash=row.hash.hex(),
        previous_hash=row.previous_hash.hex(),
    )


def statistics_message(row: Statistics) -> pb.Statistics:
    return fill(pb.Statistics, row)
