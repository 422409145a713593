"""What the use cases of supply need from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from services.withdrawals.assets.domain.settings import Asset, Wallet
from services.withdrawals.gains.domain.flows import FlowKind
from services.withdrawals.supply.domain.rows import FlowRow, SampleRow
from services.withdrawals.supply.domain.stored import StoredPrice, StoredRows
from services.withdrawals.supply.domain.venue import Held, Market, TransactionPage


class Venue(Protocol):
    """The lending venue. Every method raises Unavailable VENUE_UNAVAILABLE."""

    async def markets(self) -> Sequence[Market]:
        """Every market now."""

    async def held(self, addresses: Sequence[str]) -> Sequence[Held]:
        """What one wallet holds now, a row a market."""

    async def transactions(
        self, addresses: Sequence[str], start: datetime, end: datetime
    ) -> TransactionPage:
        """Those of one wallet of any type within a window, both ends included."""


class History(Protocol):
    """Rows that another program keeps, wallets by their address. Every method raises Unavailable
    and takes the time from `start` until before `end`.
    """

    def samples(
        self, asset: str, suffix: str, start: datetime, end: datetime
    ) -> AsyncIterator[StoredRows[SampleRow]]:
        """Samples of an asset under the name it has there, page by page; moments are whole."""

    async def flows(
        self, asset: str, suffix: str, kind: FlowKind, start: datetime, end: datetime
    ) -> StoredRows[FlowRow]:
        """Deposits or withdrawals."""

    async def prices(self, suffix: str, start: datetime, end: datetime) -> StoredRows[StoredPrice]:
        """Prices beside them."""


class Watched(Protocol):
    """What is watched, and whose."""

    async def watched(self) -> list[Asset]:
        """Every asset, else those of the demo."""

    async def named(self, name: str) -> Asset:
        """NotFound ASSET_NOT_FOUND."""

    async def every_wallet(self) -> list[Wallet]:
        """Those configured."""
