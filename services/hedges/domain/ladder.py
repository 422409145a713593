"""Between which prices no leg liquidates, and what is lost and left beyond, step by step to the
last leg.

A long liquidates as the price falls, a short as it rises. Pure, on columns; NaN is absent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.hedges.domain.holdings import LONG, SHORT, Floats, Integers, Legs


@dataclass(frozen=True, slots=True)
class Ladder:
    """One element per step, in the order the price meets them; sums with an absent member are NaN.

    `rows` are the legs of each step, `distance_percent` is > 0 ahead of the reference price.
    "naked" and "remaining" are of the legs left after the step, those of no liquidation price among
    them.
    """

    rows: tuple[tuple[int, ...], ...]
    price_usd: Floats
    distance_percent: Floats
    forfeited_collateral_usd: Floats
    forfeited_value_usd: Floats
    total_forfeited_collateral_usd: Floats
    naked_delta_tokens: Floats
    naked_delta_usd: Floats
    remaining_long_size_usd: Floats
    remaining_short_size_usd: Floats
    remaining_value_usd: Floats
    remaining_leg_count: Integers


def reference_price(legs: Legs) -> float:
    """The median of the legs' marks; NaN without one."""
    known = legs.mark_price_usd[legs.mark_price_usd > 0]
    return float(np.median(known)) if len(known) else float("nan")


def down(legs: Legs, reference_price_usd: float) -> Ladder:
    """As the price falls, long after long."""
    return _ladder(legs, LONG, reference_price_usd)


def up(legs: Legs, reference_price_usd: float) -> Ladder:
    """As the price rises, short after short."""
    return _ladder(legs, SHORT, reference_price_usd)


def unjudged(legs: Legs) -> list[str]:
    """Members whose liquidation price is not known; a spot balance has none."""
    missing = np.flatnonzero(~(legs.liquidation_price_usd > 0)).tolist()
    return [legs.position_ids[row] for row in missing if not legs.is_spot(row)]


def _ladder(legs: Legs, side: int, reference_price_usd: float) -> Ladder:
    falls = (legs.side == side) & (legs.liquidation_price_usd > 0)
    # Times the side, the first price met is the largest whatever the direction.
    ranked, step = np.unique(-side * legs.liquidation_price_usd[falls], return_inverse=True)
    prices = -side * ranked
    count = len(prices)
    place = np.full(len(legs), count)
    place[falls] = step
    hit = place == np.arange(count)[:, np.newaxis]
    left = place > np.arange(count)[:, np.newaxis]
    delta_tokens = legs.side * legs.tokens
    value = legs.collateral_usd + delta_tokens * (prices[:, np.newaxis] - legs.entry_price_usd)
    forfeited = _sum(hit, legs.collateral_usd)
    naked = _sum(left, delta_tokens)
    return Ladder(
        rows=tuple(tuple(np.flatnonzero(row).tolist()) for row in hit),
        price_usd=prices,
        distance_percent=100.0 * side * (reference_price_usd - prices) / reference_price_usd,
        forfeited_collateral_usd=forfeited,
        forfeited_value_usd=_sum(hit, value),
        total_forfeited_collateral_usd=np.cumsum(forfeited),
        naked_delta_tokens=naked,
        naked_delta_usd=naked * prices,
        remaining_long_size_usd=_sum(left & (legs.side == LONG), legs.size_usd),
        remaining_short_size_usd=_sum(left & (legs.side == SHORT), legs.size_usd),
        remaining_value_usd=_sum(left, value),
        remaining_leg_count=left.sum(axis=1).astype(np.int64),
    )


def _sum(chosen: np.typing.NDArray[np.bool_], values: Floats) -> Floats:
    """Sum over the chosen legs by step; NaN when one of them is absent."""
    total: Floats = np.where(chosen, values, 0.0).sum(axis=1)
    return total
