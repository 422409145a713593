"""The payload of changes: what the ledger keeps and messages are made of. Decides nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

import numpy as np

from services.alerts.alerts.domain.alert_columns import AlertColumns, Column
from services.alerts.alerts.domain.evaluation import Outcome
from services.alerts.alerts.domain.readings import Positions
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.domain.kinds import (
    DEATH_KIND,
    KIND_COUNT,
    METRICS,
    AlertClass,
    AlertType,
    Level,
    ReadingState,
    parts_of,
    type_number,
)
from services.alerts.notifications.domain import CLOSED, RAISED, RESOLVED, Payload, plain

_SIDES = {1: "LONG", -1: "SHORT", 0: "UNKNOWN"}
_FIGURES = {
    "price_usd": "mark_price_usd",
    "entry_price_usd": "entry_price_usd",
    "liquidation_price_usd": "risk_liquidation_price_usd",
    "size_usd": "size_usd",
    "liquidation_distance_usd": "liquidation_distance_usd",
    "liquidation_distance_percent": "liquidation_distance_percent",
    "travel_percent": "travel_percent",
    "heat_index": "heat_index",
}
_FIGURES_TEXT = "".join(f', "{name}": "%r"' for name in _FIGURES)
# Between these repr() of a float has no exponent.
_SHORTEST, _LONGEST = 1e-4, 1e16
# A liquidation looks like this too, until a trade record confirms it.
_IF_NOT_YOU = "If you did not close it, look at the venue: it may have been liquidated."
_SOURCES = {
    AlertClass.POSITION: "positions",
    AlertClass.PORTFOLIO: "totals",
    AlertClass.MARKET: "price",
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
    return _SIDES[side_sign] if alert_class is AlertClass.POSITION else ""


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


class Change(NamedTuple):
    """One change of level; NaN value is absent, `text` is its payload as JSON."""

    alert_key: int
    kind: int
    name: str
    level_before: int
    level_after: int
    value: float
    flip_value: float
    notified: bool
    reason: str
    text: str
    # Not for people: the notification service alone is to know.
    noted: bool = False


class _Texts:
    """Pieces of JSON that many changes share: a crash changes tens of thousands at once."""

    def __init__(self, outcome: Outcome, positions: Positions, context: ChangeContext) -> None:
        self._setting = context
        self._figures = _figure_texts(positions, outcome.position_row)
        self._places: dict[tuple[str, int, int, int], str] = {}

    def of_position(self, row: int, subject: Subject, seen: int, state: int) -> str:
        place = (subject.wallet, subject.side_sign, seen, state)
        shared = self._places.get(place)
        if shared is None:
            payload: Payload = {"wallet": subject.wallet, "side": _SIDES[subject.side_sign]}
            _put_time(payload, seen, state, self._setting)
            shared = self._places[place] = json.dumps(payload)[1:-1]
        return (
            f'"position_id": {encode_basestring_ascii(subject.name)}, '
            f"{shared}{self._figures[row]}}}"
        )

    def of_reading(self, kind: int, value: float, seen: int, state: int, own: Payload) -> str:
        payload = dict(own)
        _put_time(payload, seen, state, self._setting)
        if type_number(kind) == AlertType.PRICE_THRESHOLD and is_known(value):
            payload["price_usd"] = plain(value)
        return json.dumps(payload)[1:]


def _particular(outcome: Outcome, subjects: Mapping[int, Subject]) -> dict[int, Payload]:
    """What only price changes and reminders have, by alert key: start, moment, note."""
    columns, found = outcome.columns, {}
    types = type_number(columns.kind[outcome.changed])
    for row in outcome.changed[
        (types == AlertType.DELTA_CHANGE) | (types == AlertType.TIME)
    ].tolist():
        key, start = int(columns.alert_key[row]), float(columns.starting_value[row])
        if type_number(columns.kind[row]) == AlertType.TIME:
            summary = subjects[int(columns.subject_key[row])].summary
            due = moment(round(float(columns.trigger_value[row]) * 1_000_000))
            found[key] = {"trigger_time": due, "summary": summary}
        elif is_known(start):
            value = float(columns.readings.value[row])
            found[key] = {"starting_price_usd": plain(start)}
            if is_known(value):
                found[key]["price_usd"] = plain(start * (1 + value / 100))
    return found


def _heads(outcome: Outcome, context: ChangeContext) -> list[str]:
    """Of each change what all of one kind, asset and step have in common, as open JSON."""
    assets, one = outcome.columns.assets, outcome.columns.pick(outcome.changed)
    steps = (one.kind, one.asset_key, outcome.before, one.level)
    sizes = (KIND_COUNT, len(assets), len(Level) + 1, len(Level) + 1)
    step = np.ravel_multi_index(tuple(column.astype(np.int64) for column in steps), sizes)
    own = np.flatnonzero(~np.isnan(one.trigger_value))
    # A limit of its own has nothing in common.
    step[own] = -1 - np.arange(len(own))
    _, firsts, places = np.unique(step, return_index=True, return_inverse=True)
    texts = []
    for first in firsts.tolist():
        kind, asset, before, after = (int(column[first]) for column in steps)
        payload = _payload(kind, assets[asset], before, after, context)
        _put_limits(
            payload, outcome.limits[first].tolist(), float(outcome.flip_value[first]), after
        )
        texts.append(json.dumps(payload)[:-1])
    return [texts[place] for place in places.tolist()]


def _figure_texts(positions: Positions, position_rows: Column) -> dict[int, str]:
    """The figures of these positions as JSON to be joined."""
    rows = np.unique(position_rows[position_rows >= 0])
    if not len(rows):
        return {}
    table = np.column_stack([positions.figures[figure][rows] for figure in _FIGURES.values()])
    size = np.abs(table)
    # Numbers whose repr() is what plain() makes of them.
    simple = ((size >= _SHORTEST) & (size < _LONGEST) & (table != np.trunc(table))).all(axis=1)
    texts = (
        _FIGURES_TEXT % tuple(values) if is_simple else _figures_text(values)
        for values, is_simple in zip(table.tolist(), simple.tolist(), strict=True)
    )
    return dict(zip(rows.tolist(), texts, strict=True))


def _figures_text(values: Sequence[float]) -> str:
    named = zip(_FIGURES, values, strict=True)
    return "".join(f', "{name}": "{plain(value)}"' for name, value in named if is_known(value))


def changes(
    outcome: Outcome, subjects: Mapping[int, Subject], positions: Positions, context: ChangeContext
) -> Iterator[Change]:
    """Every change of an evaluation with its payload, in order of the alerts."""
    assets, one = outcome.columns.assets, outcome.columns.pick(outcome.changed)
    texts = _Texts(outcome, positions, context)
    particular = _particular(outcome, subjects)
    sources: Sequence[tuple[object, Sequence[str]]] = (
        (one, ("alert_key", "kind", "asset_key", "subject_key", "incident_count", "level")),
        (one.readings, ("value", "observed_micros", "state")),
        (outcome, ("before", "flip_value", "notified", "position_row")),
        (outcome, ("expired", "ended_quietly", "off")),
    )
    lists = [getattr(source, name).tolist() for source, names in sources for name in names]
    for (
        head, key, kind, asset, about, count, after, value, seen, state, before, flip, notified,
        row, expired, ended_quietly, off,
    ) in zip(_heads(outcome, context), *lists, strict=True):  # fmt: skip
        subject = subjects[about]
        own = f', "alert_id": "alert-{key}", "incident_id": "alert-{key}.{count}", '
        if is_known(value):
            own += f'"value": "{plain(value)}", '
        last = (
            texts.of_position(row, subject, seen, state)
            if row >= 0
            else texts.of_reading(kind, value, seen, state, particular.get(key, {}))
        )
        name = subject.name or assets[asset]
        reason = _reason(before, after, expired=expired, off=off)
        text = head + own + last
        yield Change(
            key, kind, name, before, after, value, flip, notified, reason, text, ended_quietly
        )


def _reason(before: int, after: int, *, expired: bool, off: bool) -> str:
    if after > before:
        return "RAISED"
    if after < before:
        return "SWITCHED_OFF" if off else "LOWERED"
    return "EXPIRED" if expired else "TOLD"


def _payload(kind: int, asset: str, before: int, after: int, context: ChangeContext) -> Payload:
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


def _about_position(subject: Subject) -> Payload:
    return {
        "position_id": subject.name,
        "wallet": subject.wallet,
        "side": _SIDES[subject.side_sign],
    }


def _put_time(payload: Payload, observed_micros: int, state: int, context: ChangeContext) -> None:
    payload["reading_state"] = ReadingState(state).name
    if observed_micros:
        payload["observed_time"] = moment(observed_micros)
        payload["reading_age_seconds"] = plain(
            max(context.now_micros - observed_micros, 0) / 1_000_000
        )


def _put_limits(payload: Payload, limits: list[float], flip_value: float, level: int) -> None:
    for name, limit in zip(("limit_low", "limit_medium", "limit_high"), limits, strict=True):
        if is_known(limit):
            payload[name] = plain(limit)
    reached = limits[level - 2] if level > Level.NORMAL else math.nan
    if is_known(reached):
        payload["limit"] = plain(reached)
    if is_known(flip_value):
        payload["flip_value"] = plain(flip_value)


def death_payload(
    incident: str, summary: str, level_before: int, level_after: int, context: ChangeContext
) -> Payload:
    """Facts of a death or of its end."""
    payload = _payload(DEATH_KIND, "", level_before, level_after, context)
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
    """An alert whose position is no longer held."""

    row: int
    subject: Subject
    payload: Payload


def ended_alerts(
    columns: AlertColumns,
    rows: Sequence[int],
    subjects: Mapping[int, Subject],
    context: ChangeContext,
) -> Iterator[EndedAlert]:
    """The payload of alerts that end with their position."""
    for row in rows:
        kind, key = int(columns.kind[row]), int(columns.alert_key[row])
        subject = subjects.get(int(columns.subject_key[row])) or Subject(0, "", "", 0, "")
        asset = columns.assets[columns.asset_key[row]]
        payload = _payload(kind, asset, int(columns.level[row]), Level.NORMAL, context)
        payload |= {
            "event": CLOSED,
            "action": _IF_NOT_YOU,
            "alert_id": alert_id(key),
            **_about_position(subject),
        }
        payload["incident_id"] = incident_id(key, int(columns.incident_count[row]))
        readings = columns.readings
        value = float(readings.value[row])
        if is_known(value):
            payload["value"] = plain(value)
        _put_time(payload, int(readings.observed_micros[row]), int(readings.state[row]), context)
        yield EndedAlert(row, subject, payload)
