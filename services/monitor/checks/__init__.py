"""The checks. A new one is a file here and a line in the registry.

A check reads through `Readings` and returns a Finding; it writes nothing and sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from services.monitor.domain import Finding, Level


@dataclass(frozen=True, slots=True)
class PriceReading:
    """One tracked asset: quality word and age; None = no price known."""

    asset: str
    quality: str
    price_usd: float | None
    age_seconds: float | None


@dataclass(frozen=True, slots=True)
class WalletReading:
    """One active wallet: outcome word of its last fetch and the reason."""

    name: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class HoldingsReading:
    """Counts and sums over what is held; USD."""

    position_count: int
    stale_count: int
    total_profit_usd: float
    total_pnl_usd: float
    wallets: tuple[WalletReading, ...] = ()


@dataclass(frozen=True, slots=True)
class JudgedReading:
    """What was judged of one metric: the worst level, its value and subject; stale readings among them."""

    kind: str
    scope: str
    level: Level
    worst_value: float | None
    worst_asset: str
    alert_count: int
    stale_count: int
    worst_by_asset: Mapping[str, float] = field(default_factory=dict)


class Readings(Protocol):
    """What others know. Within one pass each is asked once; outside a cycle it is refreshed first."""

    async def prices(self) -> tuple[PriceReading, ...]: ...

    async def holdings(self) -> HoldingsReading: ...

    async def judged(self) -> tuple[JudgedReading, ...]: ...


class Check(Protocol):
    """One named check; `every_cycle` ones run in every cycle, the others when their interval has passed."""

    name: str
    description: str
    interval: timedelta
    every_cycle: bool

    async def run(self, readings: Readings, now: datetime) -> Finding:
        """Look, and say what was found; whatever it raises becomes an ERROR row."""


def registry() -> dict[str, Check]:
    """Every check by name."""
    from services.monitor.checks.liquidation import LiquidationCheck
    from services.monitor.checks.position import PositionCheck
    from services.monitor.checks.price import PriceCheck
    from services.monitor.checks.profit import ProfitCheck
    from services.monitor.checks.risk import RiskCheck

    found: list[Check] = [PriceCheck(), PositionCheck(), ProfitCheck(), RiskCheck(), LiquidationCheck()]
    return {check.name: check for check in found}


def metric(judged: tuple[JudgedReading, ...], kind: str, scope: str = "POSITION") -> JudgedReading | None:
    """The reading of one metric, None when it has no alert."""
    return next((reading for reading in judged if (reading.kind, reading.scope) == (kind, scope)), None)
