"""Profit to take: the best single one and their sum, as judged."""

from __future__ import annotations

from datetime import timedelta

from services.monitor.checks import Check, CheckContext, metric
from services.monitor.domain.findings import Badge, Finding, Level, RunStatus


class ProfitCheck(Check):
    """Sets the profit badge from what was judged; notifies nobody."""

    name = "profit"
    description = "Largest single profit and the sum of positive profits"
    interval = timedelta(minutes=1)
    every_cycle = True

    async def run(self, context: CheckContext) -> Finding:
        """BREACH when the single or the total profit was judged above NORMAL."""
        judged = await context.readings.judged()
        single, total = metric(judged, "PROFIT"), metric(judged, "TOTAL_PROFIT", "PORTFOLIO")
        levels = [reading.level for reading in (single, total) if reading is not None]
        level = max(levels, default=Level.NORMAL)
        metadata: dict[str, object] = {
            "max_profit_usd": single.worst_value if single else None,
            "max_profit_asset": single.worst_asset if single else "",
            "total_profit_usd": total.worst_value if total else None,
            "level": level.name,
        }
        if level is Level.NORMAL:
            return Finding(RunStatus.SUCCESS, metadata, {"profit_badge": None})
        value = (
            total.worst_value
            if total and total.worst_value is not None
            else single.worst_value
            if single
            else None
        )
        stale = any(reading.stale_count for reading in (single, total) if reading)
        badge = Badge("profit_badge", "?" if value is None else f"{value:,.2f} USD", level, stale)
        return Finding(RunStatus.BREACH, metadata, {"profit_badge": badge})
