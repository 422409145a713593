"""Whether a venue's figures can be believed: by themselves, the market, what was last good."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.positions.domain.scale import SCALE_FACTOR_LIMIT, off_scale_rows

# The rule of each row of an answer. One that breaks it is refused: the last good one stays.
#
# 1. An open position has a size > 0, and a margin > 0 where its venue gives one (the adapters see
#    to that).
# 2. Size, entry, mark and profit say one thing: `profit = side * size * (mark / entry - 1)` within
#    a tenth of what is at stake. A factor 10 in one of them moves a liquidation, or hides one, as
#    well as a factor 100. Without a profit an entry further than a factor 20 from the mark is
#    refused.
# 3. Of a known position side and asset do not change. (Where a venue holds one position a market,
#    another side is another position: see services.positions.sync.domain.sync_rows.)
# 4. Of a known position size, entry and collateral stay within a factor 20 of what they were, and
#    so do the mark, unless the market confirms the new one, and the venue's liquidation price,
#    unless our own formula does; a mark that was there does not vanish. Of positions that share a
#    collateral, one whose part leapt while that of all of them together did not is taken.
# 5. People do add thirty times their collateral. What breaks rule 4 alone waits in quarantine and
#    is taken when three different observations, a minute or more from first to last, stated about
#    the same (factor 2).

Column = NDArray[Any]

PROFIT_TOLERANCE_RATIO: Final = 0.1  # of what is at stake: fees, and a mark of another moment
CONFIRMATIONS: Final = 3
CONFIRMED_APART: Final = timedelta(seconds=60)
SAME_FACTOR: Final = 2.0
# Those that are kept in quarantine, and compared there.
COMPARED: Final = (
    "entry_price_usd",
    "size_usd",
    "collateral_usd",
    "mark_price_usd",
    "liquidation_price_usd",
)
_AMOUNTS: Final = ("entry_price_usd", "size_usd")


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A row that waits: figures by name (NaN = absent), observed first and last when, how often."""

    first_micros: int
    last_micros: int
    observed_count: int
    figures: Mapping[str, float]


def entry_fault(
    side_sign: float,
    size_usd: float,
    entry_price_usd: float,
    mark_price_usd: float | None,
    profit_usd: float | None,
) -> str:
    """Rule 2: ENTRY_SCALE, PROFIT_DISAGREES or empty. `profit_usd`: before or after fees."""
    stated = (side_sign, size_usd, entry_price_usd, mark_price_usd, profit_usd)
    far, disagrees = entry_faults(*(np.array([one], np.float64) for one in stated))
    return "ENTRY_SCALE" if far[0] else "PROFIT_DISAGREES" if disagrees[0] else ""


def entry_faults(
    side_sign: Column,
    size_usd: Column,
    entry_price_usd: Column,
    mark_price_usd: Column,
    profit_usd: Column,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rule 2 over columns: where ENTRY_SCALE holds, and where PROFIT_DISAGREES; NaN = absent."""
    far = off_scale_rows(entry_price_usd, mark_price_usd)
    with np.errstate(all="ignore"):
        run = mark_price_usd / entry_price_usd
        expected, at_stake = side_sign * size_usd * (run - 1.0), size_usd * (1.0 + run)
        agree = np.abs(expected - profit_usd) <= PROFIT_TOLERANCE_RATIO * at_stake + 1.0
    broken = ~np.isnan(mark_price_usd) & ~agree
    return broken & far, broken & ~far & ~np.isnan(profit_usd)


def leaps(
    before: Mapping[str, Column],
    after: Mapping[str, Column],
    known: NDArray[np.bool_],
    market_usd: Column,
    shared: NDArray[np.bool_],
    totals_leap: NDArray[np.bool_],
) -> dict[str, NDArray[np.bool_]]:
    """Rule 4: by name of the figure the rows in which it leapt. `known`: rows whose `before` holds;
    `market_usd`: NaN where there is no price; `shared`: rows whose collateral is a part of a shared
    one; `totals_leap`: those of them whose whole leapt.
    """
    with np.errstate(all="ignore"):
        found = {name: known & _apart(after[name], before[name]) for name in _AMOUNTS}
        own = known & (~shared | totals_leap)
        collateral = own & _apart(after["collateral_usd"], before["collateral_usd"])
        mark = known & _apart(after["mark_price_usd"], before["mark_price_usd"])
        gone = known & np.isnan(after["mark_price_usd"]) & (before["mark_price_usd"] > 0)
        liquidation = known & _apart(
            after["liquidation_price_usd"], before["liquidation_price_usd"]
        )
        return found | {
            "collateral_usd": collateral,
            "mark_price_usd": gone | (mark & ~_near(after["mark_price_usd"], market_usd)),
            "liquidation_price_usd": liquidation
            & ~_near(after["liquidation_price_usd"], after["own_liquidation_price_usd"]),
        }


def totals_leap(
    before: Column, after: Column, known: NDArray[np.bool_], place: Column, size: int
) -> NDArray[np.bool_]:
    """By row: whether its answer's known rows have together a collateral a factor 20 away."""
    old, new = (
        np.bincount(place[known], weights=np.nan_to_num(column[known]), minlength=size)
        for column in (before, after)
    )
    with np.errstate(all="ignore"):
        return _apart(new, old)[place]


def confirmed(waiting: Quarantined, figures: Mapping[str, float], observed_micros: int) -> bool:
    """Rule 5, with this observation counted."""
    counted = noted(waiting, figures, observed_micros)
    apart = counted.last_micros - counted.first_micros
    return counted.observed_count >= CONFIRMATIONS and apart >= CONFIRMED_APART // timedelta(
        microseconds=1
    )


def noted(
    waiting: Quarantined | None, figures: Mapping[str, float], observed_micros: int
) -> Quarantined:
    """The row after this observation: an old one counts once, another figure begins anew."""
    if waiting is None or not _same(waiting.figures, figures):
        return Quarantined(observed_micros, observed_micros, 1, dict(figures))
    if observed_micros <= waiting.last_micros:
        return waiting
    return Quarantined(
        waiting.first_micros, observed_micros, waiting.observed_count + 1, waiting.figures
    )


def _same(kept: Mapping[str, float], figures: Mapping[str, float]) -> bool:
    for name, value in figures.items():
        known = kept[name]
        if np.isnan(known) != np.isnan(value):
            return False
        if known > 0 and value > 0 and not 1 / SAME_FACTOR <= value / known <= SAME_FACTOR:
            return False
    return True


def _apart(new: Column, old: Column) -> NDArray[np.bool_]:
    """Both > 0 and a factor over 20 from each other."""
    ratio = new / old
    far = (ratio > SCALE_FACTOR_LIMIT) | (ratio < 1 / SCALE_FACTOR_LIMIT)
    return np.asarray((new > 0) & (old > 0) & far, np.bool_)


def _near(value: Column, other: Column) -> NDArray[np.bool_]:
    return np.asarray((other > 0) & (value > 0) & ~_apart(value, other), np.bool_)
