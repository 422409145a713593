"""What is recorded and told of price rules. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping

from services.alerts.alerts.domain.change_payload import Setting, moment
from services.alerts.domain.kinds import Level
from services.alerts.notifications.domain import DEMO, RAISED, RESOLVED, Facts, Text, plain, short
from services.alerts.price_rules.domain.rules import Event, Rule, RuleMetric


def rule_incident_id(rule: Rule) -> str:
    """Its last incident."""
    return f"{rule.id}.{rule.incident_count}"


def rule_facts(event: Event, setting: Setting) -> Facts:
    """Texts by name, as for alerts."""
    rule = event.rule
    before, after = rule.level_of(event.state_before), rule.level_of(event.state_after)
    facts = {
        "event": RAISED if after > Level.NORMAL else RESOLVED,
        "type": "PRICE_THRESHOLD",
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
        "action": "Look at the positions in this asset.",
        "cycle_id": setting.cycle_id,
    }
    if event.step_count > 1:
        facts["step_count"] = str(event.step_count)
    if setting.demo:
        facts["demo"] = "true"
    return facts


def rule_text(facts: Mapping[str, str]) -> Text:
    """The message for an event of a rule."""
    subject = f"{facts['level']}: {facts['asset']} {_matter(facts)}"
    if facts.get("demo") == "true":
        subject = f"{DEMO} {subject}"
    way = f"{facts['direction'].lower()}, rule {facts['rule_id']}"
    limit = short(float(facts["limit"]), _unit(facts))
    lines = [
        subject,
        "",
        f"Price: {_usd(facts, 'price_usd')}, anchor {_usd(facts, 'anchor_price_usd')}",
        f"Why: {float(facts['ratio']):.0%} of the limit {limit} ({way})",
        f"What to do: {facts['action']}",
        f"Observed: {facts['observed_time']}",
    ]
    return Text(subject, "\n".join(lines))


def _matter(facts: Mapping[str, str]) -> str:
    if facts["formula"] == "price_target":
        verb = "reached" if facts["state"] == "BREACH" else "comes near"
        return f"{verb} {_usd(facts, 'limit')} (now {_usd(facts, 'price_usd')})"
    hours = int(facts["window_seconds"]) // 3600
    span = f" within {hours} h" if hours else ""
    return f"moved {short(float(facts['value']), _unit(facts))}{span} to {_usd(facts, 'price_usd')}"


def _unit(facts: Mapping[str, str]) -> str:
    return "%" if facts["formula"] == "move_percent" else "USD"


def _usd(facts: Mapping[str, str], name: str) -> str:
    return short(float(facts[name]), "USD")
