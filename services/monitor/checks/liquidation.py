"""Nearest distance to liquidation per asset, as judged."""

from __future__ import annotations

import math
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
from services.monitor.domain.findings import Badge, Finding, Level, Part, RunStatus

_PATTERN = "{:.2f} %"


class LiquidationCheck(Check):
    """Sets the liquidation badge from what was judged, without an incident. Threshold: distance."""

    name = "liquidation"
    description = "Nearest distance to liquidation per asset"
    interval = timedelta(minutes=1)
    every_cycle = True
    takes_threshold = True

    async def run(self, context: CheckContext) -> Finding:
        """BREACH when a distance was judged above NORMAL, or with a threshold is at most that."""
        reading = metric(await context.readings.judged(), "LIQUIDATION_DISTANCE")
        nearest = dict(reading.worst_by_asset) if reading else {}
        metadata: dict[str, object] = {
            "nearest_percent_by_asset": nearest,
            "threshold_percent": context.threshold_percent,
        }
        asset, value, level = _worst(reading, context.threshold_percent)
        if reading is None or level is Level.NORMAL:
            return Finding(RunStatus.SUCCESS, metadata, {"liquidation_badge": None})
        parts = _parts(reading, context.threshold_percent)
        words = shown(_PATTERN, "" if value is None else asset, value)
        badge = Badge("liquidation_badge", words, level, reading.stale_count > 0, parts)
        return Finding(RunStatus.BREACH, metadata, {"liquidation_badge": badge})


def _parts(reading: JudgedReading, threshold_percent: float | None) -> tuple[Part, ...]:
    """Position by position as judged; with a threshold those beyond it are left out, and an asset
    that only the threshold finds near is one part.
    """
    limit = math.inf if threshold_percent is None else threshold_percent
    near = [one for one in reading.raised if one.value is None or one.value <= limit]
    parts = raised_parts(near, _PATTERN, -1)
    named = {one.asset for one in near}
    if threshold_percent is not None:
        parts += [
            Part(asset, shown(_PATTERN, asset, value), Level.LOW, badness=-value)
            for asset, value in reading.worst_by_asset.items()
            if value <= limit and asset not in named
        ]
    return worst_first(parts)


def _worst(
    reading: JudgedReading | None, threshold_percent: float | None
) -> tuple[str, float | None, Level]:
    """As judged; with a threshold the nearest asset that has a value, and beyond it what is not
    known, else NORMAL.
    """
    if reading is None:
        return "", None, Level.NORMAL
    nearest = min(reading.worst_by_asset.items(), key=lambda pair: pair[1], default=None)
    if threshold_percent is None or nearest is None:
        return reading.worst_asset, reading.worst_value, reading.level
    if nearest[1] > threshold_percent:
        return "", None, unread_level(reading)
    return *nearest, max(reading.level, Level.LOW)
