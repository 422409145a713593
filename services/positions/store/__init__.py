"""All SQL of positions, split by noun; every part works in the one transaction it is given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar

from services.positions.accounts.store import AccountStore
from services.positions.events.store import EventStore
from services.positions.portfolio.store import PortfolioStore
from services.positions.sessions.store.brokers import BrokerStore
from services.positions.sessions.store.sessions import SessionStore
from services.positions.store.enrichment import EnrichmentStore
from services.positions.store.positions import PositionStore
from services.positions.store.retention import RetentionStore
from services.positions.sync.store.forced import ForcedStore
from services.positions.sync.store.quarantine import QuarantineStore
from services.positions.sync.store.sync_rows import SyncRowStore
from services.positions.touch_record.store import TouchStatementStore
from services.positions.wallets.store import WalletStore
from shared.database import fence
from shared.database.fence import Step
from shared.database.transaction import Transaction

P = TypeVar("P")
T = TypeVar("T")

__all__ = ["Store"]


class _Part(Generic[P]):
    """The SQL of a noun, made when it is first asked for: most transactions need one or two."""

    def __init__(self, kind: Callable[[Transaction], P]) -> None:
        self._kind = kind
        self._name = ""

    def __set_name__(self, owner: type[Store], name: str) -> None:
        self._name = name

    def __get__(self, store: Store, owner: type[Store]) -> P:
        made = self._kind(store.transaction)
        # From now on the attribute is there by itself.
        store.__dict__[self._name] = made
        return made


class Store:
    """Rows of one transaction."""

    accounts = _Part(AccountStore)
    brokers = _Part(BrokerStore)
    events = _Part(EventStore)
    forced = _Part(ForcedStore)
    enrichment = _Part(EnrichmentStore)
    portfolio = _Part(PortfolioStore)
    positions = _Part(PositionStore)
    quarantine = _Part(QuarantineStore)
    retention = _Part(RetentionStore)
    sessions = _Part(SessionStore)
    sync_rows = _Part(SyncRowStore)
    touches = _Part(TouchStatementStore)
    wallets = _Part(WalletStore)

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction

    async def enter(self, step: Step, kind: type[T]) -> T | None:
        """See shared.database.fence.enter."""
        return await fence.enter(self.transaction, step, kind)

    async def record(self, step: Step, kind: type[T], answer: T, now: datetime) -> None:
        """See shared.database.fence.record."""
        await fence.record(self.transaction, step, kind, answer, now)
