"""Whether streams that pull looks forward are open: an extra, without which cycles go on."""

from __future__ import annotations

from datetime import timedelta

from services.monitor.checks import Check, CheckContext
from services.monitor.domain.findings import Badge, Finding, Level, Part, RunStatus, skipped

_BADGE = "stream_badge"
# Providers restart and connections end; this long is none of these.
_LONG = timedelta(minutes=10)
_BROKEN = "RECONNECTING"


class StreamCheck(Check):
    """A LOW badge when a stream has not been open for ten minutes; notifies nobody."""

    name = "stream"
    description = "Streams between two looks that have not been open for ten minutes"
    interval = timedelta(minutes=5)

    async def run(self, context: CheckContext) -> Finding:
        """BREACH when one is not open; SKIPPED NOT_CONFIGURED where none are followed."""
        streams = await context.readings.streams()
        if streams is None:
            return skipped("NOT_CONFIGURED", "SONIC_STREAMS is off, or no cycle asks")
        lost = {
            one.name: one.reason or one.state
            for one in streams
            if one.state == _BROKEN and context.now - one.since_time > _LONG
        }
        metadata: dict[str, object] = {
            "streams": {one.name: f"{one.state} {one.reason}".strip() for one in streams}
        }
        if not lost:
            return Finding(RunStatus.SUCCESS, metadata, {_BADGE: None})
        parts = tuple(
            Part(name, f"stream {name}: {why}", Level.LOW) for name, why in sorted(lost.items())
        )
        badge = Badge(_BADGE, parts[0].value, Level.LOW, parts=parts)
        return Finding(RunStatus.BREACH, metadata, {_BADGE: badge}, level=Level.LOW)
