"""Rows of brokers."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.positions.sessions.domain import Broker
from services.positions.tables import broker
from shared.database.keyset import Direction, Ordering, apply
from shared.paging import PageRequest

ORDERS: Mapping[str, ColumnElement[Any]] = {
    "name": broker.c.name,
    "updated_time": broker.c.updated_time,
}


class BrokerStore:
    """Brokers of one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def create(self, fresh: Broker) -> bool:
        """One new broker; False when the name is taken."""
        statement = (
            insert(broker).values(asdict(fresh)).on_conflict_do_nothing(index_elements=["name"])
        )
        return (await self._connection.execute(statement)).rowcount == 1

    async def find(self, name: str) -> Broker | None:
        """One broker by name, locked until commit."""
        query = select(broker).where(broker.c.name == name).with_for_update()
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else Broker(**row._asdict())

    async def page(self, page: PageRequest, order: str, *, descending: bool) -> list[Broker]:
        """In order, one more than the page holds."""
        way: Direction = "desc" if descending else "asc"
        ordering: Ordering = [(broker.c.name, way)]
        if order != "name":
            ordering = [(ORDERS[order], way), *ordering]
        query: Select[Any] = apply(select(broker), ordering, page.after, page.size)
        return [Broker(**row._asdict()) for row in await self._connection.execute(query)]

    async def change(self, name: str, values: Mapping[str, object]) -> None:
        """Set columns of one broker."""
        await self._connection.execute(update(broker).where(broker.c.name == name).values(**values))

    async def delete(self, name: str) -> bool:
        """Remove one; False when there is none."""
        return (
            await self._connection.execute(delete(broker).where(broker.c.name == name))
        ).rowcount == 1

    async def total(self) -> tuple[float, int]:
        """Sum of what is held, USD, and how many do not say."""
        held = broker.c.total_holding_usd
        query = select(func.coalesce(func.sum(held), 0.0), func.count().filter(held.is_(None)))
        total, absent = (await self._connection.execute(query)).one()
        return float(total), int(absent)
