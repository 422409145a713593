"""What it takes to bring the liquidation price a wanted distance away: collateral to add, or size
to cut.

Pure: arrays in, arrays out (the scalar is the vector of length one); NaN is absent. Formulas:
providers page.
"""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from services.positions.risk.domain.liquidation import (
    JUPITER_BASE_FEE_BPS,
    JUPITER_DEFAULT_IMPACT_SCALAR,
    JUPITER_MAX_LEVERAGE_RATIO,
    Numbers,
    Reading,
    jupiter_close_fee_bps,
    jupiter_impact_scalar,
)
from shared.errors import invalid

MET_TOLERANCE_PERCENT: Final = 1e-9


class Finding(IntEnum):
    """What comes of asking for a distance; the numbers are those of the proto."""

    ALREADY_MET = 1  # the amount is 0
    ADVISED = 2
    CANNOT_BE_MET = 3  # no amount does it
    CANNOT_JUDGE = 4  # side, price, liquidation price or a term of the venue is absent


ASSUMPTIONS: Final = {
    "jupiter": "Jupiter's formula: the close fee follows the size; entry, borrow fee and "
    "collateral stay.",
    "dydx": "Margin formula: the subaccount's other positions keep price and size; no trading "
    "fees.",
    "hyperliquid": "Margin formula: the account's other positions keep price and size; no trading "
    "fees.",
    "": "Linear: each USD of collateral moves the liquidation price by entry / size; no fees or "
    "maintenance.",
}


@dataclass(frozen=True, slots=True)
class AdviceInput:
    """A position to be advised on; None = absent. `liquidation_price_usd` is the one that drives
    the risk, `maintenance_ratio` of dYdX and Hyperliquid (VenueTerms).
    """

    venue: str
    asset: str
    side_sign: float
    entry_price_usd: float | None
    size_usd: float | None
    collateral_usd: float | None
    price_usd: float | None
    liquidation_price_usd: float | None
    maintenance_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Advice:
    """Either remedy alone reaches the distance; each with its finding, None unless it is known.

    `wanted_liquidation_price_usd`: USD per unit, > 0, None when the distance leaves no such price.
    `size_to_cut_usd` is of the size at entry, at most all of it. `assumption` says in a sentence
    what the figures rest on.
    """

    wanted_distance_percent: float
    wanted_liquidation_price_usd: float | None
    collateral_to_add_usd: float | None
    add_finding: Finding
    size_to_cut_usd: float | None
    cut_finding: Finding
    assumption: str


def wanted_liquidation_price(
    side_sign: Reading, price_usd: Reading, wanted_percent: Reading
) -> Numbers:
    """USD per unit at a signed distance of `wanted_percent` of the price; absent if not > 0."""
    with np.errstate(invalid="ignore"):
        price = np.asarray(price_usd, np.float64) * (
            1.0 - np.asarray(side_sign) * wanted_percent / 100.0
        )
        return np.asarray(np.where(price > 0, price, np.nan), np.float64)


def jupiter_lasting_usd(
    side_sign: Reading, entry_price_usd: Reading, size_usd: Reading, liquidation_price_usd: Reading
) -> Numbers:
    """Loss at which the position is liquidated, USD: collateral less fees and what must be left."""
    size = np.asarray(size_usd, np.float64)
    with np.errstate(all="ignore"):
        way = np.asarray(entry_price_usd, np.float64) - liquidation_price_usd
        return np.asarray(side_sign * size * way / entry_price_usd, np.float64)


def jupiter_top_up(
    side_sign: Reading,
    entry_price_usd: Reading,
    size_usd: Reading,
    collateral_usd: Reading,
    borrow_fee_usd: Reading,
    wanted_liquidation_price_usd: Reading,
    impact_scalar: Reading = JUPITER_DEFAULT_IMPACT_SCALAR,
) -> Numbers:
    """Collateral to add, USD; <= 0 when liquidation is that far already."""
    size = np.asarray(size_usd, np.float64)
    lasting = jupiter_lasting_usd(side_sign, entry_price_usd, size, wanted_liquidation_price_usd)
    close_fee = size * jupiter_close_fee_bps(size, impact_scalar) / 1e4
    needed = lasting + close_fee + borrow_fee_usd + size / JUPITER_MAX_LEVERAGE_RATIO
    return np.asarray(needed - collateral_usd, np.float64)


