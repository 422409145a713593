"""Why an alert stands where it does, in one line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from services.alerts.alerts.domain.at_price import OF_PRICE
from services.alerts.domain.kinds import METRICS, AlertType, Condition, Level
from services.alerts.domain.levels import next_limit
from services.alerts.notifications.domain import short


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
    # By the market price; and since when the venue's mark is what it is, 0: it moves.
    estimated_value: float = math.nan
    mark_frozen_since_micros: int = 0


def why(standing: Standing) -> str:
    """One line: why the level is what it is, and the value that would let it fall."""
    metric = METRICS[standing.type]
    if standing.type is AlertType.DEATH_NAIL:
        return (
            "HIGH until the incident ends"
            if standing.level is Level.HIGH
            else "NORMAL: the incident has ended"
        )
    if standing.type is AlertType.WITHDRAWAL:
        return _why_advised(standing)
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


def _why_advised(standing: Standing) -> str:
    said = "what may be withdrawn" if standing.condition is Condition.ABOVE else "the peg"
    return f"{standing.level.name}: reported by withdrawals, {said}"


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
    if standing.mark_frozen_since_micros:
        return f"{now}, {_frozen_mark(standing, unit)}: the level is held)"
    return f"{now}, stale: the level is held)" if standing.stale else f"{now})"


def _frozen_mark(standing: Standing, unit: str) -> str:
    moment = datetime.fromtimestamp(standing.mark_frozen_since_micros / 1_000_000, UTC)
    still = f"the venue's mark is that of {moment:%Y-%m-%d %H:%M} UTC"
    if standing.type not in OF_PRICE:
        return still
    if math.isnan(standing.estimated_value):
        return f"not known by market price; {still}"
    return f"{short(standing.estimated_value, unit)} by market price, ESTIMATED; {still}"
