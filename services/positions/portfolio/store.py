"""Rows of snapshots."""

from datetime import datetime

from sqlalchemy import select

from services.positions.enrichment.domain.totals import Totals
from services.positions.portfolio.domain import Snapshot, TrendPoint
from services.positions.store.enrichment import TOTALS, totals_values
from services.positions.tables import snapshot
from shared import rows
from shared.database import fence
from shared.database.fence import Step
from shared.database.keyset import Direction, apply
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

# The totals of the last pass, copied where they lie: fence and snapshot in one.
_RECORD = (
    f"with {fence.ENTERED}, recorded as (insert into snapshot as known"
    f" (cycle_id, snapshot_time, totals_time, {', '.join(TOTALS)})"
    f" select $3, $4, enriched_time, {', '.join(TOTALS)} from service_state"
    " where $3 = '' or exists (select from entered)"
    " on conflict (cycle_id) where cycle_id <> '' do update set cycle_id = known.cycle_id"
    f" returning *) select {fence.REFUSED}, recorded.* from (select) as one"
    " left join recorded on true"
)
_ENTER = Statement(
    f"insert into snapshot (snapshot_time, manual, note, {', '.join(TOTALS)})"
    f" values (:moment, true, :note, {', '.join(f':{name}' for name in TOTALS)}) returning *"
)
_TREND = Statement(
    "select * from ("
    " select s.*, min(total_value_usd) over stretch as lowest_value_usd,"
    " max(total_value_usd) over stretch as highest_value_usd,"
    " count(*) over stretch as snapshot_count,"
    " row_number() over (stretch order by snapshot_time desc, id desc) as place"
    " from (select *, greatest(ceil((extract(epoch from snapshot_time)::float8 - cast(:first as"
    " float8)) * cast(:point_count as int) / cast(:seconds as float8)), 1) as bucket"
    " from snapshot where snapshot_time > :start_time and snapshot_time <= :end_time) s"
    " window stretch as (partition by bucket)) s where place = 1 order by bucket"
)
_FIRST_VALUE = Statement(
    "select total_value_usd from snapshot where snapshot_time > :start_time"
    " and snapshot_time <= :end_time order by snapshot_time, id limit 1"
)
_DELETE = Statement("delete from snapshot where id = :id")
# A demo market that begins anew is another one than was spoken of.
_CLEAR = [
    Statement("delete from snapshot"),
    Statement("delete from refused_row"),
    # Their numbers go on: who has read up to one has missed nothing.
    Statement("delete from position_event"),
    Statement("delete from touch_statement"),
    Statement("delete from touch_history"),
]


class PortfolioStore:
    """Snapshots of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def record(self, step: Step, now: datetime) -> Snapshot:
        """Add the totals; a cycle that has a snapshot keeps it, and it is the answer: no other is
        kept. Raises as `fence.enter`.
        """
        of_step = (step.caller, step.epoch, step.cycle_id)
        (row,) = await self._transaction.driver.fetch(_RECORD, *of_step, now)
        fence.check(step, row["refused"])
        return _snapshot(row)

    async def enter(self, totals: Totals, moment: datetime, note: str) -> Snapshot:
        """Add an entry by hand."""
        values = totals_values(totals)
        (row,) = await self._transaction.fetch(_ENTER, moment=moment, note=note, **values)
        return _snapshot(row)

    async def delete(self, snapshot_id: int) -> bool:
        """Remove one; False when there is none."""
        return await self._transaction.execute(_DELETE, id=snapshot_id) == 1

    async def trend(
        self, start_time: datetime, end_time: datetime, point_count: int
    ) -> list[TrendPoint]:
        """Snapshots after the start up to the end, in at most `point_count` equal stretches."""
        found = await self._transaction.fetch(
            _TREND,
            start_time=start_time,
            end_time=end_time,
            first=start_time.timestamp(),
            seconds=(end_time - start_time).total_seconds(),
            point_count=point_count,
        )
        return [rows.read(TrendPoint, row, snapshot=_snapshot(row)) for row in found]

    async def first_value(self, start_time: datetime, end_time: datetime) -> float | None:
        """Total value of the first snapshot after the start up to the end, USD."""
        found: float | None = await self._transaction.scalar(
            _FIRST_VALUE, start_time=start_time, end_time=end_time
        )
        return found

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
        query = select(snapshot)
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
        return [_snapshot(row) for row in await self._transaction.fetch(query)]

    async def clear(self) -> int:
        """Remove snapshots, refused rows, events and the record of touch probabilities; how
        many.
        """
        return sum([await self._transaction.execute(statement) for statement in _CLEAR])


def _snapshot(row: Row) -> Snapshot:
    return rows.read(Snapshot, row, totals=rows.read(Totals, row))
