"""What people read: the payload of a change in, subject and body out.

A payload is texts by name: numbers as plain decimals, times as RFC 3339; an absent one is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from services.alerts.domain.kinds import (
    METRICS,
    REPORTED,
    AlertClass,
    AlertType,
    Condition,
    Level,
)
from shared.texts import cut

Payload = dict[str, str]

RAISED: Final = "RAISED"
RESOLVED: Final = "RESOLVED"
CLOSED: Final = "CLOSED"
# Ends of a position that are worse than anything before: a record says so, or there is none and it
# was near.
LIQUIDATED: Final = "LIQUIDATED"
GONE: Final = "GONE"
# A venue took it, or a part of it, by itself; told of a position whatever became of its alerts.
LIQUIDATED_IN_PART: Final = "LIQUIDATED_IN_PART"
AUTO_DELEVERAGED: Final = "AUTO_DELEVERAGED"
ALARMS: Final = (LIQUIDATED, GONE, LIQUIDATED_IN_PART, AUTO_DELEVERAGED)
# What was notified to be gone is held: it was not, or it was opened again.
BACK: Final = "BACK"
_ENDINGS = {
    CLOSED: "is no longer held (was {level})",
    LIQUIDATED: "was LIQUIDATED (was {level})",
    GONE: "is gone, may have been liquidated (was {level})",
    BACK: "is held, and had been told to be gone",
}
_REPORTED = {kind.name for kind in REPORTED}
# The fact that names other incidents that are over too, with spaces between.
ENDED_INCIDENTS: Final = "ended_incident_ids"
# In letters that every channel has, SMS too.
DEMO: Final = "DEMO"
_PLAIN_FACTS = ("alert_id", "demo", "event", "ledger_head")
_PLAIN = re.compile(r"[\w.:-]{1,80}", re.ASCII)
# What the notification service takes as one line.
SUBJECT_LENGTH: Final = 300


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
    payload: Mapping[str, str]
    incident_key: str = ""
    ends_incident: bool = False
    ended_incident_keys: Sequence[str] = ()
    # The incident of the same alert before this one: it has begun again.
    follows_incident_key: str = ""
    # By which the same was told to be over before.
    superseded_request_ids: Sequence[str] = ()
    is_news: bool = False


def in_plain_words(one: Notification, reason: str) -> Notification:
    """What is told in place of one that is refused for its words: none of them, and no facts but
    the alert and the ledger's head.
    """
    ended = " that something is over" if one.ends_incident else ""
    kept = {name: one.payload[name] for name in _PLAIN_FACTS if name in one.payload}
    about = kept.get("alert_id", "")
    # A fact that is too long is perhaps what was refused.
    kept["alert_id"] = about = about if _PLAIN.fullmatch(about) else "unknown"
    level = Level(one.level).name
    subject = f"{level}: a message{ended} of alert {about} could not be accepted: {reason}"
    body = f"{subject}.\nWhat it says: sonic ledger list --alert {about}; sonic alerts list"
    return replace(
        one, subject=subject, body=body, dedupe_key=one.request_id, channels=(), payload=kept
    )


class IncidentAction(StrEnum):
    """What the notification service is to do about an incident it was notified of."""

    ACKNOWLEDGE = "ACKNOWLEDGE"
    SNOOZE = "SNOOZE"
    RELEASE = "RELEASE"
    END = "END"


@dataclass(frozen=True, slots=True)
class IncidentUpdate:
    """What becomes of an incident, not for people. `until_time` RFC 3339."""

    incident_key: str
    action: IncidentAction
    level: int
    until_time: str
    actor: str


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What a person said to the notification service of an incident; `level` as in Notification."""

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


def compose(payload: Mapping[str, str]) -> Text:
    """The message for a change of level, an end of an incident, or a death."""
    subject = f"{head(payload)}: {matter(payload)}"
    # Two wallets may hold the same thing: at three in the morning it matters which.
    if payload.get("wallet"):
        subject += f" ({payload['wallet']})"
    if payload.get("demo") == "true":
        subject = f"{DEMO} {subject}"
    lines = [subject, "", *filter(None, _lines(payload))]
    return Text(cut(subject, SUBJECT_LENGTH), "\n".join(lines))


def head(payload: Mapping[str, str]) -> str:
    """The first word: how loud, or that it is over."""
    event = payload["event"]
    return payload["level"] if event in (RAISED, *ALARMS) else event.replace("_", " ")


