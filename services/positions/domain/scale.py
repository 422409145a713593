"""The check of scale: a figure a factor over 20 from where it should be is in another unit."""

import numpy as np
from numpy.typing import NDArray

# Further from an independent price than any market moves within a position's life.
SCALE_FACTOR_LIMIT = 20.0


def off_scale(price_usd: float | None, reference_usd: float | None) -> bool:
    """Whether a price lies a factor over 20 from an independent one; unknown prices do not."""
    if price_usd is None or reference_usd is None:
        return False
    return not 1 / SCALE_FACTOR_LIMIT <= price_usd / reference_usd <= SCALE_FACTOR_LIMIT


def off_scale_rows(
    prices_usd: NDArray[np.float64], references_usd: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """The same over columns; NaN is unknown."""
    with np.errstate(all="ignore"):
        ratio = prices_usd / references_usd
        far = (ratio < 1 / SCALE_FACTOR_LIMIT) | (ratio > SCALE_FACTOR_LIMIT)
    return np.asarray(far, np.bool_)
