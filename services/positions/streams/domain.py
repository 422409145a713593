"""From which move of a mark on a look is worth it. Pure."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.positions.enrichment.domain.enriched_frame import EnrichedFrame

# Of the way to the nearest liquidation price of an asset: who is near is looked at sooner.
NEAR_RATIO: Final = 0.25
# Marks tremble: a smaller move is none, however near liquidation is.
LEAST_PERCENT: Final = 0.05


class WatchedMark(NamedTuple):
    """A mark as it was last looked at, in USD, and the move from it that is news, in percent."""

    mark_usd: float
    limit_percent: float


def last_looks(
    frame: EnrichedFrame, move_percent: float
) -> Mapping[str, Mapping[str, WatchedMark]]:
    """By venue and asset the mark of the last pass, and the move from it that is news:
    `move_percent`, or a quarter of the smallest known distance to liquidation (percent) where that
    is less. Without a known mark there is none.
    """
    marks, distances = (
        np.asarray(frame.columns[name], np.float64)
        for name in ("mark_price_usd", "liquidation_distance_percent")
    )
    known = marks > 0
    width = max(len(frame.asset_names), 1)
    places = frame.columns["venue_index"].astype(np.int64) * width
    places = (places + frame.columns["asset_index"])[known]
    keys, first, inverse = np.unique(places, return_index=True, return_inverse=True)
    nearest: NDArray[np.float64] = np.full(len(keys), np.inf)
    near = np.nan_to_num(np.maximum(distances[known], 0.0), nan=np.inf)
    np.minimum.at(nearest, inverse, near)
    limits = np.clip(nearest * NEAR_RATIO, LEAST_PERCENT, max(move_percent, LEAST_PERCENT))
    found: dict[str, dict[str, WatchedMark]] = {}
    for key, mark, limit in zip(keys, marks[known][first], limits, strict=True):
        venue, asset = divmod(int(key), width)
        one = found.setdefault(frame.venue_names[venue], {})
        one[frame.asset_names[asset]] = WatchedMark(float(mark), float(limit))
    return found
