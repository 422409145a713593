"""Nearest distance to liquidation per asset, as judged."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.monitor.checks import Readings, metric
from services.monitor.domain import Badge, Finding, Level, RunStatus


class LiquidationCheck:
    """Sets the liquidation badge from what was judged; tells nobody."""

    name = "liquidation"
    description = "Nearest distance to liquidation per asset"
    interval = timedelta(minutes=1)
    every_cycle = True

    async def run(self, readings: Readings, now: datetime) -> Finding:
        """BREACH when a distance was judged above NORMAL."""
        reading = metric(await readings.judged(), "LIQUIDATION_DISTANCE")
        nearest = dict(reading.worst_by_asset) if reading else {}
        metadata: dict[str, object] = {"nearest_percent_by_asset": nearest}
        if reading is None or reading.level is Level.NORMAL:
            return Finding(RunStatus.SUCCESS, metadata, {"liquidation_badge": None})
        value = (
            "?"
            if reading.worst_value is None
            else f"{reading.worst_asset} {reading.worst_value:.2f} %".strip()
        )
        badge = Badge("liquidation_badge", value, reading.level, stale=reading.stale_count > 0)
        return Finding(RunStatus.BREACH, metadata, {"liquidation_badge": badge})
