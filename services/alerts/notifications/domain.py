"""What people read: facts of a change in, subject and body out.

Facts are texts by name: numbers as plain decimals, times as RFC 3339; an absent one is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from services.alerts.domain.kinds import METRICS, AlertClass, AlertType, Condition, Level
from services.alerts.domain.levels import next_limit
from shared.texts import cut

Facts = dict[str, str]

RAISED: Final = "RAISED"
RESOLVED: Final = "RESOLVED"
CLOSED: Final = "CLOSED"
# Ends of a position that are worse than anything before: a record says so, or there is none and it
# was near.
LIQUIDATED: Final = "LIQUIDATED"
GONE: Final = "GONE"
# What was told to be gone is held: it was not, or it was opened again.
BACK: Final = "BACK"
_ENDINGS = {
    CLOSED: "is no longer held (was {level})",
    LIQUIDATED: "was LIQUIDATED (was {level})",
    GONE: "is gone, may have been liquidated (was {level})",
    BACK: "is held, and had been told to be gone",
}
# The fact that names other incidents that are over too, with spaces between.
ENDED_INCIDENTS: Final = "ended_incident_ids"
# In letters that every channel has, SMS too.
DEMO: Final = "DEMO"
_SUBJECT_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Text:
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Notification:
    """One message for people; `level` is LOW, MEDIUM or HIGH of the domain."""

    request_id: str
    level: int
    subject: str
    body: str
    dedupe_key: str
    channels: Sequence[str]
    facts: Mapping[str, str]
    incident_key: str = ""
    ends_incident: bool = False
    ended_incident_keys: Sequence[str] = ()
    # The incident of the same alert before this one: it has begun again.
    follows_incident_key: str = ""
    is_news: bool = False


class Settlement(StrEnum):
    """What the notification service is to do about an incident it was told of."""

    ACKNOWLEDGE = "ACKNOWLEDGE"
    SNOOZE = "SNOOZE"
    RELEASE = "RELEASE"
    END = "END"


@dataclass(frozen=True, slots=True)
class Note:
    """Something about an incident that is not for people. `level` as in Letter, until when as RFC
    3339.
    """

    incident_key: str
    settlement: Settlement
    level: int
    until_time: str
    actor: str


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody said to the notification service about an incident; `level` as in Letter."""

    sequence: int
    incident_key: str
    level: int
    actor: str
    said_time: datetime
    # Only put off until then; None: acknowledged.
    snoozed_until_time: datetime | None


def plain(number: float) -> str:
    """A decimal without exponent that reads back as the same float."""
    text = repr(number + 0.0)
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")


def short(number: float, unit: str = "") -> str:
    """For people: thousands marked, two digits after the point for money, four else; small ones
    whole.

    Of unit UTC the number is seconds since 1970, and what is read is the moment.
    """
    if unit == "UTC":
        return f"{datetime.fromtimestamp(number, UTC):%Y-%m-%d %H:%M} UTC"
    if 0 < abs(number) < 1:
        text = format(Decimal(f"{number:.4g}"), "f")
    else:
        text = f"{number:,.{2 if unit == 'USD' else 4}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    text = "0" if text == "-0" else text
    return f"{text}x" if unit == "x" else f"{text} {unit}".rstrip()


def compose(facts: Mapping[str, str]) -> Text:
    """The message for a change of level, an end of an incident, or a death."""
    subject = f"{_head(facts)}: {_matter(facts)}"
    # Two wallets may hold the same thing: at three in the morning it matters which.
    if facts.get("wallet"):
        subject += f" ({facts['wallet']})"
    if facts.get("demo") == "true":
        subject = f"{DEMO} {subject}"
    lines = [subject, "", *filter(None, _lines(facts))]
    return Text(cut(subject, _SUBJECT_LENGTH), "\n".join(lines))


def _head(facts: Mapping[str, str]) -> str:
    return facts["level"] if facts["event"] in (RAISED, LIQUIDATED, GONE) else facts["event"]


def _matter(facts: Mapping[str, str]) -> str:
    if facts["type"] == AlertType.DEATH_NAIL.name:
        return facts["summary"]
    if facts["type"] == AlertType.TIME.name:
        return f"{facts.get('summary') or 'reminder'} ({facts['trigger_time']})"
    if facts["event"] in _ENDINGS:
        ending = _ENDINGS[facts["event"]].format(level=facts["previous_level"])
        return f"{about(facts)} {ending}"
    metric = METRICS[AlertType[facts["type"]]]
    return f"{about(facts)} {metric.noun} {_told(facts, 'value', metric.unit)}"


def is_news(facts: Mapping[str, str]) -> bool:
    """Whether it is good to know rather than a danger: it must wake nobody."""
    if "rule_id" in facts or facts["event"] in (LIQUIDATED, GONE, BACK):
        return False
    if facts["event"] == CLOSED:
        return True
    metric = METRICS.get(AlertType[facts["type"]])
    return metric is not None and metric.opportunity


def about(facts: Mapping[str, str]) -> str:
    """The subject in a few words: SOL long, BTC, portfolio."""
    words = [facts.get("asset", ""), facts.get("side", "").lower()]
    return " ".join(word for word in words if word) or "portfolio"


