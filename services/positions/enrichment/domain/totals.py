"""Sums and weighted means over positions."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.positions.domain.venue_answer import Flag, Status
from services.positions.enrichment.domain.metrics import METRIC_NAMES, bit

Numbers = NDArray[np.float64]
_START = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Totals:
    """Over ACTIVE and STALE positions; an absent figure adds nothing and is counted in
    absent_count. `stale`: one of them is (see `stale_rows`), or a wallet could not be read, so that
    the sums are no ground to lower anything.
    """

    position_count: int
    stale_count: int
    total_size_usd: float
    total_value_usd: float
    total_collateral_usd: float
    total_long_size_usd: float
    total_short_size_usd: float
    total_pnl_usd: float
    total_profit_usd: float
    avg_leverage_ratio: float | None
    avg_travel_percent: float | None
    avg_heat_index: float | None
    total_heat: float | None
    value_to_collateral_ratio: float | None
    absent_count: Mapping[str, int]
    oldest_mark_time: datetime | None
    totals_time: datetime | None
    stale: bool = False


SUMS: Final = tuple(field.name for field in fields(Totals) if field.type is float)
# Absent where nothing is known.
MEANS: Final = tuple(field.name for field in fields(Totals) if field.type == float | None)
_STALE_BITS = bit(Flag.MARK_STALE) | bit(Flag.ROW_REFUSED) | bit(Flag.MARK_FROZEN)


def stale_rows(status: NDArray[Any], flag_bits: NDArray[Any]) -> NDArray[np.bool_]:
    """Positions whose figures must not lower a level: not in their venue's last answer, refused in
    it, or by a mark that was too old when the pass judged it, or stands still.
    """
    return np.asarray((status != Status.ACTIVE) | (flag_bits & _STALE_BITS != 0), np.bool_)


def aged(totals: Totals, now: datetime, mark_max_age: timedelta) -> Totals:
    """Totals as they are read at `now`: stale too when the oldest mark has become too old since."""
    oldest = totals.oldest_mark_time
    late = oldest is not None and now - oldest > mark_max_age
    return replace(totals, stale=totals.stale or late)


def totals(
    columns: Mapping[str, NDArray[np.generic]], now: datetime | None, *, is_unread: bool = False
) -> Totals:
    """Totals of rows given as columns named as in Position, and `side_sign`, `status`,
    `mark_time_micros`, `stale`. `is_unread`: there may be more that nobody could look at.

    `avg_*` are weighted by size over the positions where the metric (and the size) is present.
    """
    numbers = {
        name: np.asarray(column, np.float64)
        for name, column in columns.items()
        if name.endswith(_FLOATS)
    }
    side, status = columns["side_sign"], columns["status"]
    size, collateral, pnl = numbers["size_usd"], numbers["collateral_usd"], numbers["pnl_usd"]
    after_fees = numbers["pnl_after_fees_usd"]
    profit = np.where(np.isnan(after_fees), pnl, after_fees)
    total_value, total_collateral = _sum(numbers["value_usd"]), _sum(collateral)
    heat = numbers["heat_index"]
    return Totals(
        position_count=len(size),
        stale_count=int(np.count_nonzero(status == Status.STALE)),
        total_size_usd=_sum(size),
        total_value_usd=total_value,
        total_collateral_usd=total_collateral,
        total_long_size_usd=_sum(size[side == 1]),
        total_short_size_usd=_sum(size[side == -1]),
        total_pnl_usd=_sum(pnl),
        total_profit_usd=_sum(np.maximum(profit, 0.0)),
        avg_leverage_ratio=_weighted(numbers["leverage_ratio"], size),
        avg_travel_percent=_weighted(numbers["travel_percent"], size),
        avg_heat_index=_weighted(heat, size),
        total_heat=None if bool(np.isnan(heat).all()) else _sum(heat),
        value_to_collateral_ratio=total_value / total_collateral if total_collateral > 0 else None,
        absent_count={
            name: int(np.count_nonzero(np.isnan(numbers[name]))) for name in METRIC_NAMES
        },
        oldest_mark_time=_oldest(np.asarray(columns["mark_time_micros"], np.int64)),
        totals_time=now,
        stale=is_unread or bool(columns["stale"].any()),
    )


_FLOATS = ("_usd", "_ratio", "_percent", "_index", "_probability")


def _sum(values: Numbers) -> float:
    return float(np.nansum(values)) + 0.0


def _weighted(values: Numbers, weights: Numbers) -> float | None:
    products = values * weights
    weight = float(weights[~np.isnan(products)].sum())
    return float(np.nansum(products)) / weight + 0.0 if weight > 0 else None


def _oldest(micros: NDArray[np.int64]) -> datetime | None:
    seen = micros[micros > 0]
    return _START + timedelta(microseconds=int(seen.min())) if len(seen) else None
