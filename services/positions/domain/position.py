"""A position as people see it, and what may be entered by hand."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.positions.domain.venue_answer import Figures, Flag, Side, Status
from shared.errors import broken_rules
from shared.touch import TouchModel

VENUES: Final = ("jupiter", "dydx", "hyperliquid", "manual", "demo")
MANUAL: Final = "manual"
MAX_TEXT_LENGTH: Final = {"id": 128, "wallet": 64, "asset": 32, "note": 2000}
_PRICES = ("entry_price_usd", "liquidation_price_usd", "mark_price_usd")


@dataclass(frozen=True, slots=True)
class Inputs(Figures):
    """What is stored of a position."""

    id: str
    wallet: str
    venue: str
    asset: str
    side: Side
    status: Status
    first_seen_time: datetime
    last_seen_time: datetime
    mark_time: datetime | None
    updated_time: datetime
    flags: frozenset[Flag]
    note: str
    position_key: int


@dataclass(frozen=True, slots=True)
class Risk:
    """What the last pass found for a position; None = absent."""

    mark_price_usd: float | None = None
    mark_time: datetime | None = None
    market_price_usd: float | None = None
    risk_liquidation_price_usd: float | None = None
    pnl_usd: float | None = None
    value_usd: float | None = None
    leverage_ratio: float | None = None
    travel_percent: float | None = None
    liquidation_distance_usd: float | None = None
    liquidation_distance_percent: float | None = None
    heat_index: float | None = None
    liquidation_probability: float | None = None
    probability_model: TouchModel | None = None
    flags: frozenset[Flag] = frozenset()
    enriched_time: datetime | None = None
    estimated_liquidation_distance_percent: float | None = None
    mark_frozen_since_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Inputs and the risk of the last pass; None without a pass (CLOSED, INACTIVE)."""

    inputs: Inputs
    risk: Risk | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A position entered by hand. Empty id, wallet or venue are filled."""

    asset: str
    side: Side
    entry_price_usd: float | None
    size_usd: float | None
    collateral_usd: float | None
    liquidation_price_usd: float | None = None
    mark_price_usd: float | None = None
    id: str = ""
    wallet: str = ""
    venue: str = ""
    note: str = ""


def check_draft(draft: Draft) -> None:
    """InvalidArgument INVALID_FIELD naming every field that breaks its rule."""
    problems = {
        name: "more than 0" for name in _PRICES if not _positive_or_absent(getattr(draft, name))
    }
    problems |= {
        name: "needed"
        for name in ("entry_price_usd", "size_usd", "collateral_usd")
        if getattr(draft, name) is None
    }
    if draft.size_usd is not None and draft.size_usd <= 0:
        problems["size_usd"] = "more than 0"
    if draft.collateral_usd is not None and draft.collateral_usd < 0:
        problems["collateral_usd"] = "0 or more"
    if not draft.asset:
        problems["asset"] = "needed"
    problems |= {
        name: f"at most {limit} characters"
        for name, limit in MAX_TEXT_LENGTH.items()
        if len(getattr(draft, name)) > limit
    }
    if problems:
        raise broken_rules("position", problems)


def _positive_or_absent(value: float | None) -> bool:
    return value is None or value > 0
