"""Rows of snapshots."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.positions.domain.totals import Totals
from services.positions.store.passes import totals_of
from services.positions.tables import refused_row, snapshot
from shared.database.keyset import apply
from shared.paging import PageRequest


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Totals at a moment; cycle_id is empty when recorded by hand."""

    id: int
    snapshot_time: datetime
    totals: Totals
    cycle_id: str


class PortfolioStore:
    """Snapshots of one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def record(self, totals: Totals, cycle_id: str, now: datetime) -> Snapshot:
        """Add a snapshot; a cycle that has one keeps it, and it is the answer."""
        values = asdict(totals) | {"cycle_id": cycle_id, "snapshot_time": now}
        statement = insert(snapshot).values(values)
        statement = statement.on_conflict_do_update(
            index_elements=["cycle_id"],
            index_where=text("cycle_id <> ''"),
            set_={"cycle_id": statement.excluded.cycle_id},
        )
        return _snapshot((await self._connection.execute(statement.returning(snapshot))).one())

    async def page(
        self, page: PageRequest, start_time: datetime | None, end_time: datetime | None
    ) -> list[Snapshot]:
        """Newest first, one more than the page holds."""
        query: Select[Any] = select(snapshot)
        if start_time is not None:
            query = query.where(snapshot.c.snapshot_time >= start_time)
        if end_time is not None:
            query = query.where(snapshot.c.snapshot_time < end_time)
        query = apply(
            query, [(snapshot.c.snapshot_time, "desc"), (snapshot.c.id, "desc")], page.after, page.size
        )
        return [_snapshot(row) for row in await self._connection.execute(query)]

    async def clear(self) -> int:
        """Remove snapshots and refused rows; how many."""
        gone = (await self._connection.execute(delete(snapshot))).rowcount
        return gone + (await self._connection.execute(delete(refused_row))).rowcount


def _snapshot(row: Row[Any]) -> Snapshot:
    return Snapshot(row.id, row.snapshot_time, totals_of(row, row.totals_time), row.cycle_id)
