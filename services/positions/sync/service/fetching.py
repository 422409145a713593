"""What sync asks of a place where positions live."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol, runtime_checkable

from services.positions.domain.venue_answer import Answer, Chain, WalletRef


class VenuePort(Protocol):
    """A place where positions live; see services.positions.venues."""

    @property
    def name(self) -> str: ...

    @property
    def chains(self) -> frozenset[Chain]: ...

    async def fetch(
        self, wallet: WalletRef, reference_prices: Mapping[str, float], now: datetime
    ) -> Answer: ...


@runtime_checkable
class TradeRecord(Protocol):
    """A venue that also tells how positions ended."""

    async def liquidations(self, wallet: WalletRef) -> Mapping[str, datetime]:
        """Time of the liquidation by position id, of those that ended so."""
        ...
