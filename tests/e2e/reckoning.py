"""The numbers and levels a person would work out by hand, written again from their definitions.

Shares no code with the system: it is what the system is compared with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.e2e.world import Held

LEVELS = ("NORMAL", "LOW", "MEDIUM", "HIGH")
SOL_DISTANCE, ETH_DISTANCE = (14.0, 10.0, 7.0), (16.0, 11.0, 8.0)
LIMITS: Mapping[str, tuple[str, tuple[float, float, float]]] = {
    "HEAT_INDEX": ("ABOVE", (30.0, 40.0, 50.0)),
    "TRAVEL_PERCENT": ("BELOW", (-20.0, -35.0, -50.0)),
    "LIQUIDATION_DISTANCE": ("BELOW", (10.0, 7.0, 5.0)),
    "PROFIT": ("ABOVE", (10.0, 25.0, 50.0)),
    "TOTAL_PROFIT": ("ABOVE", (25.0, 50.0, 75.0)),
    "TOTAL_VALUE": ("ABOVE", (10_000.0, 25_000.0, 50_000.0)),
    "TOTAL_SIZE": ("ABOVE", (10_000.0, 50_000.0, 100_000.0)),
    "AVG_LEVERAGE": ("ABOVE", (2.0, 5.0, 10.0)),
    "AVG_TRAVEL_PERCENT": ("BELOW", (-10.0, -25.0, -50.0)),
    "VALUE_TO_COLLATERAL_RATIO": ("BELOW", (0.9, 0.7, 0.5)),
    "TOTAL_HEAT": ("ABOVE", (30.0, 40.0, 50.0)),
}
NEWS = {"PROFIT", "TOTAL_PROFIT", "TOTAL_VALUE", "TOTAL_SIZE"}


@dataclass(frozen=True)
class Numbers:
    """Metrics of one position at a mark."""

    pnl_usd: float
    value_usd: float
    leverage_ratio: float
    travel_percent: float
    liquidation_distance_usd: float
    liquidation_distance_percent: float
    heat_index: float
    profit_usd: float


def numbers(one: Held, mark: float) -> Numbers:
    sign, entry, away = one.sign, one.entry, one.liquidation
    pnl = sign * one.size / entry * (mark - entry)
    leverage = one.size / one.collateral
    travel = (
        100 * (mark - entry) / (entry - away) if sign > 0 else 100 * (entry - mark) / (away - entry)
    )
    share = (mark - away) / (entry - away) if sign > 0 else (away - mark) / (away - entry)
    near = 1 - min(max(share, 0.0), 1.0)
    spice = min(leverage / 100, 1) ** 0.3 * max(1 - one.collateral / one.size, 0.1) ** 0.1
    heat = max(100 * near**0.6 * spice ** (1 - near), 5.0)
    distance = sign * (mark - away)
    return Numbers(
        pnl,
        one.collateral + pnl,
        leverage,
        travel,
        distance,
        100 * distance / mark,
        heat,
        profit_usd=pnl - 2,
    )


def readings(
    held: Sequence[Held], marks: Mapping[str, float]
) -> dict[tuple[str, str], tuple[float | None, str]]:
    """(type, position or "") -> (value, asset): what every alert is judged by."""
    found: dict[tuple[str, str], tuple[float | None, str]] = {}
    each = [(one, numbers(one, marks[one.asset])) for one in held]
    for one, n in each:
        found["HEAT_INDEX", one.key] = n.heat_index, one.asset
        found["TRAVEL_PERCENT", one.key] = n.travel_percent, one.asset
        found["LIQUIDATION_DISTANCE", one.key] = n.liquidation_distance_percent, one.asset
        found["PROFIT", one.key] = n.profit_usd, one.asset
    size = sum(one.size for one in held)
    collateral = sum(one.collateral for one in held)

    def mean(name: str) -> float | None:
        return sum(one.size * float(getattr(n, name)) for one, n in each) / size if size else None

    totals = {
        "TOTAL_PROFIT": sum(max(n.profit_usd, 0) for _, n in each),
        "TOTAL_VALUE": sum(n.value_usd for _, n in each),
        "TOTAL_SIZE": size,
        "AVG_LEVERAGE": mean("leverage_ratio"),
        "AVG_TRAVEL_PERCENT": mean("travel_percent"),
        "VALUE_TO_COLLATERAL_RATIO": sum(n.value_usd for _, n in each) / collateral
        if collateral
        else None,
        "TOTAL_HEAT": mean("heat_index"),
    }
    return found | {(kind, ""): (value, "") for kind, value in totals.items()}


@dataclass
class Judge:
    """Levels by the rules: up at once, down after two observations away from it, never on missing
    data.
    """

    levels: dict[tuple[str, str], int] = field(default_factory=dict)
    pending: dict[tuple[str, str], int] = field(default_factory=dict)
    told: list[tuple[str, str, str]] = field(default_factory=list)
    changes: list[tuple[str, str, str, str]] = field(default_factory=list)
    incidents: dict[tuple[str, str], int] = field(default_factory=dict)

    def look(self, found: Mapping[tuple[str, str], tuple[float | None, str]]) -> None:
        """One evaluation on fresh observations."""
        for key, (value, asset) in found.items():
            before = self.levels.setdefault(key, 0)
            if value is None or math.isnan(value):
                continue
            condition, edges = LIMITS[key[0]]
            if key[0] == "LIQUIDATION_DISTANCE":
                edges = {"SOL": SOL_DISTANCE, "ETH": ETH_DISTANCE}.get(asset, edges)
            raw = _level(condition, edges, value)
            calm = _level(condition, tuple(_moved(condition, edge) for edge in edges), value)
            if raw > before:
                self._change(key, before, raw)
                # Within the cooldown an incident is told again only when it is worse than what was
                # told.
                if raw > self.incidents.get(key, 0):
                    self.told.append((key[0], key[1], LEVELS[raw]))
                    self.incidents[key] = raw
            elif calm < before:
                self.pending[key] = self.pending.get(key, 0) + 1
                if self.pending[key] == 2:
                    self._change(key, before, calm)
                    self._recovered(key, calm)
            else:
                self.pending[key] = 0

    def level(self, kind: str, subject: str) -> str:
        return LEVELS[self.levels[kind, subject]]

    def _change(self, key: tuple[str, str], before: int, after: int) -> None:
        self.levels[key], self.pending[key] = after, 0
        self.changes.append((*key, LEVELS[before], LEVELS[after]))

    def _recovered(self, key: tuple[str, str], level: int) -> None:
        if level == 0 and key in self.incidents:
            del self.incidents[key]
            if key[0] not in NEWS:
                self.told.append((key[0], key[1], "RESOLVED"))


def _level(condition: str, edges: Sequence[float], value: float) -> int:
    beyond = [value >= edge if condition == "ABOVE" else value <= edge for edge in edges]
    return max((place + 1 for place, is_beyond in enumerate(beyond) if is_beyond), default=0)


def _moved(condition: str, edge: float) -> float:
    return edge - 0.05 * abs(edge) if condition == "ABOVE" else edge + 0.05 * abs(edge)
