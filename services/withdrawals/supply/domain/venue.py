"""What a lending venue tells: markets, what a wallet holds, its transactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from services.withdrawals.gains.domain.flows import FlowKind

KINDS: Mapping[str, FlowKind] = {"SUPPLY": FlowKind.DEPOSIT, "WITHDRAW": FlowKind.WITHDRAWAL}
# The venue tells time in milliseconds; a shorter window cannot be asked for.
LEAST_WINDOW = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Market:
    """A market of the venue; None is not known. Tokens, USD a token, tokens a receipt token."""

    id: str
    display_name: str
    symbol: str
    price_usd: float | None = None
    liquidity_units: Decimal | None = None
    exchange_rate: float | None = None
    # Why nothing can be withdrawn there (frozen, delisting, private, batch expired); empty: it can.
    closed: str = ""
    minimum_units: Decimal | None = None
    withdraw_cap_units: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What a wallet holds in a market now, tokens."""

    market: str
    units: Decimal
    receipt_units: Decimal | None = None
    venue_yield_units: Decimal | None = None
    # Part of the supply that no loan needs; None: no loan.
    free_collateral_units: Decimal | None = None


@dataclass(frozen=True, slots=True)
class VenueTransaction:
    """One of any type. The market by id, else by its display name."""

    tx_id: str
    type: str
    market_id: str
    market_name: str
    time: datetime
    units: Decimal
    receipt_units: Decimal | None = None
    exchange_rate: float | None = None


@dataclass(frozen=True, slots=True)
class TransactionPage:
    """What a window gave, and how many there are in it."""

    transactions: Sequence[VenueTransaction]
    total_count: int
    refused: Sequence[str] = field(default_factory=tuple)

    @property
    def is_whole(self) -> bool:
        return len(self.transactions) + len(self.refused) >= self.total_count


def is_address(name: str) -> bool:
    """Whether a wallet's name is an address that the venue knows."""
    return name.startswith(("addr1", "addr_test1", "stake1", "stake_test1"))


def market_of(asset_symbol: str, markets: Sequence[Market]) -> Market | None:
    """The market of an asset's symbol; USDC and USDT may be found under WAN and the symbol."""
    wanted = asset_symbol.casefold()
    names = [wanted, f"wan{wanted}"] if wanted in {"usdc", "usdt"} else [wanted]
    for name in names:
        for market in markets:
            if name in {market.id.casefold(), market.symbol.casefold()}:
                return market
    return None


def market_id_of(transaction: VenueTransaction, markets: Sequence[Market]) -> str:
    """The market's id: as given, else by its exact display name; empty: not known."""
    if transaction.market_id:
        return transaction.market_id
    found = {market.id for market in markets if market.display_name == transaction.market_name}
    return found.pop() if len(found) == 1 else ""
