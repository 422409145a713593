"""What callers ask of the rows: new cycles, cancels, readings, clearing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import literal_column, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from services.cyclone.domain.cycle import Cycle, CycleState, Event
from services.cyclone.store.rows import (
    CYCLE_COLUMNS,
    INSERT_EVENTS,
    NOTIFY_CHANNEL,
    STEPS_OF,
    cycle_of,
    event_arrays,
    event_of,
)
from services.cyclone.tables import cycle, event
from shared.database.keyset import apply
from shared.paging import PageRequest

_ASK = text(
    "with made as (insert into cycle"
    " (id, state, cause, created_time, epoch, message, demo, cancel, request_id)"
    " values (:cycle_id, 1, 2, :now, 0, '', false, false, :request_id)"
    " on conflict (request_id) where request_id <> '' do nothing returning id),"
    " steps as (insert into step (cycle_id, name, place, state, attempt, epoch, counts, reason,"
    " message)"
    " select made.id, new.name, new.place, 1, 0, 0, '{}', '', ''"
    " from made, unnest(cast(:names as text[])) with ordinality as new (name, place) returning 1)"
    f" select id, pg_notify('{NOTIFY_CHANNEL}', 'work') from made"
)
_GET = text(
    f"select {', '.join(CYCLE_COLUMNS)}, {STEPS_OF.format(cycle='cycle')} from cycle where id = :id"
).columns(steps=JSONB)
_OF_REQUEST = text("select id from cycle where request_id = :request_id")
_CANCEL_RUNNING = text(
    "update cycle set cancel = true where id = :id and state = 2"
    f" returning pg_notify('{NOTIFY_CHANNEL}', 'cancel ' || id)"
)
_CANCEL_QUEUED = text(
    "with stopped as (update cycle set cancel = true, state = 6, ended_time = :now, message ="
    " :message"
    " where id = :id and state = 1 returning id),"
    " skipped as (update step set state = 6, reason = 'CANCELLED', message = :message"
    " from stopped where cycle_id = stopped.id returning 1)"
    f" select pg_notify('{NOTIFY_CHANNEL}', 'ended ' || id) from stopped"
)
_CLEAR = text("delete from cycle where state > 2")
_CLEAR_LOG = text("delete from event")
_LOG = text(INSERT_EVENTS)
_STEPS = literal_column(STEPS_OF.format(cycle="cycle").removesuffix(" as steps"), JSONB).label(
    "steps"
)


class RequestStore:
    """The cycles of one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def ask(self, cycle_id: str, request_id: str, names: Sequence[str], now: datetime) -> str:
        """Stores a request, wakes the owner; answers the id, the older one of a `request_id` used
        before.
        """
        values = {"cycle_id": cycle_id, "request_id": request_id, "names": list(names), "now": now}
        made = (await self._connection.execute(_ASK, values)).one_or_none()
        if made is not None:
            return cycle_id
        return str(
            (await self._connection.execute(_OF_REQUEST, {"request_id": request_id})).scalar_one()
        )

    async def get(self, id: str) -> Cycle | None:
        row = (await self._connection.execute(_GET, {"id": id})).mappings().one_or_none()
        return None if row is None else cycle_of(row, row["steps"])

    async def list(self, page: PageRequest, state: CycleState | None) -> list[Cycle]:
        """Newest first, one more than the page holds."""
        query = select(cycle, _STEPS)
        if state is not None:
            query = query.where(cycle.c.state == int(state))
        query = apply(
            query, [(cycle.c.created_time, "desc"), (cycle.c.id, "desc")], page.after, page.size
        )
        return [
            cycle_of(row, row["steps"])
            for row in (await self._connection.execute(query)).mappings()
        ]

    async def cancel_queued(self, id: str, message: str, now: datetime) -> bool:
        """False when it is not waiting any more."""
        values = {"id": id, "now": now, "message": message}
        return (await self._connection.execute(_CANCEL_QUEUED, values)).one_or_none() is not None

    async def cancel_running(self, id: str) -> bool:
        """Asks its owner to stop; False when it is not running any more."""
        return (
            await self._connection.execute(_CANCEL_RUNNING, {"id": id})
        ).one_or_none() is not None

    async def events(self, page: PageRequest, cycle_id: str, severity: str) -> Sequence[Event]:
        """Newest first, one more than the page holds."""
        query = select(event)
        if cycle_id:
            query = query.where(event.c.cycle_id == cycle_id)
        if severity:
            query = query.where(event.c.severity == severity)
        query = apply(query, [(event.c.id, "desc")], page.after, page.size)
        return [event_of(row) for row in (await self._connection.execute(query)).mappings()]

    async def log(self, events: Iterable[Event]) -> None:
        await self._connection.execute(_LOG, event_arrays(events))

    async def clear(self) -> int:
        """Deletes ended cycles and the log; cycles that wait or run stay. Answers the number of
        cycles.
        """
        await self._connection.execute(_CLEAR_LOG)
        return (await self._connection.execute(_CLEAR)).rowcount
