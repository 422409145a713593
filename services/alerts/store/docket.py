"""The one row that writers lock and readers compare their image with. Knows no alert."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.tables import docket

_READ = select(docket)
_LOCK = _READ.with_for_update()
_GLANCE = text(
    "select docket.*, (select count(*) from outbox where sent_time is null) as waiting_count,"
    " coalesce((select hash from ledger order by sequence desc limit 1), '') as head_hash from docket"
)


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

    def with_changes(self, changes: Mapping[str, Any]) -> Docket:
        """As it is after these columns were written."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Glance:
    """The docket with what a summary needs beside the board."""

    docket: Docket
    waiting_count: int
    head_hash: bytes


_NAMES = [field.name for field in fields(Docket)]


def new_version() -> int:
    """A number no other version has."""
    return secrets.randbits(62)


class DocketStore:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def read(self) -> Docket:
        return Docket(*(await self._connection.execute(_READ)).one())

    async def lock(self) -> Docket:
        """The docket, held until the end of the transaction: one writer of alerts and ledger at a time."""
        return Docket(*(await self._connection.execute(_LOCK)).one())

    async def glance(self) -> Glance:
        row = (await self._connection.execute(_GLANCE)).one()._asdict()
        return Glance(
            Docket(**{name: row[name] for name in _NAMES}), row["waiting_count"], bytes(row["head_hash"])
        )

    async def change(self, **values: Any) -> None:
        await self._connection.execute(update(docket).values(**values))
