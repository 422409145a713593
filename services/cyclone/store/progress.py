"""The owner's writes, each one statement behind the fence; a stale epoch is refused with Fenced."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import asyncpg

from services.cyclone.domain.ages import Ages
from services.cyclone.domain.cycle import Cycle, Event, Step
from services.cyclone.domain.incidents import Incident
from services.cyclone.domain.schedule import Due, Setting
from services.cyclone.domain.steps import NAMES
from services.cyclone.domain.streams import Stream
from services.cyclone.store.rows import (
    CYCLE_NAMES,
    FENCE,
    INCIDENT_NAMES,
    INSERT_EVENTS_FENCED,
    NOTIFY_CHANNEL,
    NOTIFY_RESULT,
    STREAM_NAMES,
    cycle_of,
    events_json,
    incidents_json,
    newest,
    pending_json,
    recordset,
    steps_json,
    streams_json,
)
from shared import rows
from shared.database.pool import Database
from shared.database.statement import Statement

# Progress that a crash of the server forgets is made again by the next owner.
_NO_FLUSH = "set_config('synchronous_commit', 'off', true)"
_NOTIFY_PROGRESS = f"pg_notify('{NOTIFY_CHANNEL}', 'progress ' || cast(:cycle_id as text))"
_NOTIFY_END = f"pg_notify('{NOTIFY_CHANNEL}', 'ended ' || cast(:cycle_id as text))"

# Unfinished (RUNNING) before requests (QUEUED), oldest first.
_TAKE = Statement(f"""
with taken as (
    update cycle set state = 2, epoch = :epoch, started_time = coalesce(started_time, :now)
    from {FENCE}
    where cycle.id = (select id from cycle where state <= 2 order by state desc, created_time,
    id limit 1)
        and state <= 2
    returning {", ".join(f"cycle.{name}" for name in CYCLE_NAMES)},
        pg_notify('{NOTIFY_CHANNEL}', 'progress ' || cycle.id)
)
select taken.* from {FENCE} left join taken on true
""")

_OPEN_SLOT = Statement(f"""
with moved as (
    update setting set next_time = :next_time, missed_count = missed_count + :missed_count
    from {FENCE} where next_time = :expected_time returning 1
), made as (
    insert into cycle
        (id, state, cause, slot_time, created_time, started_time, epoch, message, demo, cancel,
        request_id, steps)
    select :cycle_id, 2, 1, :slot_time, :now, :now, :epoch, '', false, false, '',
        cast(:steps as jsonb)
    from moved where cast(:slot_time as timestamptz) is not null returning 1
)
select (select count(*) from moved) as moved from {FENCE}
""")

_OPEN_PULLED = Statement(f"""
with made as (
    insert into cycle
        (id, state, cause, created_time, started_time, epoch, message, demo, cancel, request_id,
        steps)
    select :cycle_id, 2, 3, :now, :now, :epoch, '', false, false, '', cast(:steps as jsonb)
    from {FENCE} returning id
), logged as ({INSERT_EVENTS_FENCED})
select id from made
""")

_LOGGED = f"logged as ({INSERT_EVENTS_FENCED})"
_INCIDENT_NAMES = ", ".join(INCIDENT_NAMES)
_INCIDENT_SET = ", ".join(f"{name} = excluded.{name}" for name in INCIDENT_NAMES)
_WATCHED = f"""watched as (
    insert into incident as old ({_INCIDENT_NAMES})
    select {_INCIDENT_NAMES} from {FENCE}, {recordset("incidents", "incident")}
    on conflict (name) do update set {_INCIDENT_SET} returning 1
)"""

_ADVANCE = Statement(f"""
with {_LOGGED}, moved as (
    update cycle set steps = cast(:steps as jsonb), demo = :demo
    from {FENCE} where id = :cycle_id and state = 2 returning cancel
)
select cancel, {_NO_FLUSH}, {_NOTIFY_PROGRESS} from moved
""")
_END = Statement(f"""
with {_LOGGED}, {_WATCHED}, ended as (
    update cycle set state = :state, ended_time = :now, message = :message, epoch = :epoch,
    demo = :demo, steps = cast(:steps as jsonb)
    from {FENCE} where id = :cycle_id and state = 2 returning deliver_to
)
select {_NOTIFY_END}, {NOTIFY_RESULT} from ended
""")
_NOTE = Statement(f"with {_LOGGED}, {_WATCHED} select {_NO_FLUSH} from {FENCE}")
_STREAM_LIST = ", ".join(STREAM_NAMES)
_STREAM_SET = ", ".join(f"{name} = excluded.{name}" for name in STREAM_NAMES)
_KEEP_STREAMS = Statement(f"""
with {_LOGGED}, gone as (
    delete from stream using {FENCE} where stream.service = :service
    and not exists (select from {recordset("streams", "stream")} where new.name = stream.name)
    returning 1
), kept as (
    insert into stream ({_STREAM_LIST})
    select {_STREAM_LIST} from {FENCE}, {recordset("streams", "stream")}
    on conflict (service, name) do update set {_STREAM_SET} returning 1
)
select {_NO_FLUSH} from {FENCE}
""")
_INCIDENTS = Statement(f"select {_INCIDENT_NAMES} from incident order by name")
_LAST_DEMO = Statement(newest("state > 2", "demo"))
# A release that kept them longer left hundreds of thousands: no cycle waits for them all.
_MOST_LINES = 20_000
_FORGET = Statement(f"""
with old_events as (delete from event using {FENCE} where event_time < :before_time returning 1),
old_step_lines as (delete from event using {FENCE} where event.id in (
    select id from event where event_time < :step_lines_before_time
        and event_time >= :before_time and severity = 'INFO'
        and source = any(cast(:step_names as text[])) limit {_MOST_LINES}
    ) returning 1),
