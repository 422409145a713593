"""All SQL of positions, split by noun; every part works in the one transaction it is given."""

from datetime import datetime
from typing import TypeVar

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

T = TypeVar("T")

__all__ = ["Store"]


class Store:
    """Rows of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self.accounts = AccountStore(transaction)
        self.brokers = BrokerStore(transaction)
        self.events = EventStore(transaction)
        self.forced = ForcedStore(transaction)
        self.enrichment = EnrichmentStore(transaction)
        self.portfolio = PortfolioStore(transaction)
        self.positions = PositionStore(transaction)
        self.quarantine = QuarantineStore(transaction)
        self.retention = RetentionStore(transaction)
        self.sessions = SessionStore(transaction)
        self.sync_rows = SyncRowStore(transaction)
        self.touches = TouchStatementStore(transaction)
        self.wallets = WalletStore(transaction)

    async def enter(self, step: Step, kind: type[T]) -> T | None:
        """See shared.database.fence.enter."""
        return await fence.enter(self._transaction, step, kind)

    async def record(self, step: Step, kind: type[T], answer: T, now: datetime) -> None:
        """See shared.database.fence.record."""
        await fence.record(self._transaction, step, kind, answer, now)
