"""Rows of brokers."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from services.positions.sessions.domain import Broker
from services.positions.tables import broker
from shared import rows
from shared.database.keyset import Direction, Ordering, apply
from shared.database.statement import Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

ORDERS: Mapping[str, ColumnElement[Any]] = {
    "name": broker.c.name,
    "updated_time": broker.c.updated_time,
}
_TOTAL = Statement(
    "select coalesce(sum(total_holding_usd), 0.0) as total,"
    " count(*) filter (where total_holding_usd is null) as absent from broker"
)


class BrokerStore:
    """Brokers of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def create(self, fresh: Broker) -> bool:
        """One new broker; False when the name is taken."""
        statement = insert(broker).on_conflict_do_nothing(index_elements=["name"])
        return await self._transaction.execute(statement, **asdict(fresh)) == 1

    async def find(self, name: str) -> Broker | None:
        """One broker by name, locked until commit."""
        query = select(broker).where(broker.c.name == name).with_for_update()
        row = await self._transaction.first(query)
        return None if row is None else rows.read(Broker, row)

    async def page(self, page: PageRequest, order: str, *, descending: bool) -> list[Broker]:
        """In order, one more than the page holds."""
        way: Direction = "desc" if descending else "asc"
        ordering: Ordering = [(broker.c.name, way)]
        if order != "name":
            ordering = [(ORDERS[order], way), *ordering]
        query = apply(select(broker), ordering, page.after, page.size)
        return [rows.read(Broker, row) for row in await self._transaction.fetch(query)]

    async def change(self, name: str, values: Mapping[str, object]) -> None:
        """Set columns of one broker."""
        statement = update(broker).where(broker.c.name == name).values(**values)
        await self._transaction.execute(statement)

    async def delete(self, name: str) -> bool:
        """Remove one; False when there is none."""
        return await self._transaction.execute(delete(broker).where(broker.c.name == name)) == 1

    async def total(self) -> tuple[float, int]:
        """Sum of what is held, USD, and how many do not say."""
        (row,) = await self._transaction.fetch(_TOTAL)
        return row["total"], row["absent"]
