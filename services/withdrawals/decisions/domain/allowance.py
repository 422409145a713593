"""How much one holding may withdraw without touching principal, and which limit says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from services.withdrawals.gains.domain.exact import EXACT, UnitScale
from services.withdrawals.gains.domain.flows import Holding


class Limit(StrEnum):
    """What an allowance may be limited by."""

    GAIN = "GAIN"
    POSITION = "POSITION"
    COLLATERAL = "COLLATERAL"
    LIQUIDITY = "LIQUIDITY"
    VENUE_CAP = "VENUE_CAP"
    CAP = "CAP"


class TakenRule(StrEnum):
    """Whether what was withdrawn since the reference is used up."""

    ALL = "ALL"
    # The first tool's rule: every evaluation allows its share of the gain anew.
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class KnownLimits:
    """Limits in tokens besides gain and position, >= 0; None: not known, or there is none.

    `collateral_units`: what is free where the supply backs a loan.
    """

    collateral_units: Decimal | None = None
    liquidity_units: Decimal | None = None
    venue_cap_units: Decimal | None = None
    cap_units: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Allowance:
    """Tokens, >= 0, and the smallest limits. `limits`: every known limit before clamping at 0.

    `gain_share_units` is c * g, `taken_units` what of it is used up.
    """

    units: Decimal
    binding: tuple[Limit, ...]
    gain_share_units: Decimal
    taken_units: Decimal
    limits: tuple[tuple[Limit, Decimal], ...]


@dataclass(frozen=True, slots=True)
class HoldingAllowance:
    """The allowance of a holding; None: its gain is not known. `is_open`: it can be withdrawn now
    (above 0, market open, at least the minimum, more than the fees).
    """

    holding: Holding
    allowance: Allowance | None = None
    units_usd: Decimal | None = None
    is_open: bool = False


def allowance_of(
    gain_units: Decimal,
    taken_units: Decimal,
    position_units: Decimal,
    pending_withdrawal_units: Decimal,
    known: KnownLimits,
    *,
    safety_factor: Decimal,
    taken_rule: TakenRule,
    scale: UnitScale,
) -> Allowance:
    """max(0, min(c * g - taken, position - pending, collateral, liquidity, venue's cap, cap)).

    Rounded down to whole smallest units; `safety_factor` in (0, 1].
    """
    share = EXACT.multiply(safety_factor, gain_units)
    taken = taken_units if taken_rule is TakenRule.ALL else Decimal(0)
    limits: list[tuple[Limit, Decimal | None]] = [
        (Limit.GAIN, share - taken),
        (Limit.POSITION, position_units - pending_withdrawal_units),
        (Limit.COLLATERAL, known.collateral_units),
        (Limit.LIQUIDITY, known.liquidity_units),
        (Limit.VENUE_CAP, known.venue_cap_units),
        (Limit.CAP, known.cap_units),
    ]
    present = tuple((limit, units) for limit, units in limits if units is not None)
    smallest = min(units for _, units in present)
    return Allowance(
        scale.rounded_down(max(Decimal(0), smallest)),
        tuple(limit for limit, units in present if units == smallest),
        share,
        taken,
        present,
    )


def total_units(
    allowances: Sequence[HoldingAllowance], liquidity_units: dict[str, Decimal]
) -> Decimal | None:
    """The asset's allowance in tokens: the sum over holdings; None where one is not known.

    Holdings of one market draw on one pool: together at most its liquidity, where that is known.
    """
    by_market: dict[str, Decimal] = {}
    for one in allowances:
        if one.allowance is None:
            return None
        market = one.holding.market
        by_market[market] = by_market.get(market, Decimal(0)) + one.allowance.units
    return sum(
        (min(units, liquidity_units.get(name, units)) for name, units in by_market.items()),
        Decimal(0),
    )
