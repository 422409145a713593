"""Edits of alerts and price rules, from messages to domain values and back. Decides nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from google.protobuf.message import Message
from sonic.alerts.v1 import alerts_pb2 as pb

from services.alerts.alerts.service.alert_edits import EDITABLE
from services.alerts.alerts.service.by_hand import NewAlert
from services.alerts.domain.kinds import (
    BY_HAND,
    METRICS,
    AlertClass,
    AlertStatus,
    AlertType,
    Condition,
    Level,
)
from services.alerts.price_rules.domain.rules import Rule, RuleDirection, RuleMetric, RuleRecurrence
from services.alerts.servicer.mapping import chosen, moment_of
from services.alerts.thresholds.domain import Scope
from services.alerts.thresholds.service.edits import channel_names
from services.alerts.thresholds.service.files import TYPE_ALIASES
from shared.codec import apply_mask, fill, from_duration, from_timestamp, number
from shared.errors import invalid
from shared.names import choose

T = TypeVar("T")

_EDITABLE_RULE = (
    "threshold",
    "direction",
    "recurrence",
    "window",
    "cooldown",
    "level",
    "enabled",
    "channels",
    "notes",
    "armed",
    "anchor_price_usd",
)
_LATEST = timedelta(days=3653)
_SET_BY_HAND = (AlertStatus.ACTIVE, AlertStatus.INACTIVE)


def seconds_of(message: Message, field: str) -> float | None:
    span = from_duration(message, field)
    return None if span is None else span.total_seconds()


def alert_edit(request: pb.UpdateAlertRequest) -> dict[str, Any]:
    """The fields to change."""
    return _alert_values(request.alert, apply_mask(request.alert, request.update_mask, EDITABLE))


def _alert_values(message: pb.Alert, paths: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for path in paths:
        if path == "trigger_time":
            values[path] = _moment(from_timestamp(message, path))
        elif path in ("trigger_value", "starting_value"):
            values[path] = number(message, path)
        elif path == "cooldown":
            values[path] = seconds_of(message, path)
        elif path == "channels":
            values[path] = channel_names(message.channels)
        elif path == "condition":
            values[path] = _needed(
                chosen(Condition, message.condition, "alert.condition"), "alert.condition"
            )
        elif path == "status":
            values[path] = _status(message)
        else:
            values[path] = message.notes
    return values


def _status(message: pb.Alert) -> AlertStatus:
    status = chosen(AlertStatus, message.status, "alert.status")
    if status not in _SET_BY_HAND or status is None:
        problem = "ACTIVE or INACTIVE; AcknowledgeAlert and SilenceAlert set the others"
        raise invalid("alert.status", problem, problem)
    return status


def new_alert_of(request: pb.CreateAlertRequest, now: datetime) -> NewAlert:
    """An alert to be made; names of people are understood."""
    message = request.alert
    known = [kind.name for kind in BY_HAND]
    if request.type_name:
        name = choose(request.type_name, known, field="type_name", aliases=TYPE_ALIASES)
        alert_type: AlertType | None = AlertType[name]
    else:
        alert_type = chosen(AlertType, message.type, "alert.type")
    if request.condition_name:
        name = choose(request.condition_name, ("ABOVE", "BELOW"), field="condition_name")
        condition: Condition | None = Condition[name]
    else:
        condition = chosen(Condition, message.condition, "alert.condition")
    if alert_type is AlertType.TIME and condition is None:
        condition = Condition.ABOVE
    scope = Scope(
        _needed(alert_type, "alert.type"),
        _needed(condition, "alert.condition"),
        message.asset.strip().upper(),
    )
    alert_class = chosen(AlertClass, message.alert_class, "alert.alert_class")
    if scope.type in METRICS and alert_class not in (None, scope.alert_class):
        problem = f"{scope.type.name} is of class {scope.alert_class.name}"
        raise invalid("alert.alert_class", problem, problem)
    given = {descriptor.name for descriptor, _ in message.ListFields()}
    paths: list[str] = [
        name for name in ("starting_value", "cooldown", "channels", "notes") if name in given
    ]
    is_time = scope.type is AlertType.TIME
    trigger = _moment_of(request, now) if is_time else _limit_of(request)
    subjects = message.position_id, message.account_id
    return NewAlert(scope, *subjects, trigger, _alert_values(message, paths))


def _limit_of(request: pb.CreateAlertRequest) -> float:
    if request.alert.HasField("trigger_time") or request.HasField("after"):
        raise invalid(
            "alert.trigger_time", "only a TIME alert has a moment; others have trigger_value"
        )
    trigger = number(request.alert, "trigger_value")
    if trigger is None:
        raise invalid("alert.trigger_value", "an alert by hand needs its own limit")
    return trigger


def _moment_of(request: pb.CreateAlertRequest, now: datetime) -> float:
    """Seconds since 1970 at which a TIME alert fires."""
    if request.alert.HasField("trigger_value") or request.alert.HasField("starting_value"):
        raise invalid("alert.trigger_value", "a TIME alert has trigger_time, or after a span")
    moment, span = from_timestamp(request.alert, "trigger_time"), from_duration(request, "after")
    if (moment is None) is (span is None):
        raise invalid(
            "alert.trigger_time", "a TIME alert needs trigger_time or after, and not both"
        )
    if span is not None:
        if not timedelta(0) < span <= _LATEST:
            raise invalid("after", "more than 0, at most 10 years")
        moment = now + span
    seconds = _moment(moment)
    if not now < datetime.fromtimestamp(seconds, UTC) <= now + _LATEST:
        raise invalid("alert.trigger_time", "later than now, at most by 10 years")
    return seconds


def _moment(moment: datetime | None) -> float:
    return _needed(moment, "alert.trigger_time").timestamp()


def new_rule(message: pb.Rule) -> Rule:
    """A rule to be made."""
    values = _rule_values(
        message, [path for path in _EDITABLE_RULE if path not in ("enabled", "armed")]
    )
    values.pop("anchor_price_usd")
    if values["level"] is None:
        values["level"] = Level.MEDIUM
    if not message.HasField("cooldown"):
        values.pop("cooldown_seconds")
    metric = _needed(chosen(RuleMetric, message.metric, "rule.metric"), "rule.metric")
    return Rule(rule_key=0, asset=message.asset.strip().upper(), metric=metric, **values)


def rule_edit(request: pb.UpdateRuleRequest) -> dict[str, Any]:
    """The fields to change."""
    values = _rule_values(
        request.rule, apply_mask(request.rule, request.update_mask, _EDITABLE_RULE)
    )
    if "level" in values:
        _needed(values["level"], "rule.level")
    return values


def _rule_values(message: pb.Rule, paths: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for path in paths:
        match path:
            case "threshold":
                values[path] = _needed(number(message, path), "rule.threshold")
            case "direction":
                direction = chosen(RuleDirection, message.direction, "rule.direction")
                values[path] = _needed(direction, "rule.direction")
            case "recurrence":
                recurrence = chosen(RuleRecurrence, message.recurrence, "rule.recurrence")
                values[path] = recurrence or RuleRecurrence.SINGLE
            case "window" | "cooldown":
                values[f"{path}_seconds"] = round(seconds_of(message, path) or 0)
            case "level":
                values[path] = chosen(Level, message.level, "rule.level")
            case "channels":
                values[path] = channel_names(message.channels)
            case "anchor_price_usd":
                values[path] = _price(number(message, path))
            case _:
                values[path] = getattr(message, path)
    return values


def _price(price: float | None) -> float | None:
    if price is not None and price <= 0:
        problem = "a price above 0"
        raise invalid("rule.anchor_price_usd", problem, problem)
    return price


def rule_message(rule: Rule) -> pb.Rule:
    return fill(
        pb.Rule,
        rule,
        window=timedelta(seconds=rule.window_seconds),
        cooldown=timedelta(seconds=rule.cooldown_seconds),
        anchor_time=moment_of(rule.anchor_micros),
        price_time=moment_of(rule.price_micros),
        created_time=moment_of(rule.created_micros),
    )


def _needed(value: T | None, field: str) -> T:
    if value is None:
        raise invalid(field, "needed", f"{field} is needed")
    return value
