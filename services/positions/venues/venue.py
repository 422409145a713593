"""What every venue offers: one wallet's positions as the venue states them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from services.positions.domain.venue_answer import Answer, Chain, WalletRef
from shared.clock import Clock
from shared.lifecycle import Part


class Venue(Protocol):
    """A place where positions live."""

    @property
    def name(self) -> str:
        """Word by which positions name their venue."""
        ...

    @property
    def chains(self) -> frozenset[Chain]:
        """Chains whose wallets are asked for here."""
        ...

    async def fetch(
        self, wallet: WalletRef, reference_prices: Mapping[str, float], now: datetime
    ) -> Answer:
        """One wallet's positions. `reference_prices` (USD by asset, independent of the venue) are
        the cross-check of units. Raises shared.http.ProviderFailure when there is no usable answer.
        """
        ...


@runtime_checkable
class TradeRecord(Protocol):
    """A venue that also tells how positions ended."""

    async def liquidations(self, wallet: WalletRef) -> Mapping[str, datetime]:
        """Time of the liquidation by position id, of those that ended so."""
        ...


@dataclass(frozen=True, slots=True)
class VenueContext:
    """What a venue is built from: the clock, and settings by their lower-case names."""

    clock: Clock
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Built:
    """A venue and the connections that must run for it, started before and stopped after it."""

    venue: Venue
    parts: tuple[Part, ...] = ()
