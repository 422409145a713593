"""Flows: what was put into and taken out of a supply position."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from services.withdrawals.gains.domain.exact import exact_micros
from shared.errors import invalid


class FlowKind(StrEnum):
    """Which way tokens went."""

    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"


class FlowSource(StrEnum):
    """Who told of a flow."""

    SYNC = "SYNC"
    IMPORT = "IMPORT"
    HAND = "HAND"


class Holding(NamedTuple):
    """A supply position: one wallet (one or more addresses) in one market."""

    wallet: str
    market: str


class FlowIdentity(NamedTuple):
    """What makes two rows one flow: the whole transaction id, market, wallet and kind."""

    tx_id: str
    market: str
    wallet: str
    kind: FlowKind


@dataclass(frozen=True, slots=True)
class Flow:
    """One deposit or withdrawal of one holding. `units`: tokens, > 0, the kind says the way.

    `receipt_units` (> 0, receipt tokens minted or burnt) and `exchange_rate` (> 0, tokens a receipt
    token) are None where not told. InvalidArgument: a naive time, an amount not above 0.
    """

    kind: FlowKind
    holding: Holding
    tx_id: str
    time: datetime
    units: Decimal
    note: str = ""
    source: FlowSource = FlowSource.SYNC
    receipt_units: Decimal | None = None
    exchange_rate: Decimal | None = None

    def __post_init__(self) -> None:
        exact_micros(self.time, "flow.time")
        for name in ("units", "receipt_units", "exchange_rate"):
            amount: Decimal | None = getattr(self, name)
            if amount is not None and not (amount.is_finite() and amount > 0):
                raise invalid(f"flow.{name}", "a number above 0")

    @property
    def identity(self) -> FlowIdentity:
        return FlowIdentity(self.tx_id, self.holding.market, self.holding.wallet, self.kind)

    @property
    def time_micros(self) -> int:
        return exact_micros(self.time)

    @property
    def sign(self) -> int:
        """+1 for a deposit, -1 for a withdrawal."""
        return 1 if self.kind is FlowKind.DEPOSIT else -1
