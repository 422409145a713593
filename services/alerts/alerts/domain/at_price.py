"""What distance and travel of a position are at another price than its mark."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from services.alerts.domain.kinds import AlertType

Floats = NDArray[np.float64]

# Types that follow from a price.
OF_PRICE = (AlertType.LIQUIDATION_DISTANCE, AlertType.TRAVEL_PERCENT)


def values_at(alert_type: AlertType, price_usd: Floats, figures: Mapping[str, Floats]) -> Floats:
    """Distance or travel of each position at these prices, by the formulas of the mark."""
    mark, liquidation = figures["mark_price_usd"], figures["risk_liquidation_price_usd"]
    with np.errstate(all="ignore"):
        if alert_type is AlertType.TRAVEL_PERCENT:
            travel = travel_percent(price_usd, figures["entry_price_usd"], liquidation)
            return np.where(np.isnan(figures["travel_percent"]), np.nan, travel)
        side = np.sign(figures["liquidation_distance_usd"]) * np.sign(mark - liquidation)
        return distance_percent(price_usd, liquidation, side)


def distance_percent(price_usd: Floats, liquidation_usd: Floats, side: Floats | float) -> Floats:
    """Liquidation distance in percent of the price; side +1 long, -1 short; 0 at liquidation."""
    return np.asarray(100.0 * side * (price_usd - liquidation_usd) / price_usd, np.float64)


def travel_percent(price_usd: Floats, entry_usd: Floats, liquidation_usd: Floats) -> Floats:
    """Travel in percent: -100 at liquidation, 0 at entry, of either side."""
    travel = 100.0 * (price_usd - entry_usd) / (entry_usd - liquidation_usd)
    return np.asarray(travel, np.float64)
