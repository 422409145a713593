"""One pass over every judged position: which mark counts, what is stale, all metrics, flags and
reasons.

Pure: columns in, columns out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.positions.domain.venue_answer import UNKNOWN_ASSET, Flag, Side
from services.positions.enrichment.domain.heat import DEFAULT_HEAT, HeatModifiers
from services.positions.enrichment.domain.metrics import (
    METRIC_NAMES,
    Metrics,
    Terms,
    bit,
    mark_disagrees,
    metrics,
    risk_liquidation_price,
)

Column = NDArray[Any]
Columns = dict[str, Column]

BY_HAND_VENUES: Final = frozenset({"manual", "demo"})
CORE_METRICS: Final = (
    "pnl_usd",
    "value_usd",
    "leverage_ratio",
    "travel_percent",
    "liquidation_distance_percent",
    "heat_index",
)
_MOST_NAMED = 20
_BLOCK_ROWS = 8192  # what the processor's cache holds: twice as fast as all rows at once
_COMPUTED_FLAGS = (
    Flag.LIQUIDATION_ON_WRONG_SIDE,
    Flag.LIQUIDATION_PRICE_DISAGREES,
    Flag.MARK_PRICE_DISAGREES,
    Flag.CANNOT_JUDGE,
    Flag.MARK_STALE,
    Flag.MARK_MISSING,
)
_KEPT_FLAGS = np.int64(~sum(1 << flag for flag in _COMPUTED_FLAGS))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class MarketPrice:
    """Consensus price of an asset; `usable` when its quality is (its age is judged here)."""

    price_usd: float
    price_time: datetime
    usable: bool
    hourly_volatility_ratio: float | None


@dataclass(frozen=True, slots=True)
class Feed:
    """A wallet at a venue: when its last answer was observed, and whether the last fetch failed."""

    feed_key: int
    wallet: str
    venue: str
    observed_time: datetime | None
    failed: bool


@dataclass(frozen=True, slots=True)
class Enriched:
    """Result columns (as stored, plus size and side for totals), and what was absent."""

    results: Columns
    enriched_count: int
    absent_count: int
    reasons: Mapping[str, int]
    absent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EnrichContext:
    """What a pass needs beside the positions: feeds, asset names by key, market prices by asset."""

    feeds: Mapping[int, Feed]
    assets: Mapping[int, str]
    market: Mapping[str, MarketPrice]
    now: datetime
    mark_max_age_seconds: float
    heat: HeatModifiers = DEFAULT_HEAT


def micros(moment: datetime | None) -> int:
    """Microseconds since 1970 UTC; 0 = never."""
    return 0 if moment is None else round((moment - _EPOCH).total_seconds() * 1e6)


def places_of(wanted: Column, keys: Column) -> NDArray[np.int64]:
    """Where each wanted key is among these ascending ones, -1 where it is not."""
    if not len(keys):
        return np.full(len(wanted), -1)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1)


def merged(known: Columns, changed_keys: Column, fresh: Columns) -> Columns:
    """Known inputs in which the rows of these keys are those of `fresh`, or gone; ascending."""
    kept = places_of(known["position_key"], changed_keys) < 0
    keys = np.concatenate([known["position_key"][kept], fresh["position_key"]])
    order = np.argsort(keys, kind="stable")
    return {
        name: np.concatenate([column[kept], fresh[name]])[order] for name, column in known.items()
    }


def enrich(inputs: Mapping[str, Column], context: EnrichContext) -> Enriched:
    """Every metric of every row of `inputs` (columns of table position, one row a position).

    The venue's mark drives the risk; at venues entered by hand the entered mark, else the market
    price.
    """
    rows = len(inputs["position_key"])
    blocks = [
        _block(
            {name: column[start : start + _BLOCK_ROWS] for name, column in inputs.items()}, context
        )
        for start in range(0, max(rows, 1), _BLOCK_ROWS)
    ]
    results = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    causes = _causes(inputs, results)
    reasons = {name: int(np.count_nonzero(where)) for name, where in causes.items()}
    absent = sum(reasons.values())
    return Enriched(results, rows - absent, absent, reasons, _named_absent(inputs, causes, context))


def _block(inputs: Mapping[str, Column], context: EnrichContext) -> Columns:
    market = _Market(inputs["asset_key"], context)
    marks = _Marks(inputs, market, context)
    side = side_sign(inputs["side"])
    signs = side.astype(np.float64)
    liquidation, disagree = risk_liquidation_price(
        signs, marks.price_usd, inputs["liquidation_price_usd"], inputs["own_liquidation_price_usd"]
    )
    figures = metrics(
        Terms(
            signs,
            inputs["entry_price_usd"],
            marks.price_usd,
            liquidation,
            inputs["size_usd"],
            inputs["collateral_usd"],
            market.volatility_ratio,
        ),
        context.heat.model,
        context.heat.weights,
    )
    unknown = (side == 0) | market.unknown_asset
    flags = inputs["flag_bits"] & _KEPT_FLAGS
    for flag, where in (
        (Flag.LIQUIDATION_ON_WRONG_SIDE, figures.wrong_side),
        (Flag.LIQUIDATION_PRICE_DISAGREES, disagree),
        (
            Flag.MARK_PRICE_DISAGREES,
            mark_disagrees(marks.price_usd, market.price_usd) & market.usable,
        ),
        (Flag.CANNOT_JUDGE, unknown),
        (Flag.MARK_STALE, marks.stale),
        (Flag.MARK_MISSING, np.isnan(marks.price_usd)),
    ):
        flags = flags | np.where(where, bit(flag), np.int64(0))
    return {
        "position_key": inputs["position_key"],
        "flag_bits": flags,
        "mark_time": marks.time_micros,
        "mark_price_usd": marks.price_usd,
        "market_price_usd": market.price_usd,
        "risk_liquidation_price_usd": liquidation,
        **_named(figures),
    }


def _named(figures: Metrics) -> Columns:
    # An overflow of two finite numbers is not a figure: absent.
    return {
        name: np.where(np.isinf(column), np.nan, column)
        for name in METRIC_NAMES
        for column in [getattr(figures, name)]
    }


def side_sign(side: Column) -> NDArray[np.int32]:
    """+1 long, -1 short, 0 unknown."""
    signs: NDArray[np.int32] = (side == Side.LONG).astype(np.int32) - (side == Side.SHORT).astype(
        np.int32
    )
    return signs


class _Market:
    """Market columns of the rows, looked up by asset key."""

    def __init__(self, asset_key: Column, context: EnrichContext) -> None:
        length = max(context.assets, default=0) + 1
        price, time, sigma = (
            np.full(length, np.nan),
            np.zeros(length, np.int64),
            np.full(length, np.nan),
        )
        usable, unknown = np.zeros(length, np.bool_), np.zeros(length, np.bool_)
        limit = micros(context.now) - int(context.mark_max_age_seconds * 1e6)
        for key, name in context.assets.items():
            unknown[key] = name == UNKNOWN_ASSET
            known = context.market.get(name)
            if known is None:
                continue
            price[key], time[key] = known.price_usd, micros(known.price_time)
            usable[key] = known.usable and time[key] >= limit
            sigma[key] = (
                np.nan if known.hourly_volatility_ratio is None else known.hourly_volatility_ratio
            )
        self.price_usd = price[asset_key]
        self.time_micros = time[asset_key]
        self.volatility_ratio = sigma[asset_key]
        self.usable = usable[asset_key]
        self.unknown_asset = unknown[asset_key]


class _Marks:
    """The mark that drives each row's risk, when it was observed, and whether it is stale."""

    def __init__(
        self, inputs: Mapping[str, Column], market: _Market, context: EnrichContext
    ) -> None:
        length = max(context.feeds, default=0) + 1
        observed, failed = np.zeros(length, np.int64), np.zeros(length, np.bool_)
        by_hand = np.zeros(length, np.bool_)
        for key, feed in context.feeds.items():
            observed[key], failed[key] = micros(feed.observed_time), feed.failed
            by_hand[key] = feed.venue in BY_HAND_VENUES
        feed_key = inputs["feed_key"]
        stated = inputs["mark_price_usd"]
        from_market = by_hand[feed_key] & np.isnan(stated)
        seen = np.where(inputs["in_last_answer"], observed[feed_key], inputs["mark_time"])
        seen = np.where(np.isnan(stated), 0, seen)
        self.price_usd = np.where(from_market, market.price_usd, stated)
        self.time_micros = np.where(from_market, market.time_micros, seen)
        limit = micros(context.now) - int(context.mark_max_age_seconds * 1e6)
        self.stale = (self.time_micros < limit) | failed[feed_key] | (from_market & ~market.usable)


