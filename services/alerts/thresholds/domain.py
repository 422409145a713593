"""Limits: what a threshold is, when it is refused, and which one holds for an asset."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.alerts.domain.kinds import (
    BY_HAND,
    JUDGED,
    KIND_COUNT,
    METRICS,
    AlertClass,
    AlertType,
    Condition,
    Level,
    kind_of,
    parts_of,
)
from shared.errors import InvalidArgument, invalid
from shared.texts import spelled

LIMITS = ("low", "medium", "high")
CHANNELS = ("low_channels", "medium_channels", "high_channels")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a threshold is for; an empty asset means every asset. One threshold per scope."""

    type: AlertType
    condition: Condition
    asset: str = ""

    @property
    def alert_class(self) -> AlertClass:
        return METRICS[self.type].alert_class

    @property
    def id(self) -> str:
        parts = [self.type.name, self.alert_class.name, self.condition.name, self.asset]
        return "-".join(part for part in parts if part)


class BuiltIn(NamedTuple):
    """In the metric's unit."""

    low: float
    medium: float
    high: float


# As the first migration writes them, and any after it that brings another type.
_ABOVE: Mapping[AlertType, BuiltIn] = {
    AlertType.HEAT_INDEX: BuiltIn(30, 40, 50),
    AlertType.LIQUIDATION_PROBABILITY: BuiltIn(0.05, 0.15, 0.3),
    AlertType.PROFIT: BuiltIn(10, 25, 50),
    AlertType.TOTAL_PROFIT: BuiltIn(25, 50, 75),
    AlertType.TOTAL_VALUE: BuiltIn(10000, 25000, 50000),
    AlertType.TOTAL_SIZE: BuiltIn(10000, 50000, 100000),
    AlertType.AVG_LEVERAGE: BuiltIn(2, 5, 10),
    AlertType.TOTAL_HEAT: BuiltIn(30, 40, 50),
    AlertType.WALLET_EXPOSURE: BuiltIn(3, 6, 10),
}
_BELOW: Mapping[tuple[AlertType, str], BuiltIn] = {
    (AlertType.TRAVEL_PERCENT, ""): BuiltIn(-20, -35, -50),
    (AlertType.LIQUIDATION_DISTANCE, ""): BuiltIn(10, 7, 5),
    (AlertType.LIQUIDATION_DISTANCE, "ETH"): BuiltIn(16, 11, 8),
    (AlertType.LIQUIDATION_DISTANCE, "SOL"): BuiltIn(14, 10, 7),
    (AlertType.AVG_TRAVEL_PERCENT, ""): BuiltIn(-10, -25, -50),
    (AlertType.VALUE_TO_COLLATERAL_RATIO, ""): BuiltIn(0.9, 0.7, 0.5),
    (AlertType.ACCOUNT_DISTANCE, ""): BuiltIn(10, 7, 5),
}
_BUILT_IN: Mapping[Scope, BuiltIn] = {
    **{Scope(kind, Condition.ABOVE): limits for kind, limits in _ABOVE.items()},
    **{Scope(kind, Condition.BELOW, asset): limits for (kind, asset), limits in _BELOW.items()},
}


