"""What is counted of the monitors' runs."""

from __future__ import annotations

from collections.abc import Iterable

from services.monitor.domain.findings import Run, RunStatus
from shared.metrics import Metrics


class RunCounts:
    """Of this process."""

    def __init__(self, metrics: Metrics, names: Iterable[str]) -> None:
        self._runs = metrics.counter(
            "sonic_monitor_runs_total", "Runs of monitors by how they ended", ("monitor", "status")
        )
        self._last = metrics.gauge(
            "sonic_monitor_run_timestamp_seconds",
            "When a monitor last ran here and was not skipped",
            ("monitor",),
        )
        for name in names:
            for status in RunStatus:
                self._runs.labels(name, status.name)

    def counted(self, run: Run) -> None:
        """It has ended."""
        self._runs.labels(run.monitor, run.status.name).inc()
        if run.status is not RunStatus.SKIPPED:
            self._last.labels(run.monitor).set(run.started_time.timestamp())