def jupiter_largest_size(
    side_sign: Reading,
    entry_price_usd: Reading,
    collateral_usd: Reading,
    borrow_fee_usd: Reading,
    wanted_liquidation_price_usd: Reading,
    impact_scalar: Reading = JUPITER_DEFAULT_IMPACT_SCALAR,
) -> Numbers:
    """Largest size that this collateral keeps the wanted price away from, USD at entry; 0 when
    none.

    The close fee steps up by whole basis points. Where the exact size would fall into a step, the
    size just before it is the answer, and liquidation lies a little further than wanted.
    """
    with np.errstate(all="ignore"):
        entry = np.asarray(entry_price_usd, np.float64)
        budget = 1e4 * (np.asarray(collateral_usd, np.float64) - borrow_fee_usd)
        step = np.asarray(impact_scalar, np.float64) / 1e10  # USD of size per basis point of impact
        # In basis points of the size, before impact: S * (slope + ceil(S / step)) <= budget.
        way = side_sign * (entry - wanted_liquidation_price_usd) / entry
        slope = 1e4 * way + 1e4 / JUPITER_MAX_LEVERAGE_RATIO + JUPITER_BASE_FEE_BPS
        # Without the ceiling it is a quadratic, whose root is larger by less than one step.
        root = np.sqrt(slope * slope + 4.0 * budget / step)
        smooth = np.where(slope > 0, 2.0 * budget / (slope + root), step * (root - slope) / 2.0)
        last = np.maximum(np.ceil(smooth / step), 1.0)
        best = np.zeros(np.broadcast(slope, budget, step).shape)
        for back in range(3):
            bps = last - back
            # A slope that is not > 0 lets the whole step pass.
            exact = np.where(slope + bps > 0, budget / (slope + bps), np.inf)
            size = np.minimum(exact, bps * step)
            best = np.where((bps >= 1) & (size > (bps - 1) * step), np.maximum(best, size), best)
        known = np.isfinite(slope) & np.isfinite(budget)
        return np.asarray(np.where(known, np.where(budget > 0, best, 0.0), np.nan), np.float64)


def margin_available(
    side_sign: Reading,
    price_usd: Reading,
    base_units: Reading,
    liquidation_price_usd: Reading,
    maintenance_ratio: Reading = 0.0,
) -> Numbers:
    """USD above the maintenance margin that lie between a price and a liquidation price.

    The formulas of dYdX and Hyperliquid are one: `P - L = side * available / (|base| * (1 - side *
    ratio))`. `base_units` > 0; a ratio of 0 is the linear case.
    """
    with np.errstate(all="ignore"):
        distance = side_sign * (np.asarray(price_usd, np.float64) - liquidation_price_usd)
        keep = 1.0 - np.asarray(side_sign, np.float64) * maintenance_ratio
        return np.asarray(distance * base_units * keep, np.float64)


def margin_top_up(
    side_sign: Reading,
    price_usd: Reading,
    base_units: Reading,
    available_usd: Reading,
    wanted_percent: Reading,
    maintenance_ratio: Reading = 0.0,
) -> Numbers:
    """Collateral to add, USD; <= 0 when it is that far; absent when no price lies there."""
    wanted = wanted_liquidation_price(side_sign, price_usd, wanted_percent)
    return (
        margin_available(side_sign, price_usd, base_units, wanted, maintenance_ratio)
        - available_usd
    )


