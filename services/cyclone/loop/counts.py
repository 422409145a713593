"""What is counted of cycles while they run."""

from __future__ import annotations

from services.cyclone.domain import steps
from services.cyclone.domain.cycle import DONE, ENDED, Cycle, Step
from shared import tracing
from shared.metrics import Metrics, exemplar

# A step is a call, a cycle several; a slow one takes most of its interval.
_STEP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0)
_CYCLE_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)


class CycleCounts:
    """Of this process; another owner of the lease counts its own."""

    def __init__(self, metrics: Metrics) -> None:
        self._cycles = metrics.counter("sonic_cycles_total", "Cycles by how they ended", ("state",))
        self._cycle_seconds = metrics.histogram(
            "sonic_cycle_duration_seconds",
            "Time from the begin of a cycle to its end",
            buckets=_CYCLE_SECONDS,
        )
        self._steps = metrics.counter(
            "sonic_cycle_steps_total", "Steps of cycles by how they ended", ("step", "state")
        )
        self._step_seconds = metrics.histogram(
            "sonic_cycle_step_duration_seconds",
            "Time of a step, from the call of its service to the answer",
            ("step",),
            _STEP_SECONDS,
        )
        self._missed = metrics.counter(
            "sonic_cycle_missed_slots_total",
            "Slots of the schedule in which no cycle began: no owner, or one longer than its"
            " interval",
        )
        self._lease = metrics.gauge(
            "sonic_lease_held", "1 while this process may run cycles, 0 while another may"
        )
        # A rate needs the series before the first cycle that fails.
        for state in ENDED:
            self._cycles.labels(state.name)
        for name in steps.NAMES:
            self._step_seconds.labels(name)
            for step_state in DONE:
                self._steps.labels(name, step_state.name)

    def step(self, step: Step) -> None:
        """It has ended."""
        self._steps.labels(step.name, step.state.name).inc()
        if step.duration_seconds is not None:
            self._step_seconds.labels(step.name).observe(step.duration_seconds)

    def cycle(self, cycle: Cycle) -> None:
        """It has ended."""
        self._cycles.labels(cycle.state.name).inc()
        if (duration := cycle.duration) is not None:
            seconds = max(duration.total_seconds(), 0.0)
            self._cycle_seconds.observe(seconds, exemplar(tracing.trace_id(cycle.id)))

    def missed(self, count: int) -> None:
        """So many slots passed."""
        self._missed.inc(count)

    def lease(self, *, held: bool) -> None:
        """Taken, or lost."""
        self._lease.set(held)
