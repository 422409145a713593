"""Whether Cyclone still calls: nobody else notices when it is dead."""

from __future__ import annotations

from datetime import timedelta

from services.monitor.checks import Check, CheckContext
from services.monitor.domain.clocks import is_ahead
from services.monitor.domain.findings import Badge, Finding, Level, RunStatus, skipped


class HeartbeatCheck(Check):
    """Says HIGH when Cyclone is silent. Threshold: percent of its interval, 300 = three intervals.

    `cycle_interval` counts until Cyclone says its own. A process that starts waits for one limit
    first: the night the whole system was off is no incident.
    """

    name = "heartbeat"
    description = "Time since Cyclone last called"
    interval = timedelta(seconds=30)
    outside = True
    threshold_percent = 300.0
    takes_threshold = True

    def __init__(
        self, cycle_interval: timedelta = timedelta(minutes=1), *, scheduled: bool = True
    ) -> None:
        self._cycle_interval = cycle_interval
        self._scheduled = scheduled
        if not scheduled:
            self.interval = timedelta(hours=6)

    async def run(self, context: CheckContext) -> Finding:
        """BREACH when the last call of a cycle is older than the limit."""
        if not self._scheduled:
            return skipped("NOT_CONFIGURED", "cycles run by request only")
        expected = context.beat.cycle_interval or self._cycle_interval
        limit = expected * (context.threshold_percent or self.threshold_percent) / 100
        call_time, start_time = context.beat.call_time, context.start_time or context.now
        if call_time is not None and is_ahead(call_time, context.now):
            # Noted by a clock that was wrong: it may have been long ago.
            call_time = None
        silent = context.now - (call_time or start_time)
        metadata: dict[str, object] = {
            "last_call_time": call_time.isoformat() if call_time else None,
            "silent_seconds": silent.total_seconds(),
            "limit_seconds": limit.total_seconds(),
        }
        if silent <= limit:
            status = RunStatus.SUCCESS if call_time else RunStatus.SKIPPED
            words = "" if call_time else "STARTING: no cycle yet"
            return Finding(
                status, metadata, {"heartbeat_badge": None} if call_time else {}, error=words
            )
        if context.now - start_time <= limit:
            return skipped("STARTING", "waits for the first cycle since the start")
        minutes = silent.total_seconds() / 60
        concern = f"Cyclone has not called for {minutes:.0f} min; nothing is being watched"
        badge = Badge("heartbeat_badge", f"silent for {minutes:.0f} min", Level.HIGH)
        return Finding(
            RunStatus.BREACH,
            metadata,
            {"heartbeat_badge": badge},
            concern=concern,
            level=Level.HIGH,
        )
