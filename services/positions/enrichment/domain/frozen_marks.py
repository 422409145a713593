"""Marks that stand still while the market moves: which positions are by one, and what the market
says of them instead.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.marks import is_same, still_lags

Column = NDArray[Any]


@dataclass(frozen=True, slots=True, order=True)
class FrozenMark:
    """A venue's mark of an asset, USD per unit, and since when it is what it is, in microseconds
    since 1970 UTC.
    """

    venue: str
    asset: str
    mark_price_usd: float
    since_micros: int


class FrozenTable:
    """Frozen marks by the keys of feeds and assets; made once a pass."""

    def __init__(
        self,
        marks: Iterable[FrozenMark],
        venues: Mapping[int, str],
        assets: Mapping[int, str],
    ) -> None:
        keys = {name: key for key, name in assets.items()}
        self._marks = [
            (
                np.array([key for key, venue in venues.items() if venue == one.venue], np.int64),
                keys[one.asset],
                one,
            )
            for one in marks
            if one.asset in keys
        ]

    def __bool__(self) -> bool:
        return bool(self._marks)

    def since_micros(
        self, feed_key: Column, asset_key: Column, mark_usd: Column, market_usd: Column
    ) -> Column:
        """Since when the mark of each row stands still; 0 where it does not. `market_usd`: usable
        prices, NaN = none. A row by another mark is not meant: it moved on, or is older; but one
        that moved a little, as far from the market as before.
        """
        since = np.zeros(len(feed_key), np.int64)
        for feeds, asset, one in self._marks:
            with np.errstate(all="ignore"):
                is_by_it = is_same(mark_usd, one.mark_price_usd) | still_lags(
                    one.mark_price_usd, mark_usd, market_usd
                )
            here = (asset_key == asset) & is_by_it
            since[here & np.isin(feed_key, feeds)] = one.since_micros
        return since


@dataclass(frozen=True, slots=True)
class FrozenRows:
    """Of the rows of a pass: since when the mark stands still (0: it moves), and the usable market
    price of those, USD per unit; NaN = none.
    """

    since_micros: Column
    price_usd: Column


NO_MARKS: Final[Sequence[FrozenMark]] = ()


def estimated_distance_percent(
    side_sign: Column, price_usd: Column, liquidation_usd: Column
) -> Column:
    """Distance to liquidation in percent of the market price; an ESTIMATE, NaN where unknown."""
    with np.errstate(all="ignore"):
        return np.asarray(100.0 * side_sign * (price_usd - liquidation_usd) / price_usd)