def matter(payload: Mapping[str, str]) -> str:
    """What it is about in few words, without level, wallet and distance."""
    if payload["type"] in _REPORTED:
        # Not in rows of a release that left it out where a hold ran out.
        return payload.get("summary") or METRICS[AlertType[payload["type"]]].noun
    if payload["type"] == AlertType.TIME.name:
        return f"{payload.get('summary') or 'reminder'} ({payload['trigger_time']})"
    if payload["event"] in _ENDINGS:
        ending = _ENDINGS[payload["event"]].format(level=payload["previous_level"])
        return f"{_about(payload)} {ending}"
    metric = METRICS[AlertType[payload["type"]]]
    if _holds_nothing(payload):
        return f"{_about(payload)} {metric.noun}: nothing is held"
    if "estimated_value" in payload and "extreme_value" not in payload:
        estimated = _figure(payload, "estimated_value", metric.unit)
        return f"{_about(payload)} {metric.noun} {estimated}, ESTIMATED by market price"
    return f"{_about(payload)} {metric.noun} {_value(payload, metric.unit)}"


def _holds_nothing(payload: Mapping[str, str]) -> bool:
    """Of a portfolio that is well again without a figure: what is only not known lowers nothing."""
    is_portfolio = METRICS[AlertType[payload["type"]]].alert_class is AlertClass.PORTFOLIO
    return is_portfolio and payload["event"] == RESOLVED and "value" not in payload


def is_news(payload: Mapping[str, str]) -> bool:
    """Whether it is good to know rather than a danger: it must wake nobody."""
    if "rule_id" in payload or payload["event"] in (*ALARMS, BACK):
        return False
    return payload["event"] == CLOSED or is_opportunity(payload)


def is_opportunity(payload: Mapping[str, str]) -> bool:
    """Whether the alert itself says what is good to know, however it ends; a row about something
    else than an alert does not.
    """
    if "rule_id" in payload or "type" not in payload:
        return False
    if payload["type"] == AlertType.WITHDRAWAL.name:
        return payload["condition"] == Condition.ABOVE.name
    metric = METRICS.get(AlertType[payload["type"]])
    return metric is not None and metric.opportunity


def about(asset: str, side: str) -> str:
    """The subject in short, of no account: SOL long, BTC, portfolio."""
    return " ".join(part for part in (asset, side.lower()) if part) or "portfolio"


def _about(payload: Mapping[str, str]) -> str:
    return payload.get("account") or about(payload.get("asset", ""), payload.get("side", ""))


def _lines(payload: Mapping[str, str]) -> list[str]:
    if payload["type"] in _REPORTED:
        return [_line("Incident", payload.get("incident")), *_closing(payload)]
    if payload["type"] == AlertType.TIME.name:
        return [f"Why: its moment, {payload['trigger_time']}, has come", *_closing(payload)]
    metric = METRICS[AlertType[payload["type"]]]
    held = _HELD.get(metric.alert_class) if payload["event"] not in _ENDINGS else None
    return [
        *(held(payload) if held else []),
        _why(payload, metric.noun, metric.unit),
        *_closing(payload),
    ]


def _position(payload: Mapping[str, str]) -> list[str]:
    size, price = _figure(payload, "size_usd", "USD"), _figure(payload, "price_usd", "USD")
    entry, last = (
        _figure(payload, "entry_price_usd", "USD"),
        _figure(payload, "liquidation_price_usd", "USD"),
    )
    return [
        f"Position: {_about(payload)}, wallet {payload.get('wallet') or 'none'}, size {size}",
        f"Price: {price}, entry {entry}, liquidation {last}",
        distance(payload),
        _estimated(payload),
    ]


def _estimated(payload: Mapping[str, str]) -> str:
    """While the venue's mark stands still or is old: how far it is by the market price."""
    since = payload.get("mark_frozen_since_time")
    if not since:
        return ""
    far = payload.get("estimated_distance_percent")
    if far is None:
        said = "Distance by market price: not known"
    elif float(far) <= 0:
        said = f"AT OR PAST LIQUIDATION by market price ({_of(far, '%')}), ESTIMATED"
    else:
        said = f"Distance by market price: {_of(far, '%')}, ESTIMATED"
    return f"{said}; the venue's mark is that of {since[:16].replace('T', ' ')} UTC"


def _account(payload: Mapping[str, str]) -> list[str]:
    equity, size = _figure(payload, "equity_usd", "USD"), _figure(payload, "notional_usd", "USD")
    times = f" ({_figure(payload, 'exposure_ratio', 'x')})" if "exposure_ratio" in payload else ""
    wallet, far = payload.get("wallet") or "none", payload.get("account_distance_percent")
    moved = payload.get("beta_move_percent")
    return [
        f"Account: {_about(payload)}, wallet {wallet}, equity {equity}, positions {size}{times}",
        f"All prices together: {_of(far, '%')} to liquidation" if far else "",
        _by_betas(moved) if moved else "",
    ]