def _causes(inputs: Mapping[str, Column], results: Columns) -> dict[str, NDArray[np.bool_]]:
    """Why a core metric is absent: the rows of each cause that is the first to apply to them."""
    left = np.isnan(np.stack([results[name] for name in CORE_METRICS])).any(axis=0)
    with np.errstate(invalid="ignore"):
        causes = {
            "SIDE_UNKNOWN": side_sign(inputs["side"]) == 0,
            "MARK_MISSING": np.isnan(results["mark_price_usd"]),
            "ENTRY_MISSING": np.isnan(inputs["entry_price_usd"]),
            "SIZE_MISSING": np.isnan(inputs["size_usd"]),
            "LIQUIDATION_PRICE_MISSING": np.isnan(results["risk_liquidation_price_usd"]),
            "LIQUIDATION_ON_WRONG_SIDE": (
                results["flag_bits"] & bit(Flag.LIQUIDATION_ON_WRONG_SIDE)
            )
            != 0,
            "COLLATERAL_MISSING": ~(inputs["collateral_usd"] > 0),
        }
    found: dict[str, NDArray[np.bool_]] = {}
    for name, where in causes.items():
        if (left & where).any():
            found[name] = left & where
            left = left & ~where
    if left.any():
        found["LIQUIDATION_AT_ENTRY"] = left
    return found


def _named_absent(
    inputs: Mapping[str, Column], causes: Mapping[str, NDArray[np.bool_]], context: EnrichContext
) -> tuple[str, ...]:
    """The first rows with a metric absent, in words: wallet, asset, side and the cause."""
    listed = [
        (row, name) for name, where in causes.items() for row in np.flatnonzero(where)[:_MOST_NAMED]
    ]
    words = []
    for row, name in sorted(listed)[:_MOST_NAMED]:
        feed = context.feeds.get(int(inputs["feed_key"][row]))
        asset = context.assets.get(int(inputs["asset_key"][row]), UNKNOWN_ASSET)
        wallet = feed.wallet if feed else ""
        words.append(f"{wallet} {asset} {Side(int(inputs['side'][row])).name}: {name}".strip())
    return tuple(words)
