"""What a row of each table is as a value, and the SQL fragments the stores share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import timedelta
from typing import Final

from pydantic import TypeAdapter

from services.cyclone.domain.cycle import Cycle, Event, Step
from services.cyclone.domain.incidents import Incident
from services.cyclone.domain.streams import Stream
from shared import rows
from shared.database.statement import Row

# The guard of every write of an owner. It stands in FROM, so it is always run; its share lock on
# the lease lasts until the statement commits: a take-over waits for the write, or the write sees
# the take-over.
FENCE: Final = "(select epoch from lease where epoch = :epoch for share) as fence"
NOTIFY_CHANNEL: Final = "cyclone"

# When a cycle of a clock that was set back since was is not known: it is the newest only where
# there is no other. The clocks of two owners differ by less.
CLOCKS_APART: Final = timedelta(minutes=1)


def newest(condition: str, wanted: str) -> str:
    """What is `wanted` of the newest cycle for which the condition holds, at :now."""
    chosen = f"select id from cycle where {condition}"
    order = "order by created_time desc, id desc limit 1"
    apart = f"interval '{CLOCKS_APART.total_seconds():g} seconds'"
    return (
        f"select {wanted} from cycle where id = coalesce(({chosen}"
        f" and created_time <= cast(:now as timestamptz) + {apart} {order}), ({chosen} {order}))"
    )


CYCLE_NAMES: Final = [field.name for field in fields(Cycle)]
INCIDENT_NAMES: Final = [f'"{field.name}"' for field in fields(Incident)]
STREAM_NAMES: Final = [field.name for field in fields(Stream)]
# Said when a cycle ended whose result somebody wants.
RESULT: Final = "result"
NOTIFY_RESULT: Final = (
    f"case when deliver_to <> '{{}}' then pg_notify('{NOTIFY_CHANNEL}', '{RESULT}') end"
)
_steps = TypeAdapter(tuple[Step, ...])
_events = TypeAdapter(tuple[Event, ...])
_incidents = TypeAdapter(tuple[Incident, ...])
_streams = TypeAdapter(tuple[Stream, ...])


def recordset(parameter: str, table: str) -> str:
    """The rows of a parameter that is JSON text, with the columns of the table."""
    return f"jsonb_populate_recordset(cast(null as {table}), cast(:{parameter} as jsonb)) as new"


def cycle_of(row: Row) -> Cycle:
    return rows.read(Cycle, row, steps=_steps.validate_json(row["steps"]))


def steps_json(steps: Iterable[Step]) -> str:
    return _steps.dump_json(tuple(steps)).decode()


def pending_json(names: Iterable[str]) -> str:
    """The steps of a cycle that begins."""
    return steps_json(map(Step, names))


def events_json(events: Iterable[Event]) -> str:
    return _events.dump_json(tuple(events)).decode()


def streams_json(streams: Iterable[Stream]) -> str:
    return _streams.dump_json(tuple(streams)).decode()


def incidents_json(incidents: Iterable[Incident]) -> str:
    return _incidents.dump_json(tuple(incidents)).decode()


_EVENT_NAMES = ", ".join(field.name for field in fields(Event) if field.name != "id")
_INSERT = f"insert into event ({_EVENT_NAMES}) select {_EVENT_NAMES} from"
INSERT_EVENTS: Final = f"{_INSERT} {recordset('events', 'event')}"
INSERT_EVENTS_FENCED: Final = f"{_INSERT} {FENCE}, {recordset('events', 'event')} returning 1"
