"""What is recorded and notified of price rules. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping

from services.alerts.alerts.domain.change_payload import ChangeContext, moment
from services.alerts.domain.kinds import METRICS, AlertType, Level
from services.alerts.notifications.domain import DEMO, RAISED, RESOLVED, Payload, Text, plain, short
from services.alerts.price_rules.domain.rules import Event, Rule, RuleMetric


def rule_incident_id(rule: Rule) -> str:
    """Its last incident."""
    return f"{rule.id}.{rule.incident_count}"


def rule_payload(event: Event, context: ChangeContext) -> Payload:
    """Texts by name, as for alerts."""
    rule = event.rule
    before, after = rule.level_of(event.state_before), rule.level_of(event.state_after)
    payload = {
        "event": RAISED if after > Level.NORMAL else RESOLVED,
        "type": AlertType.PRICE_THRESHOLD.name,
        "condition": "NONE",
        "level": after.name,
        "previous_level": before.name,
        "formula": rule.metric.name.lower(),
        "state": event.state_after.name,
        "direction": rule.direction.name,
        "recurrence": rule.recurrence.name,
        "rule_id": rule.id,
        "alert_id": rule.id,
        "incident_id": rule_incident_id(rule),
        "asset": rule.asset,
        "source": "price",
        "price_usd": plain(event.price_usd),
        "anchor_price_usd": plain(event.anchor_price_usd),
        "limit": plain(rule.threshold),
        "value": plain(event.price_usd if rule.metric is RuleMetric.PRICE_TARGET else event.move),
        "ratio": plain(round(event.ratio, 6)),
        "window_seconds": str(rule.window_seconds),
        "observed_time": moment(rule.price_micros),
        "action": METRICS[AlertType.PRICE_THRESHOLD].action,
        "cycle_id": context.cycle_id,
    }
    if event.step_count > 1:
        payload["step_count"] = str(event.step_count)
    if context.demo:
        payload["demo"] = "true"
    return payload


def rule_text(payload: Mapping[str, str]) -> Text:
    """The message for an event of a rule."""
    subject = f"{payload['level']}: {payload['asset']} {_matter(payload)}"
    if payload.get("demo") == "true":
        subject = f"{DEMO} {subject}"
    way = f"{payload['direction'].lower()}, rule {payload['rule_id']}"
    limit = short(float(payload["limit"]), _unit(payload))
    lines = [
        subject,
        "",
        f"Price: {_usd(payload, 'price_usd')}, anchor {_usd(payload, 'anchor_price_usd')}",
        f"Why: {float(payload['ratio']):.0%} of the limit {limit} ({way})",
        f"What to do: {payload['action']}",
        f"Observed: {payload['observed_time']}",
    ]
    return Text(subject, "\n".join(lines))


def _matter(payload: Mapping[str, str]) -> str:
    if payload["formula"] == "price_target":
        verb = "reached" if payload["state"] == "BREACH" else "comes near"
        return f"{verb} {_usd(payload, 'limit')} (now {_usd(payload, 'price_usd')})"
    hours = int(payload["window_seconds"]) // 3600
    span = f" within {hours} h" if hours else ""
    move = short(float(payload["value"]), _unit(payload))
    return f"moved {move}{span} to {_usd(payload, 'price_usd')}"


def _unit(payload: Mapping[str, str]) -> str:
    return "%" if payload["formula"] == "move_percent" else "USD"


def _usd(payload: Mapping[str, str], name: str) -> str:
    return short(float(payload[name]), "USD")
