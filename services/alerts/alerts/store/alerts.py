"""Alerts as columns: whole boards out, new and changed rows in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.alerts.domain.alert_columns import ALERT_COLUMNS, AlertColumns, Column
from shared.database.bulk import copy_in, copy_out

_SPEC = {name: kind for name, (kind, _) in ALERT_COLUMNS.items()}
_LOAD = f"select {', '.join(_SPEC)} from alert order by alert_key"
_CHANGING = {
    "level": "int2",
    "previous_level": "int2",
    "notified_level": "int2",
    "kept_level": "int2",
    "notified_micros": "int8",
    "incident_count": "int4",
    "trigger_count": "int4",
    "last_triggered_micros": "int8",
}


def _update(columns: Mapping[str, str]) -> TextClause:
    return text(
        f"update alert set {', '.join(f'{name} = new.{name}' for name in columns)}"
        " from unnest(cast(:alert_key as int8[]),"
        f" {', '.join(f'cast(:{name} as {kind}[])' for name, kind in columns.items())})"
        f" as new (alert_key, {', '.join(columns)}) where alert.alert_key = new.alert_key"
    )


_UPDATE = _update(_CHANGING)
# Above this many rows they come by COPY, into a table that is empty again after the transaction.
_COPY_ROWS = 1000
_CHANGES = (
    "create temporary table if not exists changed_level (alert_key int8 not null,"
    f" {', '.join(f'{name} {kind} not null' for name, kind in _CHANGING.items())}) on commit"
    " delete rows"
)
_UPDATE_COPIED = (
    f"update alert set {', '.join(f'{name} = new.{name}' for name in _CHANGING)}"
    " from changed_level as new where alert.alert_key = new.alert_key"
)
# What only people, and the end of what they asked for, change.
_BY_HAND = {
    "kind": "int2",
    "starting_value": "float8",
    "trigger_value": "float8",
    "cooldown_seconds": "int4",
    "held_status": "int2",
    "held_level": "int2",
    "held_until_micros": "int8",
    "trait_bits": "int2",
    "revision": "int4",
}
_UPDATE_BY_HAND = _update(_BY_HAND)
_NEXT_EXPIRY = text("select held_until_micros from alert where held_status <> 0 order by 1 limit 1")
_DELETE = text("delete from alert where alert_key = any(cast(:alert_keys as int8[]))")
_NEW_ASSETS = text(
    "insert into asset (asset_key, name) select * from"
    " unnest(cast(:asset_keys as int4[]), cast(:names as text[])) as new (asset_key, name)"
)


class AlertStore:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def load(self) -> AlertColumns:
        """Every alert, without readings."""
        names = await self._connection.exec_driver_sql("select name from asset order by asset_key")
        assets = [row[0] for row in names]
        return AlertColumns.of(assets, await copy_out(self._connection, _LOAD, _SPEC))

    async def insert(self, columns: Mapping[str, Column]) -> None:
        await copy_in(self._connection, "alert", columns)

    async def insert_assets(self, first_key: int, names: Sequence[str]) -> None:
        if names:
            keys = list(range(first_key, first_key + len(names)))
            await self._connection.execute(_NEW_ASSETS, {"asset_keys": keys, "names": list(names)})

    async def update(self, alert_columns: AlertColumns, rows: Column) -> None:
        """Write what a change of level changes, of these rows of the alerts."""
        columns = {name: getattr(alert_columns, name)[rows] for name in ("alert_key", *_CHANGING)}
        if len(rows) > _COPY_ROWS:
            await self._connection.exec_driver_sql(_CHANGES)
            await copy_in(self._connection, "changed_level", columns)
            await self._connection.exec_driver_sql(_UPDATE_COPIED)
        else:
            values = {name: column.tolist() for name, column in columns.items()}
            await self._connection.execute(_UPDATE, values)

    async def update_by_hand(self, alert_columns: AlertColumns, rows: Column) -> None:
        """Write what people set, of these rows of the alerts."""
        if len(rows):
            values = {name: getattr(alert_columns, name)[rows].tolist() for name in _BY_HAND}
            keys = alert_columns.alert_key[rows].tolist()
            await self._connection.execute(_UPDATE_BY_HAND, {"alert_key": keys, **values})

    async def next_expiry_micros(self) -> int | None:
        """When the first hold ends; None without one."""
        return (await self._connection.execute(_NEXT_EXPIRY)).scalar_one_or_none()

    async def delete(self, alert_keys: Column) -> int:
        keys = np.asarray(alert_keys).tolist()
        return (await self._connection.execute(_DELETE, {"alert_keys": keys})).rowcount

    async def delete_all(self) -> int:
        await self._connection.exec_driver_sql("delete from subject where subject_key <> 0")
        return (await self._connection.exec_driver_sql("delete from alert")).rowcount
