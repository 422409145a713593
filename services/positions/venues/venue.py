"""What every venue offers: one wallet's positions as the venue states them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from services.positions.domain.venue_answer import Answer, Chain, ForcedTrade, WalletRef
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
class Parted(Protocol):
    """A venue whose accounts have parts, dexes or subaccounts; an asset of a dex is named
    `dex:asset`, the id of a position names its subaccount after the address.
    """

    @property
    def asks_parts(self) -> bool:
        """Whether it looks at the parts that a WalletRef names."""
        ...


@runtime_checkable
class TradeRecord(Protocol):
    """A venue that also tells which trades it made by itself."""

    @property
    def forces_parts(self) -> bool:
        """Whether it may take a part of a position, so that one which shrank is asked about."""
        ...

    async def forced_trades(
        self, wallet: WalletRef, position_ids: Sequence[str], since: datetime
    ) -> Sequence[ForcedTrade]:
        """Liquidations and auto-deleveragings since then; of other positions than these there may
        be some, too. Raises ProviderFailure.
        """
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