def _lines(facts: Mapping[str, str]) -> list[str]:
    if facts["type"] == AlertType.DEATH_NAIL.name:
        return [_told_line("Incident", facts.get("incident")), *_closing(facts)]
    if facts["type"] == AlertType.TIME.name:
        return [f"Why: its moment, {facts['trigger_time']}, has come", *_closing(facts)]
    metric = METRICS[AlertType[facts["type"]]]
    held = metric.alert_class is AlertClass.POSITION and facts["event"] not in _ENDINGS
    return [
        *(_position(facts) if held else []),
        _why(facts, metric.noun, metric.unit),
        *_closing(facts),
    ]


def _position(facts: Mapping[str, str]) -> list[str]:
    size, price = _told(facts, "size_usd", "USD"), _told(facts, "price_usd", "USD")
    entry, last = (
        _told(facts, "entry_price_usd", "USD"),
        _told(facts, "liquidation_price_usd", "USD"),
    )
    return [
        f"Position: {about(facts)}, wallet {facts.get('wallet') or 'none'}, size {size}",
        f"Price: {price}, entry {entry}, liquidation {last}",
        _distance(facts),
    ]


def _distance(facts: Mapping[str, str]) -> str:
    percent, usd = facts.get("liquidation_distance_percent"), facts.get("liquidation_distance_usd")
    if not percent or not usd:
        return ""
    far = f"{short(abs(float(percent)), '%')} ({short(abs(float(usd)), 'USD')})"
    return (
        f"AT OR PAST LIQUIDATION by {far}"
        if float(percent) <= 0
        else f"Distance to liquidation: {far}"
    )


def _why(facts: Mapping[str, str], noun: str, unit: str) -> str:
    if facts["event"] in _ENDINGS:
        return _why_ended(facts, noun, unit)
    if facts["event"] == RESOLVED:
        return f"Why: {noun} is back to NORMAL from {facts['previous_level']}"
    sign = "<=" if facts.get("condition") == Condition.BELOW.name else ">="
    flip = f"; {facts['level']} until {_until(facts, unit)}" if "flip_value" in facts else ""
    return (
        f"Why: {noun} {_told(facts, 'value', unit)} {sign} limit "
        f"{_told(facts, 'limit', unit)}{flip}"
    )


def _why_ended(facts: Mapping[str, str], noun: str, unit: str) -> str:
    far = facts.get("last_distance_percent")
    last = f"; last distance to liquidation {_of(far, '%')}" if far else ""
    if facts["event"] == LIQUIDATED:
        return f"Why: a trade record of the venue says so{last}"
    if facts["event"] == BACK:
        return "Why: its venue shows it again"
    if facts["event"] == GONE:
        return f"Why: the venue does not show it any more and no record says why{last}"
    return (
        f"Why: the position is closed or deleted; last {noun} {_told(facts, 'value', unit)}{last}"
    )


def _until(facts: Mapping[str, str], unit: str) -> str:
    sign = ">=" if facts.get("condition") == Condition.BELOW.name else "<="
    return f"{sign} {_told(facts, 'flip_value', unit)}"


def _closing(facts: Mapping[str, str]) -> list[str]:
    return [
        _told_line("What to do", facts.get("action")),
        _told_line("Observed", facts.get("observed_time")),
    ]


def _told_line(name: str, text: str | None) -> str:
    return f"{name}: {text}" if text else ""


def _told(facts: Mapping[str, str], name: str, unit: str) -> str:
    return _of(facts.get(name), unit)


def _of(text: str | None, unit: str) -> str:
    return "not known" if text is None else short(float(text), unit)


@dataclass(frozen=True, slots=True)
class Standing:
    """How an alert stands: NaN is absent, limits are low, medium, high."""

    type: AlertType
    condition: Condition
    level: Level
    value: float
    limits: tuple[float, float, float]
    flip_value: float
    active: bool
    known: bool
    stale: bool


def why(standing: Standing) -> str:
    """One line: why the level is what it is, and the value that would let it fall."""
    metric = METRICS[standing.type]
    if standing.type is AlertType.DEATH_NAIL:
        return (
            "HIGH until the incident ends"
            if standing.level is Level.HIGH
            else "NORMAL: the incident has ended"
        )
    if not standing.active:
        return "not judged: its threshold is disabled"
    if standing.type is AlertType.TIME:
        return _why_of_time(standing)
    up, down = (">=", "<=") if standing.condition is Condition.ABOVE else ("<=", ">=")
    if standing.level is Level.NORMAL:
        limit = next_limit(Level.NORMAL, standing.limits)
        line = f"NORMAL until {metric.noun} {up} {short(limit, metric.unit)}"
    elif math.isnan(standing.flip_value):
        line = f"{standing.level.name} until two fresh readings away from every limit"
    else:
        line = (
            f"{standing.level.name} until {metric.noun} {down} "
            f"{short(standing.flip_value, metric.unit)}"
        )
    return line + _held(standing, metric.noun, metric.unit)


def _why_of_time(standing: Standing) -> str:
    if standing.level is not Level.NORMAL:
        return f"{standing.level.name} until {short(standing.flip_value, 'UTC')}, then it is over"
    return f"NORMAL: its moment is {short(standing.limits[2], 'UTC')}"


def _held(standing: Standing, noun: str, unit: str) -> str:
    if not standing.known:
        return f"; {noun} is not known now, the level is held"
    if math.isnan(standing.value):
        return ""
    now = f" (now {short(standing.value, unit)}"
    return f"{now}, stale: the level is held)" if standing.stale else f"{now})"
