"""The words of alerts: types, classes, levels, and what each type measures. Knows no value and no limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class AlertClass(IntEnum):
    POSITION = 1
    PORTFOLIO = 2
    MARKET = 3
    SYSTEM = 4


class AlertType(IntEnum):
    PRICE_THRESHOLD = 1
    DELTA_CHANGE = 2
    TRAVEL_PERCENT = 3
    LIQUIDATION_DISTANCE = 4
    LIQUIDATION_PROBABILITY = 5
    HEAT_INDEX = 6
    PROFIT = 7
    TIME = 8
    TOTAL_VALUE = 9
    TOTAL_SIZE = 10
    TOTAL_PROFIT = 11
    AVG_LEVERAGE = 12
    AVG_TRAVEL_PERCENT = 13
    VALUE_TO_COLLATERAL_RATIO = 14
    TOTAL_HEAT = 15
    DEATH_NAIL = 16


class Condition(IntEnum):
    NONE = 0
    ABOVE = 1
    BELOW = 2


class Level(IntEnum):
    NORMAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4


class AlertStatus(IntEnum):
    ACTIVE = 1
    SILENCED = 2
    ACKNOWLEDGED = 3
    INACTIVE = 4


class ReadingState(IntEnum):
    FRESH = 1
    STALE = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Metric:
    """What a type measures: its field name, how people call it, its unit, and what to do about it."""

    alert_class: AlertClass
    name: str
    noun: str
    unit: str
    action: str
    opportunity: bool = False


_ADD = "Add collateral, cut size or close the position."
_TAKE = "Consider taking profit or moving your stop."
_LOOK = "Look at the portfolio: reduce size or add collateral where the distance is smallest."

METRICS: Mapping[AlertType, Metric] = {
    AlertType.HEAT_INDEX: Metric(AlertClass.POSITION, "heat_index", "heat", "", _ADD),
    AlertType.TRAVEL_PERCENT: Metric(AlertClass.POSITION, "travel_percent", "travel", "%", _ADD),
    AlertType.LIQUIDATION_DISTANCE: Metric(
        AlertClass.POSITION, "liquidation_distance_percent", "liquidation distance", "%", _ADD
    ),
    AlertType.LIQUIDATION_PROBABILITY: Metric(
        AlertClass.POSITION, "liquidation_probability", "liquidation probability in 24 h", "", _ADD
    ),
    AlertType.PROFIT: Metric(AlertClass.POSITION, "profit_usd", "profit", "USD", _TAKE, opportunity=True),
    AlertType.TOTAL_VALUE: Metric(
        AlertClass.PORTFOLIO,
        "total_value_usd",
        "total value",
        "USD",
        "For your information.",
        opportunity=True,
    ),
    AlertType.TOTAL_SIZE: Metric(
        AlertClass.PORTFOLIO, "total_size_usd", "total size", "USD", "For your information.", opportunity=True
    ),
    AlertType.TOTAL_PROFIT: Metric(
        AlertClass.PORTFOLIO, "total_profit_usd", "total profit", "USD", _TAKE, opportunity=True
    ),
    AlertType.AVG_LEVERAGE: Metric(
        AlertClass.PORTFOLIO, "avg_leverage_ratio", "average leverage", "x", _LOOK
    ),
    AlertType.AVG_TRAVEL_PERCENT: Metric(
        AlertClass.PORTFOLIO, "avg_travel_percent", "average travel", "%", _LOOK
    ),
    AlertType.VALUE_TO_COLLATERAL_RATIO: Metric(
        AlertClass.PORTFOLIO, "value_to_collateral_ratio", "value to collateral", "", _LOOK
    ),
    AlertType.TOTAL_HEAT: Metric(AlertClass.PORTFOLIO, "avg_heat_index", "average heat", "", _LOOK),
    AlertType.PRICE_THRESHOLD: Metric(
        AlertClass.MARKET, "price_usd", "price", "USD", "Look at the positions in this asset."
    ),
    AlertType.DEATH_NAIL: Metric(
        AlertClass.SYSTEM,
        "death",
        "death",
        "",
        "Look at the service and its log; levels are held until it is back.",
    ),
}

# Types that a threshold can judge; DELTA_CHANGE and TIME have no reading in this release.
JUDGED = tuple(kind for kind in METRICS if kind is not AlertType.DEATH_NAIL)
OF_POSITIONS = tuple(kind for kind in METRICS if METRICS[kind].alert_class is AlertClass.POSITION)
OF_PORTFOLIO = tuple(kind for kind in METRICS if METRICS[kind].alert_class is AlertClass.PORTFOLIO)

_CONDITIONS = len(Condition) + 1
KIND_COUNT = (max(AlertType) + 1) * _CONDITIONS


def kind_of(alert_type: int, condition: int) -> int:
    """One number for (type, condition); the class follows from the type."""
    return int(alert_type) * _CONDITIONS + int(condition)


def kind_named(alert_type: str, condition: str) -> int:
    return kind_of(AlertType[alert_type], Condition[condition])


def parts_of(kind: int) -> tuple[AlertType, Condition]:
    return AlertType(kind // _CONDITIONS), Condition(kind % _CONDITIONS)


DEATH_KIND = kind_of(AlertType.DEATH_NAIL, Condition.NONE)
