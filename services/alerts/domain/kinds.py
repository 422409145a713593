"""Types, classes and levels of alerts, and what each type measures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

KindT = TypeVar("KindT", int, NDArray[Any])


class AlertClass(IntEnum):
    POSITION = 1
    PORTFOLIO = 2
    MARKET = 3
    SYSTEM = 4
    ACCOUNT = 5


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
    WITHDRAWAL = 17
    POSITION_EVENT = 18
    ACCOUNT_DISTANCE = 19
    WALLET_EXPOSURE = 20


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
    """What a type measures: its field name, how people call it, its unit, what to do about it, and
    the limits that make sense: from `lowest` (with `beyond` above it) to `highest`.
    """

    alert_class: AlertClass
    name: str
    noun: str
    unit: str
    action: str
    opportunity: bool = False
    lowest: float = -math.inf
    highest: float = math.inf
    beyond: bool = False

    def limit_problem(self, limit: float) -> str:
        """Why this is no limit, in words that name the fix; empty when it is one."""
        if self.lowest <= limit <= self.highest and not (self.beyond and limit == self.lowest):
            return ""
        unit = f" {self.unit}" if self.unit else ""
        least = f"{'more than' if self.beyond else 'at least'} {self.lowest:g}"
        most = f"at most {self.highest:g}"
        parts = [least] * math.isfinite(self.lowest) + [most] * math.isfinite(self.highest)
        return f"a limit of {self.noun} is {' and '.join(parts)}{unit}"


_ADD = "Add collateral, cut size or close the position."
_TAKE = "Consider taking profit or moving your stop."
_LOOK = "Look at the portfolio: reduce size or add collateral where the distance is smallest."

_POSITION, _PORTFOLIO, _MARKET, _SYSTEM, _ACCOUNT = (partial(Metric, kind) for kind in AlertClass)
_POOL = "Add collateral to the account or cut its positions: it is liquidated as a whole."
_INFORM = "For your information."
_WATCH = "Look at the positions in this asset."
_ADVICE = "Look at sonic withdrawals explain."
_NOT_YOU = "If it was not you, look at the venue now: somebody else may hold the key."
_ANSWER = "Look at the service and its log; levels are held until it is back."

METRICS: Mapping[AlertType, Metric] = {
    AlertType.HEAT_INDEX: _POSITION("heat_index", "heat", "", _ADD, lowest=0, highest=100),
    # -100 is liquidation; a win has no end.
    AlertType.TRAVEL_PERCENT: _POSITION("travel_percent", "travel", "%", _ADD, lowest=-100),
    AlertType.LIQUIDATION_DISTANCE: _POSITION(
        "liquidation_distance_percent", "liquidation distance", "%", _ADD, lowest=0, highest=100
    ),
    AlertType.LIQUIDATION_PROBABILITY: _POSITION(
        "liquidation_probability", "liquidation probability in 24 h", "", _ADD, lowest=0, highest=1
    ),
    AlertType.PROFIT: _POSITION("profit_usd", "profit", "USD", _TAKE, opportunity=True),
    AlertType.TOTAL_VALUE: _PORTFOLIO(
        "total_value_usd", "total value", "USD", _INFORM, opportunity=True
    ),
    AlertType.TOTAL_SIZE: _PORTFOLIO(
        "total_size_usd", "total size", "USD", _INFORM, opportunity=True, lowest=0
    ),
    AlertType.TOTAL_PROFIT: _PORTFOLIO(
        "total_profit_usd", "total profit", "USD", _TAKE, opportunity=True, lowest=0
    ),
    AlertType.AVG_LEVERAGE: _PORTFOLIO(
        "avg_leverage_ratio", "average leverage", "x", _LOOK, lowest=0, beyond=True
    ),
    AlertType.AVG_TRAVEL_PERCENT: _PORTFOLIO(
        "avg_travel_percent", "average travel", "%", _LOOK, lowest=-100
    ),
    AlertType.VALUE_TO_COLLATERAL_RATIO: _PORTFOLIO(
        "value_to_collateral_ratio", "value to collateral", "", _LOOK, lowest=0
    ),
    AlertType.TOTAL_HEAT: _PORTFOLIO(
        "avg_heat_index", "average heat", "", _LOOK, lowest=0, highest=100
    ),
    AlertType.PRICE_THRESHOLD: _MARKET("price_usd", "price", "USD", _WATCH, lowest=0, beyond=True),
    # Of the alert's starting price; nothing falls by 100 percent.
    AlertType.DELTA_CHANGE: _MARKET(
        "price_change_percent", "price change", "%", _WATCH, lowest=-100, beyond=True
    ),
    # Seconds since 1970; what people read is the moment.
    AlertType.TIME: _SYSTEM(
        "time_seconds", "time", "UTC", "You asked to be reminded now.", opportunity=True, lowest=0,
        beyond=True,
    ),
    AlertType.DEATH_NAIL: _SYSTEM("death", "death", "", _ANSWER),
    AlertType.WITHDRAWAL: _PORTFOLIO("withdrawal", "withdrawal", "", _ADVICE),
    AlertType.POSITION_EVENT: _PORTFOLIO(
        "position_event", "event of a position", "", _NOT_YOU, opportunity=True
    ),
    # Of all prices together; none falls by more than 100 percent.
    AlertType.ACCOUNT_DISTANCE: _ACCOUNT(
        "account_distance_percent", "common move to liquidation", "%", _POOL, lowest=0, highest=100
    ),
    AlertType.WALLET_EXPOSURE: _ACCOUNT(
        "exposure_ratio", "exposure over equity", "x", _POOL, lowest=0, beyond=True
    ),
}  # fmt: skip

# Types that other services report: nothing here judges them.
REPORTED = (AlertType.DEATH_NAIL, AlertType.WITHDRAWAL, AlertType.POSITION_EVENT)
# Types that a person can ask for.
BY_HAND = tuple(kind for kind in METRICS if kind not in REPORTED)
# Types that a threshold can judge: these two are of one alert, by its own start or moment.
JUDGED = tuple(kind for kind in BY_HAND if kind not in (AlertType.DELTA_CHANGE, AlertType.TIME))
OF_POSITIONS = tuple(kind for kind in METRICS if METRICS[kind].alert_class is AlertClass.POSITION)
OF_ACCOUNTS = tuple(kind for kind in METRICS if METRICS[kind].alert_class is AlertClass.ACCOUNT)
OF_PORTFOLIO = tuple(kind for kind in BY_HAND if METRICS[kind].alert_class is AlertClass.PORTFOLIO)

_CONDITIONS = len(Condition) + 1
KIND_COUNT = (max(AlertType) + 1) * _CONDITIONS


def kind_of(alert_type: int, condition: int) -> int:
    """One number for (type, condition); the class follows from the type."""
    return int(alert_type) * _CONDITIONS + int(condition)


def kind_named(alert_type: str, condition: str) -> int:
    return kind_of(AlertType[alert_type], Condition[condition])


def type_number(kind: KindT) -> KindT:
    """The number of the AlertType of one kind, or of each."""
    return kind // _CONDITIONS


def condition_number(kind: KindT) -> KindT:
    """The number of the Condition of one kind, or of each."""
    return kind % _CONDITIONS


def parts_of(kind: int) -> tuple[AlertType, Condition]:
    return AlertType(type_number(kind)), Condition(condition_number(kind))


def is_reported(kind: NDArray[Any]) -> NDArray[np.bool_]:
    """Of each kind: whether another service reports it."""
    return np.isin(type_number(kind), REPORTED)


DEATH_KIND = kind_of(AlertType.DEATH_NAIL, Condition.NONE)
# Of an asset's supply: that it may be withdrawn, which is news, and that its peg is lost.
WITHDRAW_KIND = kind_of(AlertType.WITHDRAWAL, Condition.ABOVE)
DEPEG_KIND = kind_of(AlertType.WITHDRAWAL, Condition.BELOW)
# Only in the ledger and in notifications, never of an alert.
POSITION_EVENT_KIND = kind_of(AlertType.POSITION_EVENT, Condition.NONE)


def is_news_kind(alert_type: AlertType, condition: int) -> bool:
    """Whether a rise of these is news and no danger."""
    return METRICS[alert_type].opportunity or kind_of(alert_type, condition) == WITHDRAW_KIND


TIME_KIND = kind_of(AlertType.TIME, Condition.ABOVE)
COOLDOWN_SECONDS = 300
# No cooldown and no hold of a person lasts longer, also when the machine's clock was set back.
LONGEST_QUIET_SECONDS = 7 * 24 * 3600
# A reminder stands this long after it was notified; then it is over.
TIME_STANDS_SECONDS = 3600