def _by_betas(moved: str) -> str:
    way = "falls" if float(moved) < 0 else "rises"
    return f"By betas, ESTIMATED: when BTC {way} {short(abs(float(moved)), '%')}"


_HELD: Final = {AlertClass.POSITION: _position, AlertClass.ACCOUNT: _account}


def distance(payload: Mapping[str, str]) -> str:
    """How far from liquidation; empty when that is not known."""
    percent, usd = (
        payload.get("liquidation_distance_percent"),
        payload.get("liquidation_distance_usd"),
    )
    if not percent or not usd:
        return ""
    far = f"{short(abs(float(percent)), '%')} ({short(abs(float(usd)), 'USD')})"
    return (
        f"AT OR PAST LIQUIDATION by {far}"
        if float(percent) <= 0
        else f"Distance to liquidation: {far}"
    )


def _why(payload: Mapping[str, str], noun: str, unit: str) -> str:
    if payload["event"] in _ENDINGS:
        return _why_ended(payload, noun, unit)
    if payload["event"] == RESOLVED:
        why = ": nothing is held" if _holds_nothing(payload) else ""
        return f"Why: {noun} is back to NORMAL from {payload['previous_level']}{why}"
    sign = "<=" if payload.get("condition") == Condition.BELOW.name else ">="
    flip = f"; {payload['level']} until {_until(payload, unit)}" if "flip_value" in payload else ""
    model = f" ({payload['probability_model']})" if "probability_model" in payload else ""
    if "extreme_value" in payload:
        # Of the market where the venue has no candles: said, so that nobody takes it for the mark.
        whose = f"{payload['extreme_source']}, as from the market"
        return (
            f"Why: {noun} touched {_figure(payload, 'extreme_value', unit)} at "
            f"{payload['extreme_time'][11:16]} UTC ({whose}), now {_figure(payload, 'value', unit)}"
            f"; {sign} limit {_figure(payload, 'limit', unit)}{flip}"
        )
    if "estimated_value" in payload:
        estimated = _figure(payload, "estimated_value", unit)
        return (
            f"Why: {noun} {estimated} by market price, ESTIMATED, as the venue's mark stands still"
            f" or is old (by that {_figure(payload, 'value', unit)}); {sign} limit "
            f"{_figure(payload, 'limit', unit)}{flip}"
        )
    return (
        f"Why: {noun} {_value(payload, unit)}{model} {sign} limit "
        f"{_figure(payload, 'limit', unit)}{flip}"
    )


def _why_ended(payload: Mapping[str, str], noun: str, unit: str) -> str:
    far = payload.get("last_distance_percent")
    last = f"; last distance to liquidation {_of(far, '%')}" if far else ""
    if payload["event"] == LIQUIDATED:
        return f"Why: a trade record of the venue says so{last}"
    if payload["event"] == BACK:
        return "Why: its venue shows it again"
    if payload["event"] == GONE:
        return f"Why: the venue does not show it any more and no record says why{last}"
    value = _figure(payload, "value", unit)
    if "account" in payload:
        return f"Why: the venue or wallet has no such account any more; last {noun} {value}"
    return f"Why: the position is closed or deleted; last {noun} {value}{last}"


def _until(payload: Mapping[str, str], unit: str) -> str:
    sign = ">=" if payload.get("condition") == Condition.BELOW.name else "<="
    return f"{sign} {_figure(payload, 'flip_value', unit)}"


def _closing(payload: Mapping[str, str]) -> list[str]:
    return [
        _line("What to do", payload.get("action")),
        _line("Observed", payload.get("observed_time")),
    ]


def _line(name: str, text: str | None) -> str:
    return f"{name}: {text}" if text else ""


def _value(payload: Mapping[str, str], unit: str) -> str:
    """What was judged; over an equity of 0 or less exposure is no number."""
    is_over = payload["type"] == AlertType.WALLET_EXPOSURE.name and "value" not in payload
    if is_over and float(payload.get("equity_usd", "nan")) <= 0:
        return "without end: no equity is left"
    return _figure(payload, "value", unit)


def _figure(payload: Mapping[str, str], name: str, unit: str) -> str:
    return _of(payload.get(name), unit)


def _of(text: str | None, unit: str) -> str:
    return "not known" if text is None else short(float(text), unit)
