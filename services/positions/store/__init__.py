"""All SQL of positions, split by noun; every part works in the one transaction it is given."""

from datetime import datetime
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from services.positions.portfolio.store import PortfolioStore
from services.positions.sessions.store.brokers import BrokerStore
from services.positions.sessions.store.sessions import SessionStore
from services.positions.store.enrichment import EnrichmentStore
from services.positions.store.positions import PositionStore
from services.positions.store.retention import RetentionStore
from services.positions.sync.store.quarantine import QuarantineStore
from services.positions.sync.store.sync_rows import SyncRowStore
from services.positions.wallets.store import WalletStore
from shared.database import fence
from shared.database.fence import Step

T = TypeVar("T")

__all__ = ["Store"]


class Store:
    """Rows of one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.brokers = BrokerStore(connection)
        self.enrichment = EnrichmentStore(connection)
        self.portfolio = PortfolioStore(connection)
        self.positions = PositionStore(connection)
        self.quarantine = QuarantineStore(connection)
        self.retention = RetentionStore(connection)
        self.sessions = SessionStore(connection)
        self.sync_rows = SyncRowStore(connection)
        self.wallets = WalletStore(connection)

    async def enter(self, step: Step, kind: type[T]) -> T | None:
        """See shared.database.fence.enter."""
        return await fence.enter(self._connection, step, kind)

    async def record(self, step: Step, kind: type[T], answer: T, now: datetime) -> None:
        """See shared.database.fence.record."""
        await fence.record(self._connection, step, kind, answer, now)
