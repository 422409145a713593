"""Quality of every tracked asset's price."""

from __future__ import annotations

from datetime import timedelta

from services.monitor.checks import Check, CheckContext, is_too_many
from services.monitor.domain.findings import Badge, Finding, Level, Part, RunStatus

# SINGLE is usable and CLOSED is normal for an index; these are not.
BAD_QUALITIES = ("STALE", "NONE", "DISAGREE")


class PriceCheck(Check):
    """Says which assets have no price to trust. Threshold: share of the tracked assets."""

    name = "price"
    description = "Quality of every tracked asset's price"
    interval = timedelta(minutes=1)
    every_cycle = True
    takes_threshold = True

    async def run(self, context: CheckContext) -> Finding:
        """BREACH when a tracked asset is stale, absent or disagreed about."""
        prices = await context.readings.prices()
        bad = {price.asset: price.quality for price in prices if price.quality in BAD_QUALITIES}
        metadata = {"assets": {price.asset: price.quality for price in prices}, "bad": bad}
        if not is_too_many(len(bad), len(prices), context.threshold_percent):
            return Finding(RunStatus.SUCCESS, metadata, {"price_badge": None})
        members = {asset: f"{asset} {quality.lower()}" for asset, quality in sorted(bad.items())}
        words = ", ".join(members.values())
        parts = tuple(Part(asset, word, Level.MEDIUM) for asset, word in members.items())
        badge = Badge("price_badge", words, Level.MEDIUM, parts=parts, listed=True)
        return Finding(
            RunStatus.BREACH,
            metadata,
            {"price_badge": badge},
            concern=f"prices not to be trusted: {words}",
            advice="Look at the market elsewhere; no level is lowered by these prices.",
            members=members,
        )
