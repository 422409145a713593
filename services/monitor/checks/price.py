"""Quality of every tracked asset's price."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.monitor.checks import Readings
from services.monitor.domain import Badge, Finding, Level, RunStatus

# SINGLE is usable and CLOSED is normal for an index; these are not.
BAD_QUALITIES = ("STALE", "NONE", "DISAGREE")


class PriceCheck:
    """Says which assets have no price to trust."""

    name = "price"
    description = "Quality of every tracked asset's price"
    interval = timedelta(minutes=1)
    every_cycle = True

    async def run(self, readings: Readings, now: datetime) -> Finding:
        """BREACH when a tracked asset is stale, absent or disagreed about."""
        prices = await readings.prices()
        bad = {price.asset: price.quality for price in prices if price.quality in BAD_QUALITIES}
        metadata = {"assets": {price.asset: price.quality for price in prices}, "bad": bad}
        if not bad:
            return Finding(RunStatus.SUCCESS, metadata, {"price_badge": None})
        words = ", ".join(f"{asset} {quality.lower()}" for asset, quality in sorted(bad.items()))
        badge = Badge("price_badge", words, Level.MEDIUM)
        return Finding(
            RunStatus.BREACH, metadata, {"price_badge": badge}, concern=f"prices not to be trusted: {words}"
        )