@dataclass(frozen=True, slots=True)
class Threshold:
    """Limits in the metric's unit; None is no such limit."""

    scope: Scope
    low: float | None
    medium: float | None
    high: float | None
    enabled: bool
    low_channels: tuple[str, ...]
    medium_channels: tuple[str, ...]
    high_channels: tuple[str, ...]
    revision: int
    updated_time: datetime

    @property
    def etag(self) -> str:
        """Of the content: the same limits, channels and enabled have the same one, whenever."""
        content = [getattr(self, name) for name in (*LIMITS, "enabled", *CHANNELS)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    def channels(self, level: Level) -> tuple[str, ...]:
        by_level = {
            Level.LOW: self.low_channels,
            Level.MEDIUM: self.medium_channels,
            Level.HIGH: self.high_channels,
        }
        return by_level.get(level, ())


def built_in(scope: Scope) -> BuiltIn | None:
    """The limits a threshold comes with; None when it does not come with the product."""
    return _BUILT_IN.get(scope)


def dangerous_side(alert_type: AlertType) -> Condition:
    """The side of the threshold that the product comes with; NONE of a metric without one."""
    return next(
        (scope.condition for scope in _BUILT_IN if scope.type is alert_type), Condition.NONE
    )


def scope_from_id(id: str) -> Scope | None:
    """The scope an id spells, or None."""
    parts = id.split("-", 3)
    try:
        alert_type, condition = AlertType[parts[0]], Condition[parts[2]]
    except (KeyError, IndexError):
        return None
    if alert_type not in METRICS:
        return None
    scope = Scope(alert_type, condition, parts[3] if len(parts) > 3 else "")
    return scope if parts[1] == scope.alert_class.name else None


def check_scope(scope: Scope) -> None:
    """InvalidArgument UNKNOWN_NAME or INVALID_FIELD for what cannot be judged."""
    if scope.type not in JUDGED:
        known = ", ".join(kind.name for kind in JUDGED)
        problem = f"no threshold judges {scope.type.name}; one of {known}"
        if scope.type in BY_HAND:
            problem = (
                f"{scope.type.name} is of single alerts (CreateAlert); a threshold judges {known}"
            )
        raise _refused("UNKNOWN_NAME", "threshold.type", problem)
    if scope.condition is Condition.NONE:
        raise invalid("threshold.condition", "ABOVE or BELOW")
    if scope.alert_class is AlertClass.MARKET and not scope.asset:
        raise invalid("threshold.asset", "a price limit needs its asset")
    if scope.alert_class in (AlertClass.PORTFOLIO, AlertClass.ACCOUNT) and scope.asset:
        name = scope.alert_class.name.lower()
        raise invalid("threshold.asset", f"a limit of the class {name} has no asset")


def check_limits(threshold: Threshold, before: Threshold | None = None) -> None:
    """ABOVE needs low <= medium <= high, BELOW low >= medium >= high, over the limits that are set.

    Each within the range of its metric; one that stood so `before` may stay. INVALID_FIELD,
    LIMITS_OUT_OF_ORDER.
    """
    limits = threshold.low, threshold.medium, threshold.high
    kept = () if before is None else (before.low, before.medium, before.high)
    check_limit_values(threshold.scope, limits, "threshold", kept)


def check_limit_values(
    scope: Scope,
    limits: Sequence[float | None],
    field: str,
    kept: Sequence[float | None] = (),
) -> None:
    """As check_limits, of low, medium and high alone; `field` is the path of what holds them."""
    metric = METRICS[scope.type]
    for place, (name, limit) in enumerate(zip(LIMITS, limits, strict=True)):
        if limit is None or (kept and limit == kept[place]):
            continue
        if problem := metric.limit_problem(limit):
            raise invalid(f"{field}.{name}", problem)
    present = [limit for limit in limits if limit is not None]
    if not present:
        raise invalid(f"{field}.high", "one limit at least")
    above = scope.condition is Condition.ABOVE
    if present != sorted(present, reverse=not above):
        order = "low <= medium <= high" if above else "low >= medium >= high"
        raise _refused(
            "LIMITS_OUT_OF_ORDER", f"{field}.low", f"{scope.condition.name} needs {order}"
        )


def _refused(reason: str, field: str, problem: str) -> InvalidArgument:
    return InvalidArgument(reason, f"{field}: {problem}", fields={field: problem})


class ThresholdSet:
    """All thresholds by (kind, asset); the most specific one wins, enabled or not. One whose asset
    differs by case alone judges an asset that has none of its very name.
    """

    def __init__(self, thresholds: Iterable[Threshold]) -> None:
        self._by_scope = {
            (kind_of(row.scope.type, row.scope.condition), row.scope.asset): row
            for row in thresholds
        }
        self._in_any_case = {
            (kind, asset.upper()): row for (kind, asset), row in sorted(self._by_scope.items())
        }

    @property
    def rows(self) -> list[Threshold]:
        """Every one of them."""
        return list(self._by_scope.values())

    def find(self, kind: int, asset: str) -> Threshold | None:
        own = self._by_scope.get((kind, asset)) or self._in_any_case.get((kind, asset.upper()))
        return own or self._by_scope.get((kind, ""))

    def as_spelled(self, scope: Scope, assets: Iterable[str]) -> Scope:
        """The scope with its asset as `assets` or a threshold of the kind spell it, else as typed:
        small letters alone are made capitals. Prices are kept in capitals.
        """
        asset = scope.asset
        if scope.alert_class is not AlertClass.POSITION:
            return replace(scope, asset=asset.upper())
        kind = kind_of(scope.type, scope.condition)
        known = {*assets, *(name for of_kind, name in self._by_scope if of_kind == kind)}
        found = spelled(asset, known)
        if len(found) == 1:
            asset = found[0]
        elif not found and asset.islower():
            asset = asset.upper()
        return replace(scope, asset=asset)

    def tables(self, assets: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Limits (kind, asset, 3) with NaN for none, and whether they judge (kind, asset)."""
        limits = np.full((KIND_COUNT, len(assets), 3), np.nan)
        enabled = np.zeros((KIND_COUNT, len(assets)), bool)
        for kind in {kind for kind, _ in self._by_scope}:
            for place, asset in enumerate(assets):
                found = self.find(kind, asset)
                if found is not None:
                    limits[kind, place] = [
                        _number(found.low),
                        _number(found.medium),
                        _number(found.high),
                    ]
                    enabled[kind, place] = found.enabled
        return limits, enabled

    def kinds(self, alert_class: AlertClass) -> list[int]:
        """Kinds of a class with a threshold that judges something, in order."""
        return sorted(
            {
                kind
                for (kind, _), row in self._by_scope.items()
                if row.enabled and METRICS[parts_of(kind)[0]].alert_class is alert_class
            }
        )

    def market(self) -> list[tuple[int, str]]:
        """The prices that are watched: (kind, asset)."""
        return sorted(
            (kind, asset)
            for (kind, asset), row in self._by_scope.items()
            if row.enabled and asset and row.scope.alert_class is AlertClass.MARKET
        )


def _number(limit: float | None) -> float:
    return math.nan if limit is None else limit