old_reports as (delete from report using {FENCE}
    where made_time < :reports_before_time returning 1),
-- How long it took until the outside told somebody is looked at over months.
old_drills as (delete from drill using {FENCE}
    where ended_time < cast(:before_time as timestamptz) - interval '1 year' returning 1),
old_cycles as (delete from cycle using {FENCE}
    where state > 2 and created_time < :before_time returning 1)
select (select count(*) from old_step_lines) as line_count from {FENCE}
""")


class Fenced(Exception):
    """The lease is another's: whoever wrote must stop at once."""


class ProgressStore:
    """Each method is one statement by itself. Writes raise Fenced when `epoch` is old."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, epoch: int, now: datetime) -> Cycle | None:
        """The unfinished cycle, else the oldest request, now RUNNING under this epoch."""
        row = await self._fenced(_TAKE, epoch=epoch, now=now)
        return None if row["id"] is None else cycle_of(row)

    async def open_slot(
        self,
        epoch: int,
        setting: Setting,
        due: Due,
        cycle_id: str,
        names: Sequence[str],
        now: datetime,
    ) -> bool:
        """Moves the schedule on, counts what was missed, begins the cycle of a due slot.

        False when the setting was edited meanwhile: nothing was written; read again.
        """
        row = await self._fenced(
            _OPEN_SLOT,
            epoch=epoch,
            expected_time=setting.next_time,
            next_time=due.next_time,
            missed_count=due.missed_count,
            slot_time=due.slot_time,
            cycle_id=cycle_id,
            steps=pending_json(names),
            now=now,
        )
        return bool(row["moved"])

    async def open_pulled(
        self,
        epoch: int,
        cycle_id: str,
        names: Sequence[str],
        now: datetime,
        events: Iterable[Event],
    ) -> None:
        """Begins a cycle that a stream asked for, with what it told in the log; the schedule stays
        as it is.
        """
        await self._fenced(
            _OPEN_PULLED,
            epoch=epoch,
            cycle_id=cycle_id,
            steps=pending_json(names),
            now=now,
            events=events_json(events),
        )

    async def keep_streams(
        self, epoch: int, service: str, streams: Sequence[Stream], events: Iterable[Event]
    ) -> None:
        """How all streams of a service stand, with lines of the log."""
        await self._fenced(
            _KEEP_STREAMS,
            epoch=epoch,
            service=service,
            streams=streams_json(streams),
            events=events_json(events),
        )

    async def advance(
        self, epoch: int, cycle_id: str, steps: Sequence[Step], events: Iterable[Event], demo: bool
    ) -> bool:
        """Writes all steps as they stand and the log; answers whether the cycle is to stop."""
        row = await self._fenced(
            _ADVANCE,
            epoch=epoch,
            cycle_id=cycle_id,
            demo=demo,
            steps=steps_json(steps),
            events=events_json(events),
        )
        return bool(row["cancel"])

    async def end(
        self,
        epoch: int,
        cycle: Cycle,
        events: Iterable[Event],
        incidents: Sequence[Incident],
    ) -> None:
        """Closes the cycle, with its steps and what it means for the incidents."""
        await self._fenced(
            _END,
            epoch=epoch,
            cycle_id=cycle.id,
            state=cycle.state,
            now=cycle.ended_time,
            message=cycle.message,
            demo=cycle.demo,
            steps=steps_json(cycle.steps),
            events=events_json(events),
            incidents=incidents_json(incidents),
        )

    async def note(
        self, epoch: int, events: Iterable[Event], incidents: Sequence[Incident] = ()
    ) -> None:
        """Writes lines of the log and incidents outside of a step."""
        await self._fenced(
            _NOTE, epoch=epoch, events=events_json(events), incidents=incidents_json(incidents)
        )

    async def incidents(self) -> dict[str, Incident]:
        found = await self._database.fetch(_INCIDENTS)
        return {row["name"]: rows.read(Incident, row) for row in found}

    async def last_demo(self, now: datetime) -> bool:
        """Whether the newest cycle ran on simulated prices and positions; False without one."""
        return any(row["demo"] for row in await self._database.fetch(_LAST_DEMO, now=now))

    async def forget(self, epoch: int, now: datetime, ages: Ages) -> bool:
        """Deletes what is past its age, drills a year after the cycles of their day; False: there
        may be more.
        """
        row = await self._fenced(
            _FORGET,
            epoch=epoch,
            before_time=now - ages.cycles,
            step_lines_before_time=now - ages.step_lines,
            step_names=NAMES,
            reports_before_time=now - ages.reports,
        )
        return int(row["line_count"]) < _MOST_LINES

    async def _fenced(self, statement: Statement, **values: object) -> asyncpg.Record:
        """The row that every write answers with behind the fence."""
        found = await self._database.fetch(statement, **values)
        if not found:
            raise Fenced
        return found[0]
