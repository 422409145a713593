"""Heat and travel to liquidation, as judged."""

from __future__ import annotations

from datetime import timedelta

from services.monitor.checks import (
    Check,
    CheckContext,
    JudgedReading,
    metric,
    raised_parts,
    shown,
    unread_level,
)
from services.monitor.domain.badges import worst_first
from services.monitor.domain.findings import Badge, Finding, Level, RunStatus


class RiskCheck(Check):
    """Sets the risk badges from what was judged; notifies nobody. Threshold: travel lost."""

    name = "risk"
    description = "Highest heat and most negative travel"
    interval = timedelta(minutes=1)
    every_cycle = True
    takes_threshold = True

    async def run(self, context: CheckContext) -> Finding:
        """BREACH when heat or travel was judged above NORMAL, or travel is at the threshold."""
        judged = await context.readings.judged()
        heat, travel = metric(judged, "HEAT_INDEX"), metric(judged, "TRAVEL_PERCENT")
        badges = {
            "risk_badge": _badge(
                "risk_badge", heat, "{:.1f}", 1, heat.level if heat else Level.NORMAL
            ),
            "travel_risk_badge": _badge(
                "travel_risk_badge",
                travel,
                "{:+.1f} %",
                -1,
                _travel_level(travel, context.threshold_percent),
            ),
        }
        metadata: dict[str, object] = {
            "max_heat_index": heat.worst_value if heat else None,
            "max_heat_asset": heat.worst_asset if heat else "",
            "min_travel_percent": travel.worst_value if travel else None,
            "min_travel_asset": travel.worst_asset if travel else "",
            "threshold_percent": context.threshold_percent,
        }
        breach = any(badge is not None for badge in badges.values())
        return Finding(RunStatus.BREACH if breach else RunStatus.SUCCESS, metadata, badges)


def _travel_level(travel: JudgedReading | None, threshold_percent: float | None) -> Level:
    """As judged; with a threshold and a value at least LOW from it on, before it what is not known,
    else NORMAL.
    """
    if travel is None:
        return Level.NORMAL
    if threshold_percent is None or travel.worst_value is None:
        return travel.level
    if travel.worst_value > -threshold_percent:
        return unread_level(travel)
    return max(travel.level, Level.LOW)


def _badge(
    name: str, reading: JudgedReading | None, pattern: str, sign: int, level: Level
) -> Badge | None:
    """`sign`: 1 where the higher value is the worse one, -1 where the lower is."""
    if reading is None or level is Level.NORMAL:
        return None
    parts = worst_first(raised_parts(reading.raised, pattern, sign))
    asset = "" if reading.worst_value is None else reading.worst_asset
    value = shown(pattern, asset, reading.worst_value)
    if parts and parts[0].badness is None:
        # The level is that of a subject without a value: no other's number stands for it.
        value = parts[0].value
    return Badge(name, value, level, reading.stale_count > 0, parts)
