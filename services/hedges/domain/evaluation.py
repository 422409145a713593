"""A hedge's legs at prices: one numpy pass over a grid of price by leg; the scalar is the grid of
one row.

Refuses to know where legs and prices come from. NaN is absent; formulas: domain page, sections 2
and 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.hedges.domain.holdings import Floats, Legs, Truths
from shared.errors import InvalidArgument

FIGURE_LIMIT = 20_000


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Grids have a row per price and a column per leg, nets have one number per price; USD and
    tokens.

    A net with an absent member is absent: half a sum is no sum.
    """

    price_usd: Floats
    tokens: Floats
    delta_tokens: Floats
    pnl_usd: Floats
    value_usd: Floats
    delta_usd: Floats
    past_liquidation: Truths
    net_value_usd: Floats
    net_pnl_usd: Floats
    net_delta_tokens: Floats
    net_delta_usd: Floats
    imbalance_usd: Floats


def evaluate(legs: Legs, prices_usd: Floats) -> Evaluation:
    """`prices_usd` as made by `legs.at` or `legs.marks`."""
    side = legs.side.astype(np.float64)
    tokens = legs.tokens
    delta_tokens = side * tokens
    pnl = delta_tokens * (prices_usd - legs.entry_price_usd)
    value = legs.collateral_usd + pnl
    delta = delta_tokens * prices_usd
    with np.errstate(invalid="ignore"):
        past = side * (prices_usd - legs.liquidation_price_usd) <= 0
    return Evaluation(
        price_usd=_one_price(prices_usd),
        tokens=tokens,
        delta_tokens=delta_tokens,
        pnl_usd=pnl,
        value_usd=value,
        delta_usd=delta,
        past_liquidation=past,
        net_value_usd=value.sum(axis=1),
        net_pnl_usd=pnl.sum(axis=1),
        net_delta_tokens=np.full(len(prices_usd), delta_tokens.sum()),
        net_delta_usd=delta.sum(axis=1),
        imbalance_usd=(side * value).sum(axis=1),
    )


def check_count(price_count: int, leg_count: int) -> None:
    """InvalidArgument TOO_MANY_FIGURES when the answer would not fit a message."""
    if price_count * leg_count > FIGURE_LIMIT:
        most = FIGURE_LIMIT // leg_count
        raise InvalidArgument(
            "TOO_MANY_FIGURES",
            f"{price_count} prices for {leg_count} members; ask for at most {most}",
            fields={"at": f"at most {most} prices"},
        )


def _one_price(prices_usd: Floats) -> Floats:
    """The price of each row; NaN where the legs' own marks differ."""
    first = prices_usd[:, 0]
    return np.where((prices_usd == first[:, np.newaxis]).all(axis=1), first, np.nan)
