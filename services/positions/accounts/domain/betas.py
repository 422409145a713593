"""How assets lately followed the leading one, from hourly closes. Pure."""

from dataclasses import dataclass, field
from math import isfinite
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEADING: Final = "BTC"
# Three weeks: one page of candles.
HOURS: Final = 500
# Of fewer returns nothing is concluded.
FEWEST: Final = 168


@dataclass(frozen=True, slots=True)
class HourlyCloses:
    """Closes of an asset, USD, > 0, by the hour (since 1970) that they end; hours ascend, some may
    be missing.
    """

    hour: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    close_usd: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def returns(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Log returns over one hour each, and the hours they end; none over a hole."""
        follows = np.flatnonzero(np.diff(self.hour) == 1) + 1
        logs = np.log(self.close_usd)
        return self.hour[follows], logs[follows] - logs[follows - 1]


def beta(asset: HourlyCloses, leading: HourlyCloses) -> float | None:
    """Covariance of the hourly returns of both over the variance of the leading one's: what the
    asset moved in percent for each percent of that, which is their correlation times the ratio of
    their volatilities. None of fewer than a week of hours that both have, or of a leading price
    that never moved.
    """
    hours, returns = asset.returns()
    leading_hours, leading_returns = leading.returns()
    _, at, leading_at = np.intersect1d(
        hours, leading_hours, assume_unique=True, return_indices=True
    )
    if len(at) < FEWEST:
        return None
    own, other = returns[at], leading_returns[leading_at]
    spread = other - other.mean()
    variance = float(spread @ spread)
    found = float(spread @ (own - own.mean())) / variance if variance > 0 else float("nan")
    return found if isfinite(found) else None
