"""When a venue's mark is the one that was seen before: one rule for who finds marks that stand
still and for who holds what is by them. Of numbers and of columns alike; USD per unit, NaN is none.
"""

from __future__ import annotations

from typing import Any, Final

# A mark that a venue states as value over size differs by less for each size.
_SAME_RATIO: Final = 1e-9
# How far the market moves while a mark stands still, and a mark that moved less has not followed.
FROZEN_MOVE_PERCENT: Final = 0.3
# How far from the market a mark may be.
AWAY_PERCENT: Final = 1.0
# Assets that are an index: a venue's coin of the same name is something else.
INDEXES: Final = frozenset({"SPX"})


def is_same(mark_usd: Any, other_usd: Any) -> Any:
    """Whether two marks are one."""
    return abs(mark_usd - other_usd) <= _SAME_RATIO * abs(other_usd)


def away_percent(one_usd: Any, from_usd: Any) -> Any:
    """How far one is from another, in percent of that; signed."""
    return (one_usd / from_usd - 1.0) * 100.0


def still_lags(frozen_usd: Any, mark_usd: Any, market_usd: Any) -> Any:
    """Whether a mark that stood still at `frozen_usd` and is `mark_usd` now moved a little only and
    is far from the market.
    """
    has_hardly_moved = abs(away_percent(mark_usd, frozen_usd)) < FROZEN_MOVE_PERCENT
    return has_hardly_moved & (abs(away_percent(mark_usd, market_usd)) > AWAY_PERCENT)
