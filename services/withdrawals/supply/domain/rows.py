"""Rows of supply as they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import NamedTuple

from services.withdrawals.gains.domain.exact import UnitScale, decimal_of
from services.withdrawals.gains.domain.flows import Flow, FlowKind, Holding

# The tokens count in millionths, and so are samples kept.
SCALE = UnitScale(6)
# Everything that is simulated is of this market, and nothing else is.
DEMO_MARKET = "DEMO"


class RowSource(IntEnum):
    """Where a row came from, by the number of the schema."""

    SYNC = 1
    IMPORT = 2
    HAND = 3
    GREPTIME = 4
    DEMO = 5


@dataclass(frozen=True, slots=True)
class FlowRow:
    """A deposit or withdrawal: tokens, > 0. `key` 0: not stored yet."""

    asset: str
    wallet: str
    market: str
    tx_id: str
    kind: FlowKind
    units: Decimal
    flow_time: datetime
    note: str = ""
    source: RowSource = RowSource.HAND
    receipt_units: Decimal | None = None
    exchange_rate: float | None = None
    created_time: datetime | None = None
    key: int = 0

    @property
    def id(self) -> str:
        return f"flow-{self.key}"

    @property
    def flow(self) -> Flow:
        """As gains see it."""
        return Flow(
            kind=self.kind,
            holding=Holding(self.wallet, self.market),
            tx_id=self.tx_id,
            time=self.flow_time,
            units=self.units,
            note=self.note,
            receipt_units=self.receipt_units,
            exchange_rate=None if self.exchange_rate is None else decimal_of(self.exchange_rate),
        )


@dataclass(frozen=True, slots=True)
class SampleRow:
    """What a wallet held in a market at a moment, tokens."""

    asset: str
    wallet: str
    market: str
    sample_time: datetime
    units: Decimal
    price_usd: float | None = None
    receipt_units: Decimal | None = None
    exchange_rate: float | None = None
    source: RowSource = RowSource.IMPORT
    # USD an ADA.
    ada_usd: float | None = None


@dataclass(frozen=True, slots=True)
class ReferenceRow:
    """A moment from which gains are counted anew; no wallet: of all."""

    asset: str
    wallet: str
    reference_time: datetime
    tx_id: str = ""
    note: str = ""
    actor: str = ""
    created_time: datetime | None = None
    key: int = 0

    @property
    def id(self) -> str:
        return f"ref-{self.key}"


@dataclass(frozen=True, slots=True)
class FlowFilter:
    """Which flows; empty or None: any."""

    asset: str = ""
    wallet: str = ""
    kind: FlowKind | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None


class Cursor(NamedTuple):
    """The span of the venue's transactions that was read of a wallet without a failure."""

    wallet: str
    since_time: datetime
    until_time: datetime
    # Whether any transaction was told, of whatever kind; None: of older spans nobody knows.
    is_seen: bool | None = None
    # Assets whose market the venue did not list then: what they have in it was left.
    passed_over: tuple[str, ...] = ()


def key_of(id: str, prefix: str) -> int:
    """The number of an id like flow-1; 0 for what is none."""
    head, _, number = id.partition("-")
    is_number = head == prefix and number.isascii() and number.isdecimal() and len(number) < 19
    return int(number) if is_number else 0


def shown_wallet(name: str) -> str:
    """A wallet's name as it may stand in a message: an address that serves as one is cut."""
    return name if len(name) <= 24 else f"{name[:11]}...{name[-6:]}"
