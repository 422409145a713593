"""Rows of sessions, and the one row of the strategy."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from services.positions.sessions.domain import Session, SessionStatus, Strategy
from services.positions.tables import session
from shared import rows
from shared.database.keyset import Direction, apply
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

# Entries by hand follow reckonings of their own.
_VALUES = Statement(
    "select coalesce(array_agg(total_value_usd order by snapshot_time, id), '{}') from snapshot"
    " where snapshot_time >= :start_time and snapshot_time <= :end_time and not manual"
)
_OPEN = Statement(
    "insert into session (id, name, note, status, started_time, start_value_usd)"
    f" values (:id, :name, :note, {int(SessionStatus.OPEN)}, :now, :start_value_usd)"
    f" on conflict (status) where status = {int(SessionStatus.OPEN)} do nothing"
)
_END = Statement(
    f"update session set status = {int(SessionStatus.ENDED)}, ended_time = :ended_time,"
    " end_value_usd = :end_value_usd, max_drawdown_usd = :max_drawdown_usd,"
    " max_drawdown_percent = :max_drawdown_percent where id = :id"
)
_STRATEGY = Statement("select start_value_usd, description, updated_time from strategy")
_KEEP_STRATEGY = Statement(
    "insert into strategy (strategy_key, start_value_usd, description, updated_time)"
    " values (1, :start_value_usd, :description, :now)"
    " on conflict (strategy_key) do update set start_value_usd = excluded.start_value_usd,"
    " description = excluded.description, updated_time = excluded.updated_time"
)


class SessionStore:
    """Sessions of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def open(
        self, session_id: str, name: str, note: str, start_value_usd: float, now: datetime
    ) -> bool:
        """One new OPEN session; False when one is open."""
        opened = await self._transaction.execute(
            _OPEN, id=session_id, name=name, note=note, now=now, start_value_usd=start_value_usd
        )
        return opened == 1

    async def find(self, session_id: str, *, lock: bool = False) -> Session | None:
        """One session; locked until commit when asked."""
        query = select(session).where(session.c.id == session_id)
        row = await self._transaction.first(query.with_for_update() if lock else query)
        return None if row is None else _session(row)

    async def page(
        self, page: PageRequest, status: SessionStatus | None, *, descending: bool
    ) -> list[Session]:
        """In order of their start, one more than the page holds."""
        query = select(session)
        if status is not None:
            query = query.where(session.c.status == int(status))
        way: Direction = "desc" if descending else "asc"
        query = apply(
            query, [(session.c.started_time, way), (session.c.id, way)], page.after, page.size
        )
        return [_session(row) for row in await self._transaction.fetch(query)]

    async def end(self, ended: Session) -> None:
        """Keep the final figures."""
        await self._transaction.execute(
            _END,
            id=ended.id,
            ended_time=ended.ended_time,
            end_value_usd=ended.value_usd,
            max_drawdown_usd=ended.max_drawdown_usd,
            max_drawdown_percent=ended.max_drawdown_percent,
        )

    async def values(self, start_time: datetime, end_time: datetime) -> Sequence[float]:
        """Total values of the snapshots of this time, in order, USD."""
        found: Sequence[float] = await self._transaction.scalar(
            _VALUES, start_time=start_time, end_time=end_time
        )
        return found

    async def strategy(self) -> Strategy:
        """As stored."""
        row = await self._transaction.first(_STRATEGY)
        if row is None:
            return Strategy(None, "", None)
        return Strategy(row["start_value_usd"], row["description"], row["updated_time"])

    async def keep_strategy(self, changed: Strategy, now: datetime) -> None:
        """Store start value and description."""
        await self._transaction.execute(
            _KEEP_STRATEGY,
            start_value_usd=changed.start_value_usd,
            description=changed.description,
            now=now,
        )


def _session(row: Row) -> Session:
    """While it is OPEN the figures of its end are 0: what they are now is not stored."""
    return rows.read(
        Session,
        row,
        value_usd=row["end_value_usd"] or 0.0,
        max_drawdown_usd=row["max_drawdown_usd"] or 0.0,
    )
