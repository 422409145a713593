"""Candles of one asset, and the paths that are walked over them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgument

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# More candles over all paths are refused for the memory they need, more of them times sets for
# the seconds.
MOST_PATH_LOOKS = 1_500_000
MOST_LOOKS = 12_000_000


class Side(IntEnum):
    LONG = 1
    SHORT = 2

    @property
    def sign(self) -> float:
        return 1.0 if self is Side.LONG else -1.0


@dataclass(frozen=True, slots=True)
class Candles:
    """Candles in rising order of `start_seconds` since 1970 UTC; prices in USD, > 0."""

    start_seconds: Integers
    high_usd: Floats
    low_usd: Floats
    close_usd: Floats

    def __len__(self) -> int:
        return len(self.start_seconds)

    @property
    def cadence_seconds(self) -> int:
        """How long most of them last: how often the backtest looks."""
        return int(np.median(np.diff(self.start_seconds)))

    @property
    def end_seconds(self) -> Integers:
        """When each is looked at: at its end."""
        return self.start_seconds + self.cadence_seconds

    @property
    def missing_count(self) -> int:
        """Candles that a stretch without gaps would have beside these."""
        span = int(self.start_seconds[-1] - self.start_seconds[0])
        return max(0, span // self.cadence_seconds + 1 - len(self))


def checked(candles: Candles) -> Candles:
    """The candles. InvalidArgument BAD_CANDLES in words that name the first bad one."""
    columns = (candles.high_usd, candles.low_usd, candles.close_usd)
    if len({len(candles), *map(len, columns)}) != 1:
        raise _bad("start_seconds, high_usd, low_usd and close_usd need the same number of values")
    if len(candles) < 2:
        raise _bad("at least two candles are needed; fetch more with sonic prices backfill-history")
    with np.errstate(invalid="ignore"):
        whole = (candles.low_usd > 0) & (candles.low_usd <= candles.close_usd)
        whole &= (candles.close_usd <= candles.high_usd) & np.isfinite(candles.high_usd)
    if not whole.all():
        place = int(np.argmin(whole))
        raise _bad(f"candle {place + 1} contradicts itself: 0 < low <= close <= high does not hold")
    rising = np.diff(candles.start_seconds) > 0
    if not rising.all():
        place = int(np.argmin(rising))
        raise _bad(f"candle {place + 2} does not start after the one before it")
    if not 0 <= candles.start_seconds[0] <= candles.start_seconds[-1] < 2**36:
        raise _bad("times are seconds since 1970")
    return candles


def _bad(problem: str) -> InvalidArgument:
    return InvalidArgument("BAD_CANDLES", f"candles: {problem}", fields={"candles": problem})


@dataclass(frozen=True, slots=True)
class Paths:
    """Positions of one side by their first and last candle, with entry and liquidation price.

    The first candle is seen at its close alone: what was before, the position did not live through.
    """

    side: Side
    first: Integers
    last: Integers
    entry_usd: Floats
    liquidation_usd: Floats

    def __len__(self) -> int:
        return len(self.first)


def held_path(candles: Candles, side: Side, entry_usd: float, liquidation_usd: float) -> Paths:
    """One position with known prices over all candles. LIQUIDATED_AT_START when it is past them."""
    first = float(candles.close_usd[0])
    if side.sign * (first - liquidation_usd) <= 0:
        problem = f"the first close {first:g} is at or past it: choose a later start"
        raise InvalidArgument(
            "LIQUIDATED_AT_START",
            f"liquidation_price_usd: {problem}",
            fields={"liquidation_price_usd": problem},
        )
    return Paths(
        side,
        np.array([0]),
        np.array([len(candles) - 1]),
        np.array([entry_usd]),
        np.array([liquidation_usd]),
    )


def started_paths(
    candles: Candles, side: Side, distance_percent: float, every_seconds: int, horizon_seconds: int
) -> Paths:
    """A position from the close of a candle every so often, each over the whole horizon: starts too
    near the end are left out. BAD_HORIZON when none is left, TOO_MUCH_WORK.
    """
    ends = candles.end_seconds
    grid = np.arange(ends[0], ends[-1] - horizon_seconds + 1, every_seconds)
    first = np.unique(np.searchsorted(ends, grid)) if len(grid) else np.empty(0, np.int64)
    if len(first):
        first = first[ends[first] + horizon_seconds <= ends[-1]]
    if not len(first):
        hours = (int(ends[-1]) - int(ends[0])) / 3600
        problem = (
            f"the candles cover {hours:g} h, less than the horizon: give more, or a shorter horizon"
        )
        raise InvalidArgument("BAD_HORIZON", f"horizon: {problem}", fields={"horizon": problem})
    last = np.searchsorted(ends, ends[first] + horizon_seconds, side="right") - 1
    entry = candles.close_usd[first]
    return Paths(side, first, last, entry, entry * (1.0 - side.sign * distance_percent / 100.0))


def check_work(paths: Paths, set_count: int) -> None:
    """InvalidArgument TOO_MUCH_WORK for more looks than are made in seconds, or held in memory."""
    looks = int((paths.last - paths.first + 1).sum())
    if looks > MOST_PATH_LOOKS:
        problem = (
            f"{looks:,} candles over all starts are more than {MOST_PATH_LOOKS:,}: start less"
            " often, or shorten the horizon"
        )
    elif looks * set_count > MOST_LOOKS:
        problem = (
            f"{looks * set_count:,} looks are more than {MOST_LOOKS:,}: start less often, shorten"
            " the horizon, or give fewer sets of limits"
        )
    else:
        return
    raise InvalidArgument(
        "TOO_MUCH_WORK", f"start_every: {problem}", fields={"start_every": problem}
    )
