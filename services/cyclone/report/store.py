"""What of reports is kept, and the cycles they are about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from services.cyclone.domain.cycle import Cycle, Event
from services.cyclone.report.domain.document import MOST_ROWS, Section, Window
from services.cyclone.store.rows import CLOCKS_APART, CYCLE_NAMES, cycle_of, newest
from shared import rows
from shared.database.statement import Statement
from shared.database.transaction import Transaction

_NAMES = ", ".join(CYCLE_NAMES)
# One that was cancelled before it started touched nothing.
_ENDED = "state > 2 and started_time is not null"
_ONE = Statement(f"select {_NAMES} from cycle where id = :id and started_time is not null")
_LATEST = Statement(newest(_ENDED, _NAMES))
_BEFORE = Statement(
    f"select {_NAMES} from cycle"
    f" where {_ENDED} and id <> :id and started_time <= :started_time"
    " and created_time <= :started_time order by created_time desc, id desc limit 1"
)
_NEXT = Statement(
    "select started_time from cycle where started_time > :started_time"
    " and created_time >= :created_time and (started_time <= :last_time or :is_ahead)"
    " order by created_time, id limit 1"
)
_EVENTS = Statement(
    "select * from event where cycle_id = :id"
    " order by array_position(array['ERROR', 'WARNING'], severity), id limit :count"
)
_KEPT = Statement("select sections from report where cycle_id = :id")
_KEEP = Statement(
    "insert into report (cycle_id, made_time, sections)"
    " select id, :now, cast(:sections as jsonb) from cycle where id = :id"
    " on conflict do nothing"
)
_sections = TypeAdapter(tuple[Section, ...])


@dataclass(frozen=True, slots=True)
class Neighbours:
    """A cycle, the one that ran before it, and when the next one started."""

    cycle: Cycle
    before: Cycle | None
    next_start_time: datetime | None

    @property
    def window(self) -> Window:
        """The time that is this cycle's own."""
        before = self.before
        return Window(
            self.cycle.id,
            self.cycle.started_time or self.cycle.created_time,
            self.next_start_time,
            before.id if before else "",
            before.started_time if before else None,
        )


class ReportStore:
    """The reports of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def neighbours(self, cycle_id: str, now: datetime) -> Neighbours | None:
        """Of a cycle that has started; without an id the newest one that has ended."""
        row = await (
            self._transaction.first(_ONE, id=cycle_id)
            if cycle_id
            else self._transaction.first(_LATEST, now=now)
        )
        if row is None:
            return None
        cycle = cycle_of(row)
        started_time = cycle.started_time
        before = await self._transaction.first(_BEFORE, id=cycle.id, started_time=started_time)
        last_time = now + CLOCKS_APART
        next_time: datetime | None = await self._transaction.scalar(
            _NEXT,
            started_time=started_time,
            created_time=cycle.created_time,
            last_time=last_time,
            is_ahead=cycle.created_time > last_time,
        )
        return Neighbours(cycle, None if before is None else cycle_of(before), next_time)

    async def log_lines(self, cycle_id: str) -> tuple[Sequence[Event], bool]:
        """The gravest lines of a cycle, oldest first, and whether there are more."""
        found = await self._transaction.fetch(_EVENTS, id=cycle_id, count=MOST_ROWS + 1)
        lines = [rows.read(Event, row) for row in found[:MOST_ROWS]]
        return sorted(lines, key=lambda event: event.id), len(found) > MOST_ROWS

    async def kept(self, cycle_id: str) -> tuple[Section, ...]:
        """What was kept of a cycle; nothing of a quiet one."""
        found = await self._transaction.scalar(_KEPT, id=cycle_id)
        return () if found is None else _sections.validate_json(found)

    async def keep(self, cycle_id: str, sections: Sequence[Section], now: datetime) -> None:
        """Once a cycle: what was kept first stays."""
        kept = _sections.dump_json(tuple(sections)).decode()
        await self._transaction.execute(_KEEP, id=cycle_id, now=now, sections=kept)
