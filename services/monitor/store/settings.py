"""What people chose for monitors."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.monitor.domain.settings import Chosen
from services.monitor.store.check_runs import read_chosen
from services.monitor.tables import setting


class SettingRows:
    """Settings by monitor."""

    _connection: AsyncConnection

    async def chosen(self, monitor: str) -> Chosen:
        """What was chosen, locked until the end of the transaction even when nothing was yet."""
        await self._connection.exec_driver_sql(
            "select pg_advisory_xact_lock(hashtext('monitor settings'))"
        )
        rows = await self._connection.execute(select(setting).where(setting.c.monitor == monitor))
        row = rows.mappings().one_or_none()
        return Chosen() if row is None else read_chosen(row)

    async def choose(self, monitor: str, chosen: Chosen) -> None:
        """Keep it."""
        level = chosen.notification_level
        values: dict[str, Any] = asdict(chosen) | {
            "channels": list(chosen.channels),
            "notification_level": None if level is None else level.value,
        }
        statement = upsert(setting).values(monitor=monitor, **values)
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=["monitor"], set_=values)
        )
