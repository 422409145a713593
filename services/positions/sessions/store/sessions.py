"""Rows of sessions, and the one row of the strategy."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.positions.sessions.domain import Session, SessionStatus, Strategy
from services.positions.tables import session, strategy
from shared.database.keyset import Direction, apply
from shared.paging import PageRequest

# Entries by hand follow reckonings of their own.
_VALUES = text(
    "select coalesce(array_agg(total_value_usd order by snapshot_time, id), '{}') from snapshot"
    " where snapshot_time >= :start_time and snapshot_time <= :end_time and not manual"
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A session as stored; the figures of its end are None while OPEN."""

    id: str
    name: str
    note: str
    status: SessionStatus
    started_time: datetime
    ended_time: datetime | None
    start_value_usd: float
    end_value_usd: float | None
    max_drawdown_usd: float | None
    max_drawdown_percent: float | None


class SessionStore:
    """Sessions of one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def open(
        self, session_id: str, name: str, note: str, start_value_usd: float, now: datetime
    ) -> bool:
        """One new OPEN session; False when one is open."""
        values = {
            "id": session_id,
            "name": name,
            "note": note,
            "status": int(SessionStatus.OPEN),
            "started_time": now,
            "start_value_usd": start_value_usd,
        }
        statement = insert(session).values(values)
        statement = statement.on_conflict_do_nothing(
            index_elements=["status"], index_where=text("status = 1")
        )
        return (await self._connection.execute(statement)).rowcount == 1

    async def find(self, session_id: str, *, lock: bool = False) -> Kept | None:
        """One session; locked until commit when asked."""
        query = select(session).where(session.c.id == session_id)
        row = (
            await self._connection.execute(query.with_for_update() if lock else query)
        ).one_or_none()
        return None if row is None else _kept(row)

    async def page(
        self, page: PageRequest, status: SessionStatus | None, *, descending: bool
    ) -> list[Kept]:
        """In order of their start, one more than the page holds."""
        query: Select[Any] = select(session)
        if status is not None:
            query = query.where(session.c.status == int(status))
        way: Direction = "desc" if descending else "asc"
        query = apply(
            query, [(session.c.started_time, way), (session.c.id, way)], page.after, page.size
        )
        return [_kept(row) for row in await self._connection.execute(query)]

    async def end(self, ended: Session) -> None:
        """Keep the final figures."""
        await self._connection.execute(
            update(session)
            .where(session.c.id == ended.id)
            .values(
                status=int(SessionStatus.ENDED),
                ended_time=ended.ended_time,
                end_value_usd=ended.value_usd,
                max_drawdown_usd=ended.max_drawdown_usd,
                max_drawdown_percent=ended.max_drawdown_percent,
            )
        )

    async def values(self, start_time: datetime, end_time: datetime) -> Sequence[float]:
        """Total values of the snapshots of this time, in order, USD."""
        bounds = {"start_time": start_time, "end_time": end_time}
        found: Sequence[float] = (await self._connection.execute(_VALUES, bounds)).scalar_one()
        return found

    async def strategy(self) -> Strategy:
        """As stored."""
        row = (await self._connection.execute(select(strategy))).one_or_none()
        if row is None:
            return Strategy(None, "", None)
        return Strategy(row.start_value_usd, row.description, row.updated_time)

    async def keep_strategy(self, changed: Strategy, now: datetime) -> None:
        """Store start value and description."""
        values = {
            "start_value_usd": changed.start_value_usd,
            "description": changed.description,
            "updated_time": now,
        }
        statement = insert(strategy).values(strategy_key=1, **values)
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=["strategy_key"], set_=values)
        )


def _kept(row: Row[Any]) -> Kept:
    return Kept(**row._asdict() | {"status": SessionStatus(row.status)})