def margin_largest_base(
    side_sign: Reading,
    price_usd: Reading,
    base_units: Reading,
    available_usd: Reading,
    wanted_percent: Reading,
    maintenance_ratio: Reading = 0.0,
) -> Numbers:
    """Largest position in base units that the equity left after closing the rest at `price_usd`
    keeps away from liquidation by the wanted percent; 0 when none; absent when no price lies there.
    """
    with np.errstate(all="ignore"):
        price = np.asarray(price_usd, np.float64)
        ratio = np.asarray(maintenance_ratio, np.float64)
        wanted = wanted_liquidation_price(side_sign, price, wanted_percent)
        # Closing frees the maintenance margin of what is closed.
        free = available_usd + np.asarray(base_units, np.float64) * price * ratio
        per_unit = price * ratio + margin_available(side_sign, price, 1.0, wanted, ratio)
        return np.asarray(
            np.where(np.isnan(per_unit), np.nan, np.maximum(free / per_unit, 0.0)), np.float64
        )


def advise(advice_input: AdviceInput, wanted_distance_percent: float) -> Advice:
    """Both remedies for one position. Raises INVALID_FIELD when the wanted distance is not > 0.

    Venues without a formula of their own (manual, demo) are taken as linear.
    """
    if not 0 < wanted_distance_percent < math.inf:
        problem = "a percent more than 0"
        field = "wanted_distance_percent"
        raise invalid(field, problem, f"{field} is {problem}")
    side, entry, size, price, liquidation = _known(advice_input)
    wanted = float(wanted_liquidation_price(side, price, wanted_distance_percent))
    to_add, kept = math.nan, math.nan
    if advice_input.venue == "jupiter":
        to_add, kept = _jupiter(advice_input, wanted)
    elif (
        advice_input.venue not in ("dydx", "hyperliquid")
        or advice_input.maintenance_ratio is not None
    ):
        base, ratio = size / entry, advice_input.maintenance_ratio or 0.0
        available = margin_available(side, price, base, liquidation, ratio)
        terms = (side, price, base, available, wanted_distance_percent, ratio)
        to_add, kept = float(margin_top_up(*terms)), float(margin_largest_base(*terms)) * entry
    unmeant = abs(side) == 1 and price > 0 and math.isnan(wanted)
    distance = 100.0 * side * (price - liquidation) / price
    met = distance >= wanted_distance_percent - MET_TOLERANCE_PERCENT
    add, add_finding = _found(to_add, met=met, possible=not unmeant)
    cut, cut_finding = _found(size - kept, met=met, possible=not unmeant and not kept <= 0)
    return Advice(
        wanted_distance_percent=wanted_distance_percent,
        wanted_liquidation_price_usd=None if math.isnan(wanted) else wanted,
        collateral_to_add_usd=add,
        add_finding=add_finding,
        size_to_cut_usd=cut,
        cut_finding=cut_finding,
        assumption=ASSUMPTIONS.get(advice_input.venue, ASSUMPTIONS[""]),
    )


def _known(advice_input: AdviceInput) -> tuple[float, float, float, float, float]:
    numbers = (
        advice_input.entry_price_usd,
        advice_input.size_usd,
        advice_input.price_usd,
        advice_input.liquidation_price_usd,
    )
    entry, size, price, liquidation = (
        math.nan if one is None or one <= 0 else one for one in numbers
    )
    return advice_input.side_sign or math.nan, entry, size, price, liquidation


def _jupiter(advice_input: AdviceInput, wanted: float) -> tuple[float, float]:
    """Collateral to add and the largest size. What the fees are is taken from the liquidation price
    that drives the risk, so that the advice holds where the venue's and our own differ.
    """
    side, entry, size, _, liquidation = _known(advice_input)
    collateral = math.nan if advice_input.collateral_usd is None else advice_input.collateral_usd
    scalar = jupiter_impact_scalar(advice_input.asset)
    # The fee at which the top-up for the present price is 0.
    borrow = -float(jupiter_top_up(side, entry, size, collateral, 0.0, liquidation, scalar))
    to_add = float(jupiter_top_up(side, entry, size, collateral, borrow, wanted, scalar))
    return to_add, float(jupiter_largest_size(side, entry, collateral, borrow, wanted, scalar))


def _found(amount: float, *, met: bool, possible: bool) -> tuple[float | None, Finding]:
    if met:
        return 0.0, Finding.ALREADY_MET
    if not possible:
        return None, Finding.CANNOT_BE_MET
    if math.isnan(amount):
        return None, Finding.CANNOT_JUDGE
    return max(amount, 0.0), Finding.ADVISED
