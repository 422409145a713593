"""A cycle and its steps as values, and what the steps make of the cycle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, IntEnum
from types import MappingProxyType

from shared.errors import FailedPrecondition


class CycleState(IntEnum):
    QUEUED = 1
    RUNNING = 2
    SUCCEEDED = 3
    PARTIAL = 4
    FAILED = 5
    CANCELLED = 6


class StepState(IntEnum):
    PENDING = 1
    RUNNING = 2
    SUCCEEDED = 3
    PARTIAL = 4
    FAILED = 5
    SKIPPED = 6


class Cause(IntEnum):
    SCHEDULE = 1
    REQUEST = 2
    STREAM = 3


class Severity(Enum):
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


ENDED = frozenset(
    {CycleState.SUCCEEDED, CycleState.PARTIAL, CycleState.FAILED, CycleState.CANCELLED}
)
DONE = frozenset({StepState.SUCCEEDED, StepState.PARTIAL, StepState.FAILED, StepState.SKIPPED})
USABLE = frozenset({StepState.SUCCEEDED, StepState.PARTIAL})
# Why a step is SKIPPED of which nothing is amiss: nobody has asked for what it does.
NOT_CONFIGURED = "NOT_CONFIGURED"


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `counts` by name, `reason` and `message` empty when SUCCEEDED."""

    name: str
    state: StepState = StepState.PENDING
    attempt: int = 0
    started_time: datetime | None = None
    duration_seconds: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    message: str = ""

    @property
    def is_well(self) -> bool:
        """Whether it did what there was to do."""
        skipped = self.state is StepState.SKIPPED and self.reason == NOT_CONFIGURED
        return skipped or self.state is StepState.SUCCEEDED

    @property
    def duration(self) -> timedelta | None:
        seconds = self.duration_seconds
        return None if seconds is None else timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Cycle:
    id: str
    state: CycleState
    cause: Cause
    created_time: datetime
    slot_time: datetime | None = None
    started_time: datetime | None = None
    ended_time: datetime | None = None
    steps: tuple[Step, ...] = ()
    epoch: int = 0
    message: str = ""
    demo: bool = False
    cancel: bool = False
    request_id: str = ""
    # Who hears how it ended; when that was handed over, or why it cannot be.
    deliver_to: tuple[str, ...] = ()
    result_time: datetime | None = None
    result_problem: str = ""

    @property
    def duration(self) -> timedelta | None:
        """None while it has not started and ended."""
        if self.started_time is None or self.ended_time is None:
            return None
        return self.ended_time - self.started_time


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, as a line; `id` is 0 until stored."""

    event_time: datetime
    severity: Severity
    source: str
    message: str
    cycle_id: str = ""
    id: int = 0


# Of events about the dead-man's switch outside.
PING_SOURCE = "heartbeat"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; empty is any. `source` and `text` in any case, ids above `after_id`."""

    cycle_id: str = ""
    severity: str = ""
    source: str = ""
    text: str = ""
    after_id: int = 0


class CycleEvent(Enum):
    TAKE = "TAKE"
    ASK_CANCEL = "ASK_CANCEL"


# Asking a running cycle to stop leaves it running until its owner has stopped the call in flight.
_TRANSITIONS: Mapping[tuple[CycleState, CycleEvent], CycleState] = MappingProxyType(
    {
        (CycleState.QUEUED, CycleEvent.TAKE): CycleState.RUNNING,
        (CycleState.RUNNING, CycleEvent.TAKE): CycleState.RUNNING,
        (CycleState.QUEUED, CycleEvent.ASK_CANCEL): CycleState.CANCELLED,
        (CycleState.RUNNING, CycleEvent.ASK_CANCEL): CycleState.RUNNING,
    }
)


def transition(state: CycleState, event: CycleEvent) -> CycleState:
    """The state after the event; raises FailedPrecondition CYCLE_ENDED when the cycle has ended."""
    after = _TRANSITIONS.get((state, event))
    if after is None:
        raise FailedPrecondition("CYCLE_ENDED", f"the cycle has ended already: {state.name}")
    return after


def begun(
    cycle_id: str, slot_time: datetime | None, names: Iterable[str], epoch: int, now: datetime
) -> Cycle:
    """A cycle of the schedule at its first moment; without a slot one that a stream asked for."""
    steps = tuple(Step(name) for name in names)
    cause = Cause.STREAM if slot_time is None else Cause.SCHEDULE
    return Cycle(cycle_id, CycleState.RUNNING, cause, now, slot_time, now, steps=steps, epoch=epoch)


def outcome(steps: Sequence[Step], judging: str) -> CycleState:
    """What the done steps make of the cycle; `judging` names the step without which a cycle FAILED.

    All well is SUCCEEDED. Else PARTIAL, FAILED when `judging` gave nothing usable.
    """
    if all(step.is_well for step in steps):
        return CycleState.SUCCEEDED
    judged = next((step for step in steps if step.name == judging), None)
    return CycleState.FAILED if judged and judged.state not in USABLE else CycleState.PARTIAL


def sentence(steps: Iterable[Step]) -> str:
    """Why a cycle did not succeed: every step that did not, in order; empty when all did."""
    troubled = [step for step in steps if not step.is_well and step.state is not StepState.PENDING]
    return "; ".join(
        f"{step.name} {step.state.name}: {step.message or step.reason}" for step in troubled
    )


def progress(before: Cycle | None, after: Cycle) -> list[tuple[Cycle, str]]:
    """The messages that lead from one reading to the next: (the cycle then, name of the step that
    changed).

    A step that started and ended between two readings is sent twice, so that each is seen to start.
    """
    if before is None:
        return [(after, "")]
    messages: list[tuple[Cycle, str]] = []
    steps = list(before.steps)
    present = replace(
        after, state=before.state, ended_time=before.ended_time, message=before.message
    )
    if after.state is not before.state and after.state not in ENDED:
        present = after
        messages.append((replace(after, steps=tuple(steps)), ""))
    for place, (old, new) in enumerate(zip(before.steps, after.steps, strict=True)):
        for shown in _shown(old, new):
            steps[place] = shown
            messages.append((replace(present, steps=tuple(steps)), shown.name))
    if after.state in ENDED and before.state not in ENDED:
        messages.append((after, ""))
    return messages


def _shown(old: Step, new: Step) -> list[Step]:
    if (old.state, old.attempt) == (new.state, new.attempt):
        return []
    if new.state in DONE and new.state is not StepState.SKIPPED and new.attempt > old.attempt:
        return [Step(new.name, StepState.RUNNING, new.attempt, new.started_time), new]
    return [new]
