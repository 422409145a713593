"""A wallet as people see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.positions.domain.venue_answer import Chain, WalletSyncState, WalletType

REAL_CHAINS: Final = frozenset({Chain.SOLANA, Chain.DYDX, Chain.ETHEREUM})


@dataclass(frozen=True, slots=True)
class Wallet:
    """`public_address` is checked against its chain; None in balance_usd = sum of positions."""

    name: str
    chain: Chain
    public_address: str
    image_path: str
    balance_native: float | None
    balance_usd: float | None
    tags: tuple[str, ...]
    active: bool
    type: WalletType
    created_time: datetime
    last_sync_time: datetime | None = None
    last_sync_state: WalletSyncState | None = None
    last_sync_reason: str = ""
    unwatched: tuple[str, ...] = ()  # parts of its account that are not read, in words

    def __repr__(self) -> str:
        # No address in a log or a traceback.
        return f"Wallet({self.name!r}, {self.chain.name})"


@dataclass(frozen=True, slots=True)
class WalletFilter:
    """Which wallets; empty = any."""

    chain: Chain | None = None
    type: WalletType | None = None
    active_only: bool = False
    tag: str = ""
