"""What people chose for monitors."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.monitor.domain.settings import Chosen
from services.monitor.tables import setting
from shared import rows
from shared.database.statement import Statement
from shared.database.transaction import Transaction

_LOCK = Statement("select pg_advisory_xact_lock(hashtext('monitor settings'))")


class SettingRows:
    """Settings by monitor."""

    _transaction: Transaction

    async def chosen(self, monitor: str) -> Chosen:
        """What was chosen, locked until the end of the transaction even when nothing was yet."""
        await self._transaction.execute(_LOCK)
        row = await self._transaction.first(select(setting).where(setting.c.monitor == monitor))
        return Chosen() if row is None else rows.read(Chosen, row)

    async def choose(self, monitor: str, chosen: Chosen) -> None:
        """Keep it."""
        values = asdict(chosen) | {"channels": list(chosen.channels)}
        await self._transaction.execute(
            upsert(setting)
            .values(monitor=monitor, **values)
            .on_conflict_do_update(index_elements=["monitor"], set_=values)
        )
