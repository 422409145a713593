"""Thresholds in and out."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sqlalchemy import Row, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.domain.kinds import AlertType, Condition
from services.alerts.store.annotations import bounded
from services.alerts.tables import service_state, threshold
from services.alerts.thresholds.domain import Scope, Threshold
from shared.database.keyset import apply
from shared.paging import PageRequest

_VALUES = [field.name for field in fields(Threshold) if field.name != "scope"]
_CHANNELS = ("low_channels", "medium_channels", "high_channels")


class ThresholdStore:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def all(self) -> list[Threshold]:
        return [_threshold(row) for row in await self._connection.execute(select(threshold))]

    async def get(self, id: str) -> Threshold | None:
        row = (
            await self._connection.execute(select(threshold).where(threshold.c.id == id))
        ).one_or_none()
        return None if row is None else _threshold(row)

    async def page(self, page: PageRequest) -> list[Threshold]:
        """By id, one more than the page holds."""
        query = apply(select(threshold), [(threshold.c.id, "asc")], page.after, page.size)
        return [_threshold(row) for row in await self._connection.execute(query)]

    async def write(self, row: Threshold) -> None:
        """Insert or replace; readers see by the service state that their rules are old."""
        values: dict[str, Any] = {name: getattr(row, name) for name in _VALUES}
        values |= {name: list(getattr(row, name)) for name in _CHANNELS}
        statement = insert(threshold).values(
            id=row.scope.id,
            type=row.scope.type,
            condition=row.scope.condition,
            asset=row.scope.asset,
            **values,
        )
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["id"], set_={name: statement.excluded[name] for name in _VALUES}
            )
        )
        await self._changed()

    async def delete(self, id: str) -> None:
        await self._connection.execute(delete(threshold).where(threshold.c.id == id))
        await self._changed()

    async def _changed(self) -> None:
        await self._connection.execute(
            update(service_state).values(threshold_version=service_state.c.threshold_version + 1)
        )


def _threshold(row: Row[Any]) -> Threshold:
    values = {name: getattr(row, name) for name in _VALUES}
    values |= {name: bounded(values[name]) for name in _CHANNELS}
    return Threshold(Scope(AlertType(row.type), Condition(row.condition), row.asset), **values)
