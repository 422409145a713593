"""What a row of each table is as a value, and the SQL fragments the stores share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from services.cyclone.domain.cycle import Cause, Cycle, CycleState, Event, Severity, Step, StepState
from services.cyclone.domain.incidents import Incident, NotifiedBy
from services.cyclone.domain.schedule import Setting
from shared.database.statement import Row

# The guard of every write of an owner. It stands in FROM, so it is always run; its share lock on
# the lease lasts until the statement commits: a take-over waits for the write, or the write sees
# the take-over.
FENCE = "(select epoch from lease where epoch = :epoch for share) as fence"
NOTIFY_CHANNEL = "cyclone"

CYCLE_COLUMNS = (
    "id",
    "state",
    "cause",
    "slot_time",
    "created_time",
    "started_time",
    "ended_time",
    "epoch",
    "message",
    "demo",
    "cancel",
    "request_id",
)
_STEP_COLUMNS = (
    "name",
    "state",
    "attempt",
    "started_time",
    "duration_seconds",
    "counts",
    "reason",
    "message",
)
_STEP_FIELDS = ", ".join(f"'{name}', {name}" for name in _STEP_COLUMNS)
# One statement for a cycle and its steps, whatever the number of cycles.
STEPS_OF = (
    f"(select jsonb_agg(jsonb_build_object({_STEP_FIELDS}) order by place)"
    " from step where cycle_id = {cycle}.id) as steps"
)


def cycle_of(row: Row, steps: Sequence[Mapping[str, Any]]) -> Cycle:
    return Cycle(
        id=row["id"],
        state=CycleState(row["state"]),
        cause=Cause(row["cause"]),
        created_time=row["created_time"],
        slot_time=row["slot_time"],
        started_time=row["started_time"],
        ended_time=row["ended_time"],
        steps=tuple(_step_of(step) for step in steps),
        epoch=row["epoch"],
        message=row["message"],
        demo=row["demo"],
        cancel=row["cancel"],
        request_id=row["request_id"],
    )


def _step_of(step: Mapping[str, Any]) -> Step:
    started = step["started_time"]
    return Step(
        name=step["name"],
        state=StepState(step["state"]),
        attempt=step["attempt"],
        started_time=None if started is None else datetime.fromisoformat(started),
        duration_seconds=step["duration_seconds"],
        counts=step["counts"],
        reason=step["reason"],
        message=step["message"],
    )


def event_of(row: Row) -> Event:
    return Event(
        row["event_time"],
        Severity(row["severity"]),
        row["source"],
        row["message"],
        row["cycle_id"],
        row["id"],
    )


def setting_of(row: Row) -> Setting:
    interval = timedelta(seconds=row["interval_seconds"])
    return Setting(interval, row["enabled"], row["next_time"], row["missed_count"], row["version"])


def incident_of(row: Row) -> Incident:
    return Incident(
        row["name"],
        row["bad_count"],
        row["open"],
        row["id"],
        row["summary"],
        NotifiedBy(row["notified_by"]),
        row["resolving"],
    )


def event_arrays(events: Iterable[Event]) -> dict[str, Any]:
    """Parameters of INSERT_EVENTS."""
    listed = list(events)
    return {
        "event_times": [event.event_time for event in listed],
        "severities": [event.severity.value for event in listed],
        "sources": [event.source for event in listed],
        "event_messages": [event.message for event in listed],
        "event_cycle_ids": [event.cycle_id for event in listed],
    }


_NEW_EVENTS = (
    "unnest(cast(:event_times as timestamptz[]), cast(:severities as text[]), cast(:sources as "
    "text[]),"
    " cast(:event_messages as text[]), cast(:event_cycle_ids as text[]))"
)
_EVENT_COLUMNS = "event_time, severity, source, message, cycle_id"
_INSERT = f"insert into event ({_EVENT_COLUMNS}) select new.* from"
INSERT_EVENTS = f"{_INSERT} {_NEW_EVENTS} as new ({_EVENT_COLUMNS})"
INSERT_EVENTS_FENCED = f"{_INSERT} {FENCE}, {_NEW_EVENTS} as new ({_EVENT_COLUMNS}) returning 1"
