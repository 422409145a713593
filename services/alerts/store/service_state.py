"""The one row that writers lock and readers compare their snapshot with."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.tables import service_state
from shared.database.engine import raw


@dataclass(frozen=True, slots=True)
class ServiceState:
    """See tables.service_state."""

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
    acknowledged_sequence: int
    tracked_assets: list[str]

    def with_changes(self, changes: Mapping[str, Any]) -> ServiceState:
        """As it is after these columns were written."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Glance:
    """The service state with what a summary needs beside the alerts."""

    service_state: ServiceState
    waiting_count: int
    head_hash: bytes


_NAMES = ", ".join(field.name for field in fields(ServiceState))
_READ = f"select {_NAMES} from service_state"
_LOCK = f"{_READ} for update"
GLANCE = (
    f"select {_NAMES}, (select count(*) from outbox where sent_time is null and not noted),"
    " coalesce((select hash from ledger order by sequence desc limit 1), '') from service_state"
)


def new_version() -> int:
    """A number no other version has."""
    return secrets.randbits(62)


class ServiceStateStore:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def read(self) -> ServiceState:
        return await self._one(_READ)

    async def lock(self) -> ServiceState:
        """Held until the end of the transaction: one writer of alerts and ledger at a time."""
        return await self._one(_LOCK)

    async def change(self, **values: Any) -> None:
        await self._connection.execute(update(service_state).values(**values))

    async def _one(self, sql: str) -> ServiceState:
        (row,) = await (await raw(self._connection)).fetch(sql)
        return ServiceState(*row)
