"""Heat and travel to liquidation, as judged."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.monitor.checks import JudgedReading, Readings, metric
from services.monitor.domain import Badge, Finding, Level, RunStatus


class RiskCheck:
    """Sets the risk badges from what was judged; tells nobody."""

    name = "risk"
    description = "Highest heat and most negative travel"
    interval = timedelta(minutes=1)
    every_cycle = True

    async def run(self, readings: Readings, now: datetime) -> Finding:
        """BREACH when heat or travel of a position was judged above NORMAL."""
        judged = await readings.judged()
        heat, travel = metric(judged, "HEAT_INDEX"), metric(judged, "TRAVEL_PERCENT")
        badges = {
            "risk_badge": _badge("risk_badge", heat, "{:.1f}"),
            "travel_risk_badge": _badge("travel_risk_badge", travel, "{:+.1f} %"),
        }
        metadata: dict[str, object] = {
            "max_heat_index": heat.worst_value if heat else None,
            "max_heat_asset": heat.worst_asset if heat else "",
            "min_travel_percent": travel.worst_value if travel else None,
            "min_travel_asset": travel.worst_asset if travel else "",
        }
        breach = any(badge is not None for badge in badges.values())
        return Finding(RunStatus.BREACH if breach else RunStatus.SUCCESS, metadata, badges)


def _badge(name: str, reading: JudgedReading | None, pattern: str) -> Badge | None:
    if reading is None or reading.level is Level.NORMAL:
        return None
    value = (
        "?"
        if reading.worst_value is None
        else f"{reading.worst_asset} {pattern.format(reading.worst_value)}".strip()
    )
    return Badge(name, value, reading.level, stale=reading.stale_count > 0)
