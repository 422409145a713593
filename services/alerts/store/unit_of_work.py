"""Rows of alerts in and out; the only SQL of this service."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.alerts.store.alerts import AlertStore
from services.alerts.alerts.store.evaluations import EvaluationStore
from services.alerts.alerts.store.subjects import SubjectStore
from services.alerts.ledger.store.entries import LedgerStore
from services.alerts.ledger.store.statistics import StatisticStore
from services.alerts.notifications.store import OutboxStore
from services.alerts.price_rules.store import RuleStore
from services.alerts.store.annotations import AnnotationStore
from services.alerts.store.service_state import ServiceStateStore
from services.alerts.thresholds.store import ThresholdStore
from shared.database import fence
from shared.database.fence import Step

T = TypeVar("T")


class Store:
    """Everything of one transaction, by noun."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.service_state = ServiceStateStore(connection)
        self.alerts = AlertStore(connection)
        self.subjects = SubjectStore(connection)
        self.evaluations = EvaluationStore(connection)
        self.thresholds = ThresholdStore(connection)
        self.ledger = LedgerStore(connection)
        self.outbox = OutboxStore(connection)
        self.annotations = AnnotationStore(connection)
        self.rules = RuleStore(connection)
        self.statistics = StatisticStore(connection)

    async def hurry(self) -> None:
        """Do not wait for the disk: what this transaction writes comes again with the next
        cycle."""
        await self._connection.exec_driver_sql("set local synchronous_commit = off")

    async def enter(self, step: Step, kind: type[T]) -> T | None:
        """See shared.database.fence.enter."""
        return await fence.enter(self._connection, step, kind)

    async def record(self, step: Step, kind: type[T], answer: T, now: datetime) -> None:
        """See shared.database.fence.record."""
        await fence.record(self._connection, step, kind, answer, now)
