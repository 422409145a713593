"""How a position ended: liquidated, gone without a word while near to it, or closed at ease."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from services.alerts.alerts.domain.alert_columns import AlertColumns
from services.alerts.alerts.domain.change_payload import EndedAlert, incident_id
from services.alerts.alerts.domain.incidents import IS_OPPORTUNITY
from services.alerts.domain.kinds import AlertType, Level, type_number
from services.alerts.notifications.domain import (
    BACK,
    CLOSED,
    ENDED_INCIDENTS,
    GONE,
    LIQUIDATED,
    plain,
)

# Gone without a record after a last distance below this, in percent: it may have been liquidated.
NEAR_PERCENT = 10.0
LOOK = (
    "Look at the venue now: check what is left of the collateral, and the other positions of "
    "this wallet."
)


class EndRecord(StrEnum):
    """What positions knows of the end of a position."""

    LIQUIDATED = "LIQUIDATED"
    CLOSED = "CLOSED"
    # By a person: deleted, or of a venue that is entered by hand or simulated.
    BY_HAND = "BY_HAND"


@dataclass(frozen=True, slots=True)
class PositionEnd:
    """The record of a position, and its last distance from liquidation: percent, NaN unknown."""

    record: EndRecord
    distance_percent: float = math.nan


@dataclass(frozen=True, slots=True)
class AlertedLife:
    """A position by its alerts: since when they stand, microseconds; its last distance from
    liquidation, percent, NaN unknown; the worst of its dangers.
    """

    position_key: int
    created_micros: int
    distance_percent: float
    worst: Level


UNRECORDED = PositionEnd(EndRecord.CLOSED)
# Of an account: how its positions ended is told by them.
AT_EASE = PositionEnd(EndRecord.BY_HAND)


def ending(ended: PositionEnd, distance_percent: float, worst: Level) -> str:
    """The event people hear of; without a distance the worst of its dangers says how near."""
    if ended.record is EndRecord.LIQUIDATED:
        return LIQUIDATED
    if ended.record is EndRecord.BY_HAND:
        return CLOSED
    is_near = (
        worst is Level.HIGH if math.isnan(distance_percent) else distance_percent < NEAR_PERCENT
    )
    return GONE if is_near else CLOSED


def alerted_life(columns: AlertColumns, position_key: int) -> AlertedLife:
    """Of a position that has alerts."""
    rows = np.flatnonzero(columns.subject_key == position_key)
    types = type_number(columns.kind[rows])
    seen = columns.readings.value[rows[types == AlertType.LIQUIDATION_DISTANCE]]
    dangers = columns.level[rows[~IS_OPPORTUNITY[columns.kind[rows]]]]
    return AlertedLife(
        position_key,
        int(columns.created_micros[rows].min()),
        float(np.fmin.reduce([*seen.tolist(), math.nan])),
        Level(max(dangers.tolist(), default=Level.NORMAL)),
    )


def end_notification(
    columns: AlertColumns, items: Sequence[EndedAlert], ended: PositionEnd
) -> EndedAlert:
    """Of all alerts of one position the one people are notified by of its end, with the payload.

    The worst one they were notified of, else the one of the distance; it names those incidents.
    """
    dangers = [item for item in items if not IS_OPPORTUNITY[columns.kind[item.row]]]
    notified = sorted(
        (item for item in dangers if columns.notified_level[item.row]),
        key=lambda item: -int(columns.level[item.row]),
    )
    distances = [
        item
        for item in items
        if type_number(columns.kind[item.row]) == AlertType.LIQUIDATION_DISTANCE
    ]
    chosen = (notified or distances or dangers or items)[0]
    seen = [float(columns.readings.value[item.row]) for item in distances]
    last = float(np.fmin.reduce([*seen, ended.distance_percent]))
    worst = Level(max((int(columns.level[item.row]) for item in dangers), default=Level.NORMAL))
    event = ending(ended, last, worst)
    payload = chosen.payload
    payload["event"] = event
    if not math.isnan(last):
        payload["last_distance_percent"] = plain(last)
    incidents = [item.payload["incident_id"] for item in notified if item is not chosen]
    if event != CLOSED:
        # An incident of its own: what was notified before is over, and this one has just begun.
        key, count = (int(columns.alert_key[chosen.row]), int(columns.incident_count[chosen.row]))
        if columns.notified_level[chosen.row]:
            incidents.append(payload["incident_id"])
        payload |= {
            "level": Level.HIGH.name,
            "action": LOOK,
            "incident_id": incident_id(key, count + 1),
        }
    if incidents:
        payload[ENDED_INCIDENTS] = " ".join(incidents)
    return chosen


def back(payload: Mapping[str, str], cycle_id: str) -> dict[str, str]:
    """The payload that a position is held after all, by the one that it was gone."""
    kept = {name: text for name, text in payload.items() if name not in ("action", ENDED_INCIDENTS)}
    levels = {"level": Level.NORMAL.name, "previous_level": Level.HIGH.name}
    return {**kept, **levels, "event": BACK, "cycle_id": cycle_id}
