"""The prices of a stretch, thinned so that a picture shows them: no extreme is lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.alerts.backtest.domain.candles import Candles, Floats, Integers

MOST_ROWS = 600


@dataclass(frozen=True, slots=True)
class Strip:
    """Rows in order of time: end of the last candle of each, its lowest, highest, last price."""

    end_seconds: Integers
    low_usd: Floats
    high_usd: Floats
    close_usd: Floats


def strip(candles: Candles, first: int, last: int) -> Strip:
    """Candles `first` to `last`, as few neighbours joined as fit into MOST_ROWS."""
    count = last - first + 1
    width = -(-count // MOST_ROWS)
    begins = np.arange(first, last + 1, width)
    ends = np.minimum(begins + width, last + 1) - 1
    part = slice(0, last + 1)
    return Strip(
        candles.end_seconds[ends],
        np.minimum.reduceat(candles.low_usd[part], begins),
        np.maximum.reduceat(candles.high_usd[part], begins),
        candles.close_usd[ends],
    )
