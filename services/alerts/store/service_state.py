"""The one row that writers change or lock, and that readers compare their snapshot with."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, fields

from shared import rows
from shared.database.statement import Statement
from shared.database.transaction import Transaction


@dataclass(frozen=True, slots=True)
class ServiceState:
    """See tables.service_state."""

    alert_version: int
    evaluation_version: int
    threshold_version: int
    rule_version: int
    membership_epoch: int
    created_threshold_version: int
    complete: bool
    cleared_epoch: int
    next_alert_key: int
    next_subject_key: int
    demo: bool
    next_rule_key: int
    acknowledged_sequence: int
    event_sequence: int
    fresh_only_until_micros: int
    tracked_assets: list[str]


@dataclass(frozen=True, slots=True)
class Glance:
    """The service state with what a summary needs beside the alerts."""

    service_state: ServiceState
    waiting_count: int
    head_hash: bytes


_NAMES = ", ".join(field.name for field in fields(ServiceState))
_READ = Statement(f"select {_NAMES} from service_state")
_LOCK = Statement(f"select {_NAMES} from service_state for update")
_GLANCE = Statement(
    f"select {_NAMES}, (select count(*) from outbox where sent_time is null and not noted)"
    " as waiting_count,"
    " coalesce((select hash from ledger order by sequence desc limit 1), '') as head_hash"
    " from service_state"
)
_ACKNOWLEDGED = Statement("update service_state set acknowledged_sequence = :sequence")


def new_version() -> int:
    """A number no other version has."""
    return secrets.randbits(62)


class ServiceStateStore:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def read(self) -> ServiceState:
        return await self._one(_READ)

    async def lock(self) -> ServiceState:
        """Held until the end of the transaction: nobody else writes alerts or ledger meanwhile."""
        return await self._one(_LOCK)

    async def glance(self) -> Glance:
        (row,) = await self._transaction.fetch(_GLANCE)
        return rows.read(Glance, row, service_state=rows.read(ServiceState, row))

    async def put_acknowledged_sequence(self, sequence: int) -> None:
        """How far acknowledgements were read."""
        await self._transaction.execute(_ACKNOWLEDGED, sequence=sequence)

    async def _one(self, statement: Statement) -> ServiceState:
        (row,) = await self._transaction.fetch(statement)
        return rows.read(ServiceState, row)
