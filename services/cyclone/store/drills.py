"""Drills. Every time is an argument."""

from __future__ import annotations

from services.cyclone.drills.domain import Drill, DrillState
from shared import rows
from shared.database.statement import Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

_OPEN = f"state in ({DrillState.PLANNED.value}, {DrillState.RUNNING.value})"
_COLUMNS = "id, state, start_time, limit_seconds, code_hash, begun_time, ended_time"
_OPEN_ONE = Statement(f"select {_COLUMNS} from drill where {_OPEN} for update")
_ADD = Statement(f"""
    insert into drill ({_COLUMNS})
    values (:id, :state, :start_time, :limit_seconds, :code_hash,
        cast(:begun_time as timestamptz), cast(:ended_time as timestamptz))
    on conflict do nothing returning 1
""")
_CHANGE = Statement(f"""
    update drill set state = :state, begun_time = cast(:begun_time as timestamptz),
        ended_time = cast(:ended_time as timestamptz)
    where id = :id and {_OPEN}
""")
_LIST = Statement(f"""
    select {_COLUMNS} from drill where cast(:after as text) = '' or id < :after
    order by id desc limit :size
""")


class DrillStore:
    """Drills of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def open(self) -> Drill | None:
        """The one that is planned or runs, held until the end of the transaction."""
        row = await self._transaction.first(_OPEN_ONE)
        return rows.read(Drill, row) if row else None

    async def add(self, drill: Drill) -> bool:
        """False when another one is not over."""
        values = {name: getattr(drill, name) for name in _COLUMNS.split(", ")}
        return await self._transaction.first(_ADD, **values) is not None

    async def change(self, drill: Drill) -> None:
        """How it stands by now."""
        names = ("id", "state", "begun_time", "ended_time")
        await self._transaction.execute(_CHANGE, **{name: getattr(drill, name) for name in names})

    async def list(self, page: PageRequest) -> list[Drill]:
        """Newest first, one more than the page holds."""
        after = str(page.after[0]) if page.after else ""
        found = await self._transaction.fetch(_LIST, after=after, size=page.size + 1)
        return [rows.read(Drill, row) for row in found]
