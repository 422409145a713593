"""Rows of snapshots."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.positions.enrichment.domain.totals import Totals
from services.positions.store.enrichment import TOTALS, totals_of
from services.positions.tables import refused_row, snapshot
from shared.database.engine import raw
from shared.database.keyset import Direction, apply
from shared.database.statement import Row
from shared.paging import PageRequest


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Totals at a moment; cycle_id is empty when recorded by hand; `manual` when the figures were
    entered.
    """

    id: int
    snapshot_time: datetime
    totals: Totals
    cycle_id: str
    manual: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """The last snapshot of a stretch, and what else lies in it; USD."""

    snapshot: Snapshot
    lowest_value_usd: float
    highest_value_usd: float
    snapshot_count: int


# The totals of the last pass, copied where they lie.
_RECORD = (
    f"insert into snapshot as known (cycle_id, snapshot_time, totals_time, {', '.join(TOTALS)})"
    f" select $1, $2, enriched_time, {', '.join(TOTALS)} from service_state"
    " on conflict (cycle_id) where cycle_id <> '' do update set cycle_id = known.cycle_id"
    " returning *"
)
_TREND = text(
    "select * from ("
    " select s.*, min(total_value_usd) over stretch as lowest, max(total_value_usd) over stretch"
    " as highest,"
    " count(*) over stretch as snapshot_count,"
    " row_number() over (stretch order by snapshot_time desc, id desc) as place"
    " from (select *, greatest(ceil((extract(epoch from snapshot_time)::float8 - cast(:first as"
    " float8))"
    " * cast(:point_count as int) / cast(:seconds as float8)), 1) as bucket"
    " from snapshot where snapshot_time > :start_time and snapshot_time <= :end_time) s"
    " window stretch as (partition by bucket)) s where place = 1 order by bucket"
)
_FIRST_VALUE = text(
    "select total_value_usd from snapshot where snapshot_time > :start_time and snapshot_time <="
    " :end_time"
    " order by snapshot_time, id limit 1"
)


class PortfolioStore:
    """Snapshots of one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def record(self, cycle_id: str, now: datetime) -> Snapshot:
        """Add the totals; a cycle that has a snapshot keeps it, and it is the answer."""
        return _snapshot((await (await raw(self._connection)).fetch(_RECORD, cycle_id, now))[0])

    async def enter(self, totals: Totals, moment: datetime, note: str) -> Snapshot:
        """Add an entry by hand."""
        values = asdict(totals) | {"snapshot_time": moment, "manual": True, "note": note}
        statement = insert(snapshot).values(values).returning(snapshot)
        return _snapshot((await self._connection.execute(statement)).mappings().one())

    async def delete(self, snapshot_id: int) -> bool:
        """Remove one; False when there is none."""
        gone = await self._connection.execute(delete(snapshot).where(snapshot.c.id == snapshot_id))
        return gone.rowcount == 1

    async def trend(
        self, start_time: datetime, end_time: datetime, point_count: int
    ) -> list[TrendPoint]:
        """Snapshots after the start up to the end, in at most `point_count` equal stretches of
        time.
        """
        values = {
            "start_time": start_time,
            "end_time": end_time,
            "first": start_time.timestamp(),
            "seconds": (end_time - start_time).total_seconds(),
            "point_count": point_count,
        }
        rows = (await self._connection.execute(_TREND, values)).mappings()
        return [
            TrendPoint(_snapshot(row), row["lowest"], row["highest"], row["snapshot_count"])
            for row in rows
        ]

    async def first_value(self, start_time: datetime, end_time: datetime) -> float | None:
        """Total value of the first snapshot after the start up to the end, USD."""
        values = {"start_time": start_time, "end_time": end_time}
        found = (await self._connection.execute(_FIRST_VALUE, values)).scalar()
        return None if found is None else float(found)

    async def page(
        self,
        page: PageRequest,
        start_time: datetime | None,
        end_time: datetime | None,
        *,
        manual_only: bool = False,
        descending: bool = True,
    ) -> list[Snapshot]:
        """In order of time, one more than the page holds."""
        query: Select[Any] = select(snapshot)
        if start_time is not None:
            query = query.where(snapshot.c.snapshot_time >= start_time)
        if end_time is not None:
            query = query.where(snapshot.c.snapshot_time < end_time)
        if manual_only:
            query = query.where(snapshot.c.manual)
        way: Direction = "desc" if descending else "asc"
        query = apply(
            query, [(snapshot.c.snapshot_time, way), (snapshot.c.id, way)], page.after, page.size
        )
        return [_snapshot(row) for row in (await self._connection.execute(query)).mappings()]

    async def clear(self) -> int:
        """Remove snapshots and refused rows; how many."""
        gone = (await self._connection.execute(delete(snapshot))).rowcount
        return gone + (await self._connection.execute(delete(refused_row))).rowcount


def _snapshot(row: Row) -> Snapshot:
    figures = totals_of(row, row["totals_time"])
    return Snapshot(
        row["id"], row["snapshot_time"], figures, row["cycle_id"], row["manual"], row["note"]
    )
