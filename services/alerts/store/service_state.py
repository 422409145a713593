"""The one row that writers lock and readers compare their image with. Knows no alert."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.tables import docket
from shared.database.engine import raw


@dataclass(frozen=True, slots=True)
class Docket:
    """See tables.docket."""

    id: int
    alert_version: int
    evaluation_version: int
    threshold_version: int
    membership_epoch: int
    created_threshold_version: int
    complete: bool
    cleared_epoch: int
    next_alert_key: int
    next_subject_key: int
    demo: bool
    next_rule_key: int
    heard_sequence: int
    tracked_assets: list[str]

    def with_changes(self, changes: Mapping[str, Any]) -> Docket:
        """As it is after these columns were written."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Glance:
    """The docket with what a summary needs beside the board."""

    docket: Docket
    waiting_count: int
    head_hash: bytes


_NAMES = ", ".join(field.name for field in fields(Docket))
_READ = f"select {_NAMES} from docket"
_LOCK = f"{_READ} for update"
GLANCE = (
    f"select {_NAMES}, (select count(*) from outbox where sent_time is null and not noted),"
    " coalesce((select hash from ledger order by sequence desc limit 1), '') from docket"
)


def new_version() -> int:
    """A number no other version has."""
    return secrets.randbits(62)


class DocketStore:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def read(self) -> Docket:
        return await self._one(_READ)

    async def lock(self) -> Docket:
        """The docket, held until the end of the transaction: one writer of alerts and ledger at a time."""
        return await self._one(_LOCK)

    async def change(self, **values: Any) -> None:
        await self._connection.execute(update(docket).values(**values))

    async def _one(self, sql: str) -> Docket:
        (row,) = await (await raw(self._connection)).fetch(sql)
        return Docket(*row)
