"""Thresholds in and out."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from services.alerts.store.annotations import bounded
from services.alerts.tables import threshold
from services.alerts.thresholds.domain import CHANNELS, Scope, Threshold
from shared import rows
from shared.database.keyset import apply
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

_VALUES = [field.name for field in fields(Threshold) if field.name != "scope"]
_KEY = ("id", "type", "condition", "asset")
_ALL = Statement(select(threshold))
_ONE = Statement(select(threshold).where(threshold.c.id == bindparam("id")))
_DELETE = Statement(delete(threshold).where(threshold.c.id == bindparam("id")))
_INSERT = insert(threshold)
_WRITE = Statement(
    _INSERT.on_conflict_do_update(
        index_elements=["id"], set_={name: _INSERT.excluded[name] for name in _VALUES}
    ),
    [*_KEY, *_VALUES],
)


class ThresholdStore:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def all(self) -> list[Threshold]:
        return [_threshold(row) for row in await self._transaction.fetch(_ALL)]

    async def get(self, id: str) -> Threshold | None:
        row = await self._transaction.first(_ONE, id=id)
        return None if row is None else _threshold(row)

    async def page(self, page: PageRequest) -> list[Threshold]:
        """By id, one more than the page holds."""
        query = apply(select(threshold), [(threshold.c.id, "asc")], page.after, page.size)
        return [_threshold(row) for row in await self._transaction.fetch(query)]

    async def write(self, row: Threshold) -> None:
        """Insert or replace."""
        scope = row.scope
        values: dict[str, Any] = {name: getattr(row, name) for name in _VALUES}
        values |= {name: list(getattr(row, name)) for name in CHANNELS}
        await self._transaction.execute(
            _WRITE,
            id=scope.id,
            type=scope.type,
            condition=scope.condition,
            asset=scope.asset,
            **values,
        )

    async def delete(self, id: str) -> None:
        await self._transaction.execute(_DELETE, id=id)


def _threshold(row: Row) -> Threshold:
    channels = {name: bounded(row[name]) for name in CHANNELS}
    return rows.read(Threshold, row, scope=rows.read(Scope, row), **channels)
