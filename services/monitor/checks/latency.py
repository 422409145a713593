"""How long a round trip to every service and configured provider takes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from services.monitor.checks import Check, CheckContext, is_too_many
from services.monitor.domain.findings import Finding, RunStatus


class LatencyCheck(Check):
    """For the ledger; notifies nobody. Threshold: share of those asked."""

    name = "latency"
    description = "Round trip to every service and configured provider"
    interval = timedelta(minutes=5)
    outside = True
    takes_threshold = True

    def __init__(self, limit_seconds: float = 2.0) -> None:
        self._limit_seconds = limit_seconds

    async def run(self, context: CheckContext) -> Finding:
        """BREACH when one does not answer or takes longer than the limit."""
        services, hosts = await asyncio.gather(
            context.readings.services(), context.readings.hosts()
        )
        asked = [*services, *hosts]
        slow = {
            one.name: one.problem or f"{one.seconds:.3f} s"
            for one in asked
            if one.problem or one.seconds > self._limit_seconds
        }
        metadata: dict[str, object] = {
            "milliseconds": {one.name: round(one.seconds * 1000, 1) for one in asked},
            "limit_seconds": self._limit_seconds,
            "slow": slow,
        }
        is_breach = is_too_many(len(slow), len(asked), context.threshold_percent)
        return Finding(RunStatus.BREACH if is_breach else RunStatus.SUCCESS, metadata)
