"""What a sync tells: its mode, and what became of each wallet."""

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from services.positions.domain.venue_answer import WalletSyncState


class Mode(IntEnum):
    """Whether positions are simulated or real; the numbers are those of the proto."""

    DEMO = 1
    LIVE = 2


@dataclass(frozen=True, slots=True)
class WalletSync:
    """Outcome of one wallet at one venue. `urgent`: readers must see it before the next pass of the
    cycle; `gone`: a position was missing in a complete answer; `unwatched`: parts of the account
    not read.
    """

    wallet: str
    venue: str
    state: WalletSyncState
    reason: str = ""
    message: str = ""
    row_count: int = 0
    refused_count: int = 0
    opened_count: int = 0
    changed_count: int = 0
    stale_count: int = 0
    closed_count: int = 0
    latency: timedelta = timedelta()
    urgent: bool = False
    gone: bool = False
    unwatched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SyncResult:
    """Answer of SyncPositions."""

    wallets: tuple[WalletSync, ...]
    refused_count: int
    active_count: int
    stale_count: int
    failed_count: int
    mode: Mode
