"""What callers ask of the rows: new cycles, cancels, readings, clearing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import func, select

from services.cyclone.domain.cycle import Cycle, CycleState, Event, EventFilter
from services.cyclone.domain.streams import Stream
from services.cyclone.store.rows import (
    CLOCKS_APART,
    CYCLE_NAMES,
    INSERT_EVENTS,
    NOTIFY_CHANNEL,
    NOTIFY_RESULT,
    STREAM_NAMES,
    cycle_of,
    events_json,
    pending_json,
)
from services.cyclone.tables import cycle, event
from shared import rows
from shared.database.keyset import Ordering, apply
from shared.database.statement import Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

_ASK = Statement(
    "with made as (insert into cycle"
    " (id, state, cause, created_time, epoch, message, demo, cancel, request_id, deliver_to, steps)"
    " values (:cycle_id, 1, 2, :now, 0, '', false, false, :request_id,"
    " cast(:deliver_to as text[]), cast(:steps as jsonb))"
    " on conflict (request_id) where request_id <> '' do nothing returning id)"
    f" select id, pg_notify('{NOTIFY_CHANNEL}', 'work') from made"
)
_GET = Statement(f"select {', '.join(CYCLE_NAMES)} from cycle where id = :id")
_OF_REQUEST = Statement("select id from cycle where request_id = :request_id")
_CANCEL_RUNNING = Statement(
    "update cycle set cancel = true where id = :id and state = 2"
    f" returning pg_notify('{NOTIFY_CHANNEL}', 'cancel ' || id)"
)
_CANCEL_QUEUED = Statement(
    "with stopped as (update cycle set cancel = true, state = 6, ended_time = :now, message ="
    " :message, steps = (select jsonb_agg(step || jsonb_build_object('state', 6, 'reason',"
    " 'CANCELLED', 'message', cast(:message as text)) order by place)"
    " from jsonb_array_elements(steps) with ordinality as listed (step, place))"
    " where id = :id and state = 1 returning id, deliver_to)"
    f" select pg_notify('{NOTIFY_CHANNEL}', 'ended ' || id), {NOTIFY_RESULT} from stopped"
)
_STREAMS = Statement(f"select {', '.join(STREAM_NAMES)} from stream order by name, service")
_CLEAR = Statement("delete from cycle where state > 2")
_CLEAR_LOG = Statement("delete from event")
_LOG = Statement(INSERT_EVENTS)
_NEWEST: Ordering = [(cycle.c.created_time, "desc"), (cycle.c.id, "desc")]


def _is_ahead(created_time: object, last_time: datetime) -> bool:
    """Of a key that perhaps belongs to another list."""
    return isinstance(created_time, datetime) and created_time > last_time


class RequestStore:
    """The cycles of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def ask(
        self,
        cycle_id: str,
        request_id: str,
        names: Sequence[str],
        now: datetime,
        deliver_to: Sequence[str] = (),
    ) -> str:
        """Stores a request, wakes the owner; its id, or that of the `request_id` used before."""
        made = await self._transaction.scalar(
            _ASK,
            cycle_id=cycle_id,
            request_id=request_id,
            steps=pending_json(names),
            now=now,
            deliver_to=list(deliver_to),
        )
        return str(made or await self._transaction.scalar(_OF_REQUEST, request_id=request_id))

    async def get(self, id: str) -> Cycle | None:
        row = await self._transaction.first(_GET, id=id)
        return None if row is None else cycle_of(row)

    async def list(self, page: PageRequest, state: CycleState | None, now: datetime) -> list[Cycle]:
        """Newest first, one more than the page holds; last those of a clock that was ahead."""
        query = select(cycle)
        if state is not None:
            query = query.where(cycle.c.state == state)
        last_time = now + CLOCKS_APART
        after, found = page.after, []
        if after is None or not _is_ahead(after[0], last_time):
            known = query.where(cycle.c.created_time <= last_time)
            found = await self._transaction.fetch(apply(known, _NEWEST, after, page.size))
            after = None
        if len(found) <= page.size:
            ahead = query.where(cycle.c.created_time > last_time)
            more = apply(ahead, _NEWEST, after, page.size - len(found))
            found = [*found, *await self._transaction.fetch(more)]
        return [cycle_of(row) for row in found]

    async def cancel_queued(self, id: str, message: str, now: datetime) -> bool:
        """False when it is not waiting any more."""
        return bool(await self._transaction.fetch(_CANCEL_QUEUED, id=id, now=now, message=message))

    async def cancel_running(self, id: str) -> bool:
        """Asks its owner to stop; False when it is not running any more."""
        return bool(await self._transaction.fetch(_CANCEL_RUNNING, id=id))

    async def events(self, page: PageRequest, wanted: EventFilter) -> Sequence[Event]:
        """Newest first, one more than the page holds."""
        query = select(event)
        if wanted.cycle_id:
            query = query.where(event.c.cycle_id == wanted.cycle_id)
        if wanted.severity:
            query = query.where(event.c.severity == wanted.severity)
        if wanted.source:
            query = query.where(func.lower(event.c.source) == wanted.source.lower())
        if wanted.text:
            query = query.where(event.c.message.icontains(wanted.text, autoescape=True))
        if wanted.after_id:
            query = query.where(event.c.id > wanted.after_id)
        query = apply(query, [(event.c.id, "desc")], page.after, page.size)
        return [rows.read(Event, row) for row in await self._transaction.fetch(query)]

    async def streams(self) -> Sequence[Stream]:
        """As the owner of the lease last heard of them."""
        return [rows.read(Stream, row) for row in await self._transaction.fetch(_STREAMS)]

    async def log(self, events: Iterable[Event]) -> None:
        await self._transaction.execute(_LOG, events=events_json(events))

    async def clear(self) -> int:
        """Deletes ended cycles and the log; how many cycles. Those that wait or run stay."""
        await self._transaction.execute(_CLEAR_LOG)
        return await self._transaction.execute(_CLEAR)
