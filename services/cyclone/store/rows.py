"""What a row of each table is as a value, and the SQL fragments the stores share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pydantic import TypeAdapter

from services.cyclone.domain.cycle import Cycle, Event, Step
from services.cyclone.domain.incidents import Incident
from shared import rows
from shared.database.statement import Row

# The guard of every write of an owner. It stands in FROM, so it is always run; its share lock on
# the lease lasts until the statement commits: a take-over waits for the write, or the write sees
# the take-over.
FENCE: Final = "(select epoch from lease where epoch = :epoch for share) as fence"
NOTIFY_CHANNEL: Final = "cyclone"

CYCLE_COLUMNS: Final = (
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
STEP_COLUMNS: Final = {
    "name": "text",
    "state": "int2",
    "attempt": "int4",
    "started_time": "timestamptz",
    "duration_seconds": "float8",
    "counts": "jsonb",
    "reason": "text",
    "message": "text",
}
INCIDENT_COLUMNS: Final = {
    "name": "text",
    "bad_count": "int4",
    '"open"': "bool",
    "id": "text",
    "summary": "text",
    "notified_by": "text",
    "resolving": "bool",
}
_EVENT_COLUMNS: Final = {
    "event_time": "timestamptz",
    "severity": "text",
    "source": "text",
    "message": "text",
    "cycle_id": "text",
}
_STEP_FIELDS = ", ".join(f"'{name}', {name}" for name in STEP_COLUMNS)
# One statement for a cycle and its steps, whatever the number of cycles.
STEPS_OF: Final = (
    f"(select jsonb_agg(jsonb_build_object({_STEP_FIELDS}) order by place)"
    " from step where cycle_id = {cycle}.id)"
)
_steps = TypeAdapter(tuple[Step, ...])
_events = TypeAdapter(tuple[Event, ...])
_incidents = TypeAdapter(tuple[Incident, ...])


def recordset(parameter: str, columns: dict[str, str]) -> str:
    """The rows of a parameter that is JSON text."""
    listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    return f"jsonb_to_recordset(cast(:{parameter} as jsonb)) as new ({listed})"


def cycle_of(row: Row) -> Cycle:
    return rows.read(Cycle, row, steps=_steps.validate_json(row["steps"]))


def steps_json(steps: Iterable[Step]) -> str:
    return _steps.dump_json(tuple(steps)).decode()


def events_json(events: Iterable[Event]) -> str:
    return _events.dump_json(tuple(events)).decode()


def incidents_json(incidents: Iterable[Incident]) -> str:
    return _incidents.dump_json(tuple(incidents)).decode()


_EVENT_NAMES = ", ".join(_EVENT_COLUMNS)
_NEW_EVENTS = recordset("events", _EVENT_COLUMNS)
INSERT_EVENTS: Final = f"insert into event ({_EVENT_NAMES}) select new.* from {_NEW_EVENTS}"
INSERT_EVENTS_FENCED: Final = (
    f"insert into event ({_EVENT_NAMES}) select new.* from {FENCE}, {_NEW_EVENTS} returning 1"
)
