"""The payload of changes: what messages are made of. Decides nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from services.alerts.alerts.domain.alert_columns import AlertColumns
from services.alerts.alerts.domain.evaluation import Outcome
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.domain.kinds import (
    METRICS,
    AlertClass,
    Level,
    ReadingState,
    parts_of,
)
from services.alerts.notifications.domain import CLOSED, RAISED, RESOLVED, Payload, plain

SIDES = {1: "LONG", -1: "SHORT", 0: "UNKNOWN"}
# Numbers of positions' ProbabilityModel.
PROBABILITY_MODELS = {1: "NORMAL", 2: "EMPIRICAL"}
# Whose candles an extreme is of; the number is stored.
EXTREME_SOURCES = {1: "demo", 2: "binance", 3: "coinbase", 4: "kraken"}
# A liquidation looks like this too, until a trade record confirms it.
_IF_NOT_YOU = "If you did not close it, look at the venue: it may have been liquidated."
_SOURCES = {
    AlertClass.POSITION: "positions",
    AlertClass.PORTFOLIO: "totals",
    AlertClass.MARKET: "price",
    AlertClass.ACCOUNT: "accounts",
}


def alert_id(alert_key: int) -> str:
    return f"alert-{alert_key}"


def key_of(id: str) -> int | None:
    """The key an alert id spells, or None."""
    digits = id.removeprefix("alert-")
    return (
        int(digits)
        if digits != id and digits.isascii() and digits.isdecimal() and len(digits) < 19
        else None
    )


def incident_id(alert_key: int, incident_count: int) -> str:
    return f"{alert_id(alert_key)}.{incident_count}"


def side_name(side_sign: int, alert_class: AlertClass) -> str:
    return SIDES[side_sign] if alert_class is AlertClass.POSITION else ""


def moment(micros: int) -> str:
    """RFC 3339 with Z; empty for never."""
    if not micros:
        return ""
    return (
        datetime.fromtimestamp(micros / 1_000_000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def is_known(number: float) -> bool:
    return not math.isnan(number)


@dataclass(frozen=True, slots=True)
class ChangeContext:
    """Where and when changes happened."""

    cycle_id: str
    demo: bool
    now_micros: int


def level_payload(
    kind: int, asset: str, before: int, after: int, context: ChangeContext
) -> Payload:
    """What every change of a level has: from which level to which, by what, of what."""
    alert_type, condition = parts_of(kind)
    metric = METRICS[alert_type]
    payload = {
        "event": RESOLVED if after == Level.NORMAL else RAISED,
        "type": alert_type.name,
        "condition": condition.name,
        "level": Level(after).name,
        "previous_level": Level(before).name,
        "formula": metric.name,
        "cycle_id": context.cycle_id,
        "source": _SOURCES.get(metric.alert_class, ""),
    }
    if payload["event"] == RAISED:
        payload["action"] = metric.action
    if asset:
        payload["asset"] = asset
    if context.demo:
        payload["demo"] = "true"
    return payload


def _about(subject: Subject, alert_class: AlertClass) -> Payload:
    if alert_class is AlertClass.ACCOUNT:
        return {"account_id": subject.name, "account": subject.summary, "wallet": subject.wallet}
    return {
        "position_id": subject.name,
        "wallet": subject.wallet,
        "side": SIDES[subject.side_sign],
    }


def put_time(payload: Payload, observed_micros: int, state: int, context: ChangeContext) -> None:
    """When the reading was observed, and how old it was then."""
    payload["reading_state"] = ReadingState(state).name
    if observed_micros:
        payload["observed_time"] = moment(observed_micros)
        payload["reading_age_seconds"] = plain(
            max(context.now_micros - observed_micros, 0) / 1_000_000
        )


def put_limits(
    payload: Payload, limits: Sequence[float], flip_value: float | None, level: int
) -> None:
    """The limits that are set, the one that was reached, and where the level may fall."""
    for name, limit in zip(("limit_low", "limit_medium", "limit_high"), limits, strict=True):
        if is_known(limit):
            payload[name] = plain(limit)
    reached = limits[level - 2] if level > Level.NORMAL else math.nan
    if is_known(reached):
        payload["limit"] = plain(reached)
    if flip_value is not None:
        payload["flip_value"] = plain(flip_value)


def reported_payload(
    kind: int,
    incident: str,
    summary: str,
    level_before: int,
    level_after: int,
    context: ChangeContext,
) -> Payload:
    """Facts of what another service reports: that it is so, or no more."""
    payload = level_payload(kind, "", level_before, level_after, context)
    return {
        **payload,
        "incident": incident,
        "summary": summary,
        "observed_time": moment(context.now_micros),
    }


def changes_worst_first(outcome: Outcome) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Places among the changed rows, highest new level first, then by alert."""
    return np.lexsort(
        (outcome.columns.alert_key[outcome.changed], -outcome.columns.level[outcome.changed])
    )


class EndedAlert(NamedTuple):
    """An alert whose position is no longer held, or whose account is gone."""

    row: int
    subject: Subject
    payload: Payload


def ended_alerts(
    columns: AlertColumns,
    rows: Sequence[int],
    subjects: Mapping[int, Subject],
    context: ChangeContext,
) -> Iterator[EndedAlert]:
    """The payload of alerts that end with their position or account."""
    for row in rows:
        kind, key = int(columns.kind[row]), int(columns.alert_key[row])
        subject = subjects.get(int(columns.subject_key[row])) or Subject(0, "", "", 0, "")
        asset = columns.assets[columns.asset_key[row]]
        payload = level_payload(kind, asset, int(columns.level[row]), Level.NORMAL, context)
        payload |= {
            "event": CLOSED,
            "action": _IF_NOT_YOU,
            "alert_id": alert_id(key),
            **_about(subject, METRICS[parts_of(kind)[0]].alert_class),
        }
        payload["incident_id"] = incident_id(key, int(columns.incident_count[row]))
        readings = columns.readings
        value = float(readings.value[row])
        if is_known(value):
            payload["value"] = plain(value)
        put_time(payload, int(readings.observed_micros[row]), int(readings.state[row]), context)
        yield EndedAlert(row, subject, payload)
