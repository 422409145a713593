"""Which positions are asked for, and whether what is entered by hand can be meant: the check of
scale that a venue's answer passes too.

What is a factor over 20 off has a wrong unit or a lost decimal sign.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from services.positions.domain.scale import SCALE_FACTOR_LIMIT, off_scale
from services.positions.domain.venue_answer import Side, Status
from services.positions.enrichment.domain.enrichment import MarketPrice
from shared.errors import InvalidArgument

# What is held against the market and against each other.
MEASURED = frozenset({"entry_price_usd", "mark_price_usd", "size_usd", "collateral_usd"})
# No venue lends more than 500 times the collateral.
_HIGHEST_LEVERAGE = 500.0


@dataclass(frozen=True, slots=True)
class Filter:
    """Which positions; empty = any."""

    wallet: str = ""
    venue: str = ""
    asset: str = ""
    side: Side | None = None
    statuses: Sequence[Status] = (Status.ACTIVE, Status.STALE)


NEAREST = "liquidation_distance_percent"
# By the same figure, but what cannot be judged stands before what can: it may be the worst.
WORST = "worst"


@dataclass(frozen=True, slots=True)
class Ordered:
    """By which field, and whether the largest comes first; absent figures are last either way, but
    first of WORST.
    """

    field: str = "id"
    descending: bool = False


@dataclass(frozen=True, slots=True)
class FigureOrder:
    """Places of positions in an order by a figure, ascending; NaN = absent. `is_whole`: of all."""

    position_keys: NDArray[np.int64]
    places: NDArray[np.float64]
    is_whole: bool = True

    @classmethod
    def of(cls, columns: Mapping[str, NDArray[Any]], order: Ordered) -> "FigureOrder":
        """By the figures of a pass; those that are no longer judged at all have no place."""
        values = columns[NEAREST if order.field == WORST else order.field]
        places = -values if order.descending else values
        if order.field == WORST and not order.descending:
            places = np.where(np.isnan(values), -np.inf, values)
        return cls(columns["position_key"], places)

    def next(self, after: object, count: int) -> "FigureOrder":
        """Those that stand at or behind the place `after` (None: at the start): so many, and all
        that share the last one's place.
        """
        start = after if isinstance(after, float | int) else -np.inf
        ahead = np.flatnonzero(self.places >= start)
        if len(ahead) > count:
            bound = np.partition(self.places[ahead], count)[count]
            ahead = ahead[self.places[ahead] <= bound]
        return FigureOrder(self.position_keys[ahead], self.places[ahead], is_whole=False)


class Measured(Protocol):
    """FigureOrder of a position by hand, USD; None = absent."""

    @property
    def entry_price_usd(self) -> float | None: ...

    @property
    def mark_price_usd(self) -> float | None: ...

    @property
    def size_usd(self) -> float | None: ...

    @property
    def collateral_usd(self) -> float | None: ...


def leverage_problem(size_usd: float, collateral_usd: float) -> str:
    """What is wrong with a size beside its collateral, both USD; empty when nothing is known."""
    if collateral_usd <= 0:
        return ""
    if size_usd * SCALE_FACTOR_LIMIT < collateral_usd:
        return (
            "The size is less than a twentieth of the collateral; if it is in coins, name it "
            "size_tokens."
        )
    if size_usd > _HIGHEST_LEVERAGE * SCALE_FACTOR_LIMIT * collateral_usd:
        return "The size is more than 10,000 times the collateral; both are in USD."
    return ""


def price_problems(
    prices_usd: Mapping[str, float | None], market_price_usd: float | None
) -> dict[str, str]:
    """What is wrong with prices by field, beside the market's; what is not known is not wrong."""
    if market_price_usd is None:
        return {}
    return {
        field: f"a factor over {SCALE_FACTOR_LIMIT:g} from the market price; check decimal sign "
        "and asset"
        for field, price_usd in prices_usd.items()
        if off_scale(price_usd, market_price_usd)
    }


def check_plausible(terms: Measured, market: MarketPrice | None) -> None:
    """InvalidArgument IMPLAUSIBLE naming each field that cannot be meant. `market`: if known."""
    prices = {name: getattr(terms, name) for name in ("entry_price_usd", "mark_price_usd")}
    problems = price_problems(prices, market_price_usd(market))
    if terms.size_usd is not None and terms.collateral_usd is not None:
        problem = leverage_problem(terms.size_usd, terms.collateral_usd)
        problems |= {"size_usd": problem} if problem else {}
    if problems:
        listed = "; ".join(f"{field}: {problem}" for field, problem in problems.items())
        fields = {f"position.{field}": problem for field, problem in problems.items()}
        raise InvalidArgument(
            "IMPLAUSIBLE", f"position cannot be meant like this: {listed}", fields=fields
        )


def market_price_usd(market: MarketPrice | None) -> float | None:
    """A market price to compare with; one that is only kept for show is none."""
    return market.price_usd if market is not None and market.usable else None
