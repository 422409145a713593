"""What the use cases of supply need from outside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.withdrawals.assets.domain.settings import Asset, Wallet
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


class Watched(Protocol):
    """What is watched, and whose."""

    async def watched(self) -> list[Asset]:
        """Every asset, else those of the demo."""

    async def named(self, name: str) -> Asset:
        """NotFound ASSET_NOT_FOUND."""

    async def every_wallet(self) -> list[Wallet]:
        """Those configured."""
