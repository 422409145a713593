"""Whether the disk of SONIC_HOME has room, before it has none."""

from __future__ import annotations

from datetime import timedelta

from services.monitor.checks import Check, CheckContext, DiskReading
from services.monitor.domain.findings import Badge, Finding, Level, RunStatus, skipped

_GIB = 1024**3
_MIB = 1024**2
# Over by this much before it counts as over: no flapping at the edge.
_MARGIN = 1.2


class DiskCheck(Check):
    """MEDIUM when less than 1 GiB and less than the threshold (percent) is free."""

    name = "disk"
    description = "Free space of the disk that SONIC_HOME is on"
    interval = timedelta(minutes=1)
    outside = True
    threshold_percent = 5.0
    takes_threshold = True

    async def run(self, context: CheckContext) -> Finding:
        """BREACH under both limits; SKIPPED NOT_CONFIGURED where no SONIC_HOME is seen."""
        disk = await context.readings.disk()
        if disk is None:
            return skipped(
                "NOT_CONFIGURED", "no SONIC_HOME here; watch the database's disk where it is"
            )
        limit_percent = (
            self.threshold_percent
            if context.threshold_percent is None
            else context.threshold_percent
        )
        was_low = context.last is not None and context.last.status is RunStatus.BREACH
        margin = _MARGIN if was_low else 1.0
        percent = 100 * disk.free_bytes / disk.size_bytes
        metadata: dict[str, object] = {
            "folder": disk.folder,
            "free_mib": round(disk.free_bytes / _MIB),
            "free_percent": round(percent, 1),
        }
        if disk.free_bytes >= _GIB * margin or percent >= limit_percent * margin:
            return Finding(RunStatus.SUCCESS, metadata, {"disk_badge": None})
        words = _words(disk, percent)
        return Finding(
            RunStatus.BREACH,
            metadata,
            {"disk_badge": Badge("disk_badge", words, Level.MEDIUM)},
            concern=f"only {words} on the disk of {disk.folder}",
            advice="Make room now: when it is full nothing is judged or kept.",
            level=Level.MEDIUM,
        )


def _words(disk: DiskReading, percent: float) -> str:
    return f"{disk.free_bytes / _MIB:,.0f} MiB ({percent:.1f} %) free"
