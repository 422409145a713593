"""Alerts as columns: all of them out, new ones in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from services.alerts.alerts.domain.alert_columns import ALERT_COLUMNS, AlertColumns, Column
from shared.database.bulk import copy_in, copy_out
from shared.database.statement import Statement
from shared.database.transaction import Transaction

_SPEC = {name: kind for name, (kind, _) in ALERT_COLUMNS.items()}
_LOAD = f"select {', '.join(_SPEC)} from alert order by alert_key"
_ASSETS = Statement("select name from asset order by asset_key")
_NEXT_EXPIRY = Statement(
    "select held_until_micros from alert where held_status <> 0 order by 1 limit 1"
)
_DELETE = Statement("delete from alert where alert_key = any(cast(:alert_keys as int8[]))")
_DELETE_SUBJECTS = Statement("delete from subject where subject_key <> 0")
_DELETE_ALL = Statement("delete from alert")
_NEW_ASSETS = Statement(
    "insert into asset (asset_key, name) select * from"
    " unnest(cast(:asset_keys as int4[]), cast(:names as text[])) as new (asset_key, name)"
)


class AlertStore:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def load(self) -> AlertColumns:
        """Every alert, without readings."""
        assets = [row["name"] for row in await self._transaction.fetch(_ASSETS)]
        return AlertColumns.of(assets, await copy_out(self._transaction, _LOAD, _SPEC))

    async def insert(self, columns: Mapping[str, Column]) -> None:
        await copy_in(self._transaction, "alert", columns)

    async def insert_assets(self, first_key: int, names: Sequence[str]) -> None:
        if names:
            keys = list(range(first_key, first_key + len(names)))
            await self._transaction.execute(_NEW_ASSETS, asset_keys=keys, names=list(names))

    async def next_expiry_micros(self) -> int | None:
        """When the first hold ends; None without one."""
        micros: int | None = await self._transaction.scalar(_NEXT_EXPIRY)
        return micros

    async def delete(self, alert_keys: Column) -> int:
        return await self._transaction.execute(_DELETE, alert_keys=np.asarray(alert_keys).tolist())

    async def delete_all(self) -> int:
        await self._transaction.execute(_DELETE_SUBJECTS)
        return await self._transaction.execute(_DELETE_ALL)
