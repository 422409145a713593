"""What a decision is made from besides gains: markets, prices, the gate's result, settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from services.withdrawals.decisions.domain.allowance import TakenRule
from services.withdrawals.decisions.domain.reasons import Reason
from services.withdrawals.gains.domain.exact import SIX_DECIMALS, UnitScale
from services.withdrawals.gains.domain.flows import Holding
from services.withdrawals.gate.domain.gate import GateResult
from services.withdrawals.prices.domain import PriceComparison
from shared.errors import broken_rules

DEFAULT_STALE_AGE = timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class MarketTerms:
    """A market at the time of the decision; tokens, None where not known.

    `closed`: why nothing can be withdrawn there (frozen, delisting, private, batch expired); empty:
    it can.
    """

    closed: str = ""
    liquidity_units: Decimal | None = None
    venue_cap_units: Decimal | None = None
    minimum_units: Decimal | None = None


class GateMode(StrEnum):
    """What the residual gate does to a decision."""

    ANOMALY_GUARD = "ANOMALY_GUARD"
    OPPORTUNITY = "OPPORTUNITY"
    OFF = "OFF"


@dataclass(frozen=True, slots=True)
class HoldingFailure:
    """A holding that could not be evaluated: NO_DATA or INTERNAL, and a sentence without its
    address.
    """

    holding: Holding
    reason: Reason = Reason.INTERNAL
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DecisionRules:
    """Settings of an asset. InvalidArgument where one breaks its bounds.

    `safety_factor` c in (0, 1]; `cap_units`, `fee_units` (batching and wallet fee of one
    withdrawal, in tokens) and ratios >= 0; `peg_usd` > 0. `stale_age`: how old the newest sample
    may be. `is_gated`: whether the gate is asked for this asset.
    """

    safety_factor: Decimal = Decimal("0.5")
    cap_units: Decimal | None = None
    fee_units: Decimal | None = None
    taken: TakenRule = TakenRule.ALL
    hold_on_aggregate_loss: bool = True
    gate_mode: GateMode = GateMode.ANOMALY_GUARD
    is_gated: bool = True
    peg_usd: Decimal = Decimal(1)
    depeg_ratio: Decimal = Decimal("0.02")
    stale_age: timedelta = DEFAULT_STALE_AGE
    scale: UnitScale = SIX_DECIMALS

    def __post_init__(self) -> None:
        problems = {}
        for name in ("safety_factor", "cap_units", "fee_units", "peg_usd", "depeg_ratio"):
            amount: Decimal | None = getattr(self, name)
            if amount is not None and not (amount.is_finite() and amount >= 0):
                problems[name] = "a number, at least 0"
            elif amount == 0 and name in {"safety_factor", "peg_usd"}:
                problems[name] = "above 0"
        if "safety_factor" not in problems and self.safety_factor > 1:
            problems["safety_factor"] = "at most 1"
        if self.stale_age <= timedelta(0):
            problems["stale_age"] = "above 0"
        if problems:
            raise broken_rules("decision", problems)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What was known of the world at `as_of`.

    `price_usd`: the chosen source's price; None: that of the newest sample is used, where it is not
    older than `sample_price_since`. `collateral_units`: free tokens by holding, only where its
    supply backs a loan. `gate` and `prices` None: not asked.
    """

    as_of: datetime
    is_resolved: bool = True
    price_usd: Decimal | None = None
    sample_price_since: datetime | None = None
    markets: Mapping[str, MarketTerms] = field(default_factory=dict)
    collateral_units: Mapping[Holding, Decimal] = field(default_factory=dict)
    gate: GateResult | None = None
    prices: PriceComparison | None = None
    failures: tuple[HoldingFailure, ...] = ()
    # Of wallets of which the venue, asked now and of all times, knows nothing.
    never_seen: tuple[Holding, ...] = ()
