"""From which move of a mark on a look is worth it. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.positions.enrichment.domain.enriched_frame import EnrichedFrame

# Of the way to the nearest liquidation price of an asset: who is near is looked at sooner.
NEAR_RATIO: Final = 0.25
# Marks tremble: a smaller move is none, however near liquidation is.
LEAST_PERCENT: Final = 0.05


class WatchedMark(NamedTuple):
    """A mark as it was last looked at, in USD, the move from it that is news, in percent, and when
    it was observed.
    """

    mark_usd: float
    limit_percent: float
    mark_time_micros: int


Looks = Mapping[str, Mapping[str, WatchedMark]]
NO_LOOKS: Final[Looks] = MappingProxyType({})


def last_looks(frame: EnrichedFrame, move_percent: float, before: Looks = NO_LOOKS) -> Looks:
    """By venue and asset the freshest mark of the last pass, and the move from it that is news:
    `move_percent`, or a quarter of the smallest known distance to liquidation (percent) where that
    is less. Without a known mark there is none.

    Stale rows are no look. Where an asset has no others, the look `before` stays; was there none,
    its mark is at least what a first move is measured from.
    """
    marks, distances = (
        np.asarray(frame.columns[name], np.float64)
        for name in ("mark_price_usd", "liquidation_distance_percent")
    )
    known = marks > 0
    times, stale = frame.columns["mark_time_micros"][known], frame.columns["stale"][known]
    width = max(len(frame.asset_names), 1)
    places = frame.columns["venue_index"].astype(np.int64) * width
    places = (places + frame.columns["asset_index"])[known]
    keys, first, inverse = np.unique(places, return_index=True, return_inverse=True)
    nearest: NDArray[np.float64] = np.full(len(keys), np.inf)
    near = np.nan_to_num(np.maximum(distances[known], 0.0), nan=np.inf)
    np.minimum.at(nearest, inverse, np.where(stale, np.inf, near))
    limits = np.clip(nearest * NEAR_RATIO, LEAST_PERCENT, max(move_percent, LEAST_PERCENT))
    found: dict[str, dict[str, WatchedMark]] = {}
    # Of each place the row that was observed last; a stale one only when all are.
    seen = np.where(stale, -1, times)
    latest = seen[first]
    np.maximum.at(latest, inverse, seen)
    fresh = np.flatnonzero(seen == latest[inverse])
    freshest = first.copy()
    freshest[inverse[fresh]] = fresh
    rows = (marks[known][freshest], limits, times[freshest], stale[freshest])
    for key, mark, limit, time, is_stale in zip(keys, *(row.tolist() for row in rows), strict=True):
        venue_index, asset_index = divmod(int(key), width)
        venue, asset = frame.venue_names[venue_index], frame.asset_names[asset_index]
        kept = before.get(venue, {}).get(asset) if is_stale else None
        found.setdefault(venue, {})[asset] = kept or WatchedMark(mark, limit, time)
    return found
