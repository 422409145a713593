"""What sums over all positions could be while some of them cannot be relied on: a mark that stands
still or is old, a row that was refused or is missing. Each at its worst; what that cannot change
holds no level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.readings import Positions
from services.alerts.domain.kinds import AlertType, Condition

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Truths = NDArray[np.bool_]

# How much is held of a row that is missing or refused is not known: for so long it may be anything.
LOST_SECONDS: Final = 86_400
# A mark further from the market, or from the one before, is refused by positions.
_MOST_FACTOR: Final = 20.0
_UNMOVED: Final = (AlertType.TOTAL_SIZE, AlertType.AVG_LEVERAGE)
# Of an average the worst that a position itself may be: at its liquidation.
_WORST_FIGURE: Final = {AlertType.TOTAL_HEAT: 100.0, AlertType.AVG_TRAVEL_PERCENT: -100.0}
_FIGURE: Final = {
    AlertType.TOTAL_HEAT: "heat_index",
    AlertType.AVG_TRAVEL_PERCENT: "travel_percent",
}


@dataclass(frozen=True, slots=True)
class Doubt:
    """Positions that cannot be relied on, a row each. `better_usd`, `worse_usd`: what their prices
    may add to their values at most, >= 0 and <= 0. `is_open`: nothing bounds one of them.
    `sure_micros`: of when the oldest of the others is; 0: there is none.
    """

    figures: Mapping[str, Floats]
    better_usd: Floats
    worse_usd: Floats
    # Of all positions in each average, by the figure.
    weights_usd: Mapping[str, float]
    is_open: bool
    sure_micros: int

    def worst(
        self, alert_type: AlertType, condition: Condition, totals: Mapping[AlertType, float]
    ) -> float:
        """The total of a type as far towards this condition as these positions may bring it;
        infinite where nothing bounds that. A price moves neither sizes nor leverage.
        """
        value, above = totals[alert_type], condition is Condition.ABOVE
        if self.is_open:
            return np.inf if above else -np.inf
        if alert_type in _UNMOVED:
            return value
        if alert_type in _FIGURE:
            found = self._average(alert_type, value, above=above)
        else:
            found = value + self._added(alert_type, totals, above=above)
        return max(value, found) if above else min(value, found)

    def _added(
        self, alert_type: AlertType, totals: Mapping[AlertType, float], *, above: bool
    ) -> float:
        moved = self.better_usd if above else self.worse_usd
        if alert_type is AlertType.TOTAL_PROFIT:
            after_fees, before = self.figures["pnl_after_fees_usd"], self.figures["pnl_usd"]
            profit = np.nan_to_num(np.where(np.isnan(after_fees), before, after_fees))
            moved = np.maximum(profit + moved, 0.0) - np.maximum(profit, 0.0)
        added = float(moved.sum())
        if alert_type is not AlertType.VALUE_TO_COLLATERAL_RATIO:
            return added
        value_usd = totals.get(AlertType.TOTAL_VALUE, 0.0)
        # The collateral that both totals are of.
        ratio = totals[alert_type]
        return added * ratio / value_usd if value_usd and ratio else np.copysign(np.inf, added)

    def _average(self, alert_type: AlertType, value: float, *, above: bool) -> float:
        name = _FIGURE[alert_type]
        figure, size = self.figures[name], self.figures["size_usd"]
        worst = np.full(len(size), _WORST_FIGURE[alert_type])
        if above != (_WORST_FIGURE[alert_type] > 0):
            worst = np.zeros(len(size)) if alert_type is AlertType.TOTAL_HEAT else self._travel()
        worst = np.fmax(worst, figure) if above else np.fmin(worst, figure)
        absent = np.isnan(figure)
        weight = self.weights_usd[name]
        summed = value * weight + float((np.where(absent, worst, worst - figure) * size).sum())
        return summed / (weight + float(size[absent].sum()))

    def _travel(self) -> Floats:
        entry, liquidation = self.figures["entry_price_usd"], self.figures["liquidation_usd"]
        way = np.abs(entry - liquidation) * self.figures["size_usd"] / entry
        with np.errstate(all="ignore"):
            found = self.figures["travel_percent"] + 100.0 * self.better_usd / way
        return np.where(np.isnan(found), np.inf, found)


def doubt_of(positions: Positions, now_micros: int) -> Doubt | None:
    """None while all of them can be relied on."""
    doubtful = positions.stale
    rows = np.flatnonzero(doubtful)
    if not len(rows):
        return None
    figures = {name: column[rows] for name, column in positions.figures.items()}
    figures["liquidation_usd"] = figures["risk_liquidation_price_usd"]
    estimate = positions.frozen.price_usd[rows] if positions.frozen else np.full(len(rows), np.nan)
    size, entry = figures["size_usd"], figures["entry_price_usd"]
    is_lost = positions.lost[rows]
    is_lost &= positions.observed_micros[rows] > now_micros - LOST_SECONDS * 1_000_000
    better, worse = _moved(figures, estimate)
    others = positions.observed_micros[~doubtful]
    return Doubt(
        figures,
        better,
        worse,
        {name: _weight(positions.figures, name) for name in _FIGURE.values()},
        bool((is_lost | ~(size > 0) | ~(entry > 0)).any()),
        int(others.min()) if len(others) else 0,
    )


def _weight(figures: Mapping[str, Floats], name: str) -> float:
    size = figures["size_usd"]
    return float(size[~np.isnan(size * figures[name])].sum())


def _moved(figures: Mapping[str, Floats], estimate_usd: Floats) -> tuple[Floats, Floats]:
    """What prices may add to each value at most, and take from it. A position loses until its
    liquidation, one that has none ahead until its price is nothing, or the highest that is taken.
    """
    entry, mark, pnl = (figures[name] for name in ("entry_price_usd", "mark_price_usd", "pnl_usd"))
    liquidation, size = figures["liquidation_usd"], figures["size_usd"]
    with np.errstate(all="ignore"):
        tokens = size / entry
        known = np.fmax(mark, estimate_usd)
        highest = _MOST_FACTOR * np.where(np.isnan(known), entry, known)
        # One that is in no sum has no value to begin with.
        start = np.where(np.isnan(pnl), entry, mark)
        up = tokens * (highest - start)
        down = tokens * start
        long_loss = np.where(liquidation < start, tokens * (start - liquidation), down)
        short_loss = np.where(liquidation > start, tokens * (liquidation - start), up)
        side = _sides(figures)
    loss = np.where(
        side > 0, long_loss, np.where(side < 0, short_loss, np.fmax(long_loss, short_loss))
    )
    gain = np.where(side > 0, up, np.where(side < 0, down, np.fmax(up, down)))
    # What it is worth besides, its collateral, is not read here: at most about its size.
    gain = gain + np.where(np.isnan(pnl), size, 0.0)
    return np.maximum(gain, 0.0), np.minimum(-loss, 0.0)


def _sides(figures: Mapping[str, Floats]) -> Floats:
    """+1 long, -1 short, 0 where the figures do not say."""
    mark = figures["mark_price_usd"]
    by_profit = np.sign(figures["pnl_usd"]) * np.sign(mark - figures["entry_price_usd"])
    by_distance = np.sign(figures["liquidation_distance_usd"]) * np.sign(
        mark - figures["liquidation_usd"]
    )
    return np.nan_to_num(np.where(np.nan_to_num(by_profit) != 0, by_profit, by_distance))
