"""What the use cases need from outside: transactions and market prices."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from services.positions.enrichment.domain.enrichment import MarketPrice
from services.positions.store import Store

Begin = Callable[[], AbstractAsyncContextManager[Store]]


class Market(Protocol):
    """Where market prices come from."""

    async def read(self) -> Mapping[str, MarketPrice]:
        """Consensus prices by asset; empty when they cannot be read now, which stops nobody."""
        ...

    def remember(self, prices: Mapping[str, MarketPrice]) -> None:
        """What the last pass saw, before anything is read: what confirms a price outlives a
        restart.
        """
        ...

    def with_moves(self, prices: Mapping[str, MarketPrice]) -> Mapping[str, MarketPrice]:
        """The same prices with what is known now of each asset's past."""
        ...
