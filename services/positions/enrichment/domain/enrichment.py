"""One pass over every judged position: which mark counts, what is stale, all metrics, flags and
reasons.

Pure: columns in, columns out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.positions.domain.venue_answer import UNKNOWN_ASSET, Flag, Side, Status
from services.positions.enrichment.domain.frozen_marks import NO_MARKS, FrozenMark, FrozenTable
from services.positions.enrichment.domain.heat import DEFAULT_HEAT, HeatModifiers
from services.positions.enrichment.domain.metrics import (
    METRIC_NAMES,
    AssetMoves,
    Metrics,
    Terms,
    bit,
    mark_disagrees,
    metrics,
    risk_liquidation_price,
)
from shared.touch import NO_HISTORY, History

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
    Flag.MARK_FROZEN,
)
_KEPT_FLAGS = np.int64(~sum(1 << flag for flag in _COMPUTED_FLAGS))
_ABSENT: Final = {"mark_frozen_since_micros": 0, "estimate_price_usd": np.nan}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class MarketPrice:
    """Consensus price of an asset; `usable` when its quality is (its age is judged here). `moves`:
    what the asset did in the last year, empty where that is not known. `estimate_usd`: what more
    than one source or one look says, so that it may raise a level by itself; None: nothing does.
    `disputed`: its sources contradict each other, so that a mark it gives lowers no level.
    """

    price_usd: float
    price_time: datetime
    usable: bool
    hourly_volatility_ratio: float | None
    moves: History = NO_HISTORY
    estimate_usd: float | None = None
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class Feed:
    """A wallet at a venue: when its last answer was observed, and whether the last fetch failed.
    `accounts`: what that stated of them, as it is stored; None where it did not, or is not asked.
    `portfolio`: the one that a person put the wallet in, if any. `active`: the wallet is looked at.
    """

    feed_key: int
    wallet: str
    venue: str
    observed_time: datetime | None
    failed: bool
    accounts: str | None = None
    portfolio: str | None = None
    active: bool = True


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
    frozen: Sequence[FrozenMark] = NO_MARKS


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
    rows, tables = len(inputs["position_key"]), _Tables(context)
    results: Columns = {}
    lacking = []
    for start in range(0, max(rows, 1), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        block = _block({name: column[part] for name, column in inputs.items()}, tables, context)
        lacking.append(_lacking(block) + start)
        for name, column in block.items():
            if name not in results:
                results[name] = _unfilled(name, rows, column.dtype)
            results[name][part] = column
    left = np.concatenate(lacking)
    causes = _causes(left, inputs, results)
    reasons = {name: len(found) for name, found in causes.items()}
    named = _named_absent(inputs, causes, context)
    return Enriched(results, rows - len(left), len(left), reasons, named)


def _unfilled(name: str, rows: int, dtype: np.dtype[Any]) -> Column:
    # Blocks in which every mark is fresh and moves have no estimates.
    absent = _ABSENT.get(name)
    return np.empty(rows, dtype) if absent is None else np.full(rows, absent, dtype)


def held_marks(inputs: Mapping[str, Column], context: EnrichContext) -> Sequence[FrozenMark]:
    """Those marks that stand still by which a position still is."""
    tables = _Tables(context)
    market = _Market(inputs["asset_key"], tables)
    keys = inputs["feed_key"], inputs["asset_key"]
    return [
        one
        for one in context.frozen
        if FrozenTable((one,), tables.venues, context.assets)
        .since_micros(*keys, inputs["mark_price_usd"], market.usable_price_usd)
        .any()
    ]


def _lacking(results: Columns) -> NDArray[np.int64]:
    """Rows of which a core metric is absent."""
    return np.flatnonzero(np.isnan(np.stack([results[name] for name in CORE_METRICS])).any(axis=0))


def _block(inputs: Mapping[str, Column], tables: "_Tables", context: EnrichContext) -> Columns:
    market = _Market(inputs["asset_key"], tables)
    marks = _Marks(inputs, market, tables)
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
        AssetMoves(inputs["asset_key"], tables.moves),
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
    frozen_since = _frozen_since_micros(inputs, market, tables)
    if frozen_since is not None:
        flags = flags | np.where(frozen_since > 0, bit(Flag.MARK_FROZEN), np.int64(0))
    return {
        **_estimated(frozen_since, market, marks),
        "position_key": inputs["position_key"],
        "flag_bits": flags.astype(np.int32),
        "mark_time": marks.time_micros,
        "mark_price_usd": marks.price_usd,
        "market_price_usd": market.price_usd,
        "risk_liquidation_price_usd": liquidation,
        **_named(figures),
    }


def _frozen_since_micros(
    inputs: Mapping[str, Column], market: "_Market", tables: "_Tables"
) -> Column | None:
    """None while every mark moves."""
    if not tables.frozen:
        return None
    keys = inputs["feed_key"], inputs["asset_key"]
    return tables.frozen.since_micros(*keys, inputs["mark_price_usd"], market.usable_price_usd)


def _estimated(frozen_since: Column | None, market: "_Market", marks: "_Marks") -> Columns:
    """Since when the mark of a row is what it is and the price it is judged by beside it, of rows
    by a mark that stands still, or that nobody could read for long; nothing where there are none.
    What the last answer lacks may be closed: it has no estimate.
    """
    old = marks.unread
    if frozen_since is None and not old.any():
        return {}
    since = np.where(old, marks.time_micros, np.int64(0))
    if frozen_since is not None:
        since = np.where(frozen_since > 0, frozen_since, since)
    price = np.where((since > 0) & ~marks.gone, market.estimate_usd, np.nan)
    return {"mark_frozen_since_micros": since, "estimate_price_usd": price}


def _named(figures: Metrics) -> Columns:
    # An overflow of two finite numbers is not a figure: absent.
    return {
        name: np.where(np.isinf(column), np.nan, column)
        for name in METRIC_NAMES
        for column in [getattr(figures, name)]
    }


def side_sign(side: Column) -> NDArray[np.int8]:
    """+1 long, -1 short, 0 unknown."""
    signs: NDArray[np.int8] = (side == Side.LONG).astype(np.int8) - (side == Side.SHORT).astype(
        np.int8
    )
    return signs


class _Tables:
    """What rows are looked up in, by asset key and by feed key; made once a pass."""

    def __init__(self, context: EnrichContext) -> None:
        self.limit_micros = micros(context.now) - int(context.mark_max_age_seconds * 1e6)
        length = max(context.assets, default=0) + 1
        self.moves: dict[int, History] = {}
        self.price_usd, self.volatility_ratio, self.estimate_usd = np.full((3, length), np.nan)
        self.price_micros = np.zeros(length, np.int64)
        self.usable, self.disputed, self.unknown_asset = np.zeros((3, length), np.bool_)
        for key, name in context.assets.items():
            self.unknown_asset[key] = name == UNKNOWN_ASSET
            known = context.market.get(name)
            if known is None:
                continue
            self.price_usd[key] = known.price_usd
            self.price_micros[key] = micros(known.price_time)
            self.usable[key] = known.usable and self.price_micros[key] >= self.limit_micros
            self.disputed[key] = known.disputed
            if self.usable[key] and known.estimate_usd is not None:
                self.estimate_usd[key] = known.estimate_usd
            if known.moves.is_enough:
                self.moves[key] = known.moves
            if known.hourly_volatility_ratio is not None:
                self.volatility_ratio[key] = known.hourly_volatility_ratio
        length = max(context.feeds, default=0) + 1
        self.observed_micros = np.zeros(length, np.int64)
        self.failed, self.by_hand, self.is_read = np.zeros((3, length), np.bool_)
        for key, feed in context.feeds.items():
            self.observed_micros[key] = micros(feed.observed_time)
            self.failed[key], self.by_hand[key] = feed.failed, feed.venue in BY_HAND_VENUES
            self.is_read[key] = feed.active and not self.by_hand[key]
        self.venues = {key: feed.venue for key, feed in context.feeds.items()}
        self.frozen = FrozenTable(context.frozen, self.venues, context.assets)


class _Market:
    """Market columns of the rows, looked up by asset key."""

    def __init__(self, asset_key: Column, tables: _Tables) -> None:
        self.price_usd = tables.price_usd[asset_key]
        self.time_micros = tables.price_micros[asset_key]
        self.volatility_ratio = tables.volatility_ratio[asset_key]
        self.usable = tables.usable[asset_key]
        self.disputed = tables.disputed[asset_key]
        self.estimate_usd = tables.estimate_usd[asset_key]
        self.unknown_asset = tables.unknown_asset[asset_key]

    @property
    def usable_price_usd(self) -> Column:
        """NaN = none."""
        return np.where(self.usable, self.price_usd, np.nan)


class _Marks:
    """The mark that drives each row's risk, when it was observed, and whether it is stale;
    `gone`: the last answer lacks the row, whatever came after it; `unread`: of a venue that is
    asked, too old, and not gone.
    """

    def __init__(self, inputs: Mapping[str, Column], market: _Market, tables: _Tables) -> None:
        feed_key, stated = inputs["feed_key"], inputs["mark_price_usd"]
        from_market = tables.by_hand[feed_key] & np.isnan(stated)
        seen = np.where(
            inputs["in_last_answer"], tables.observed_micros[feed_key], inputs["mark_time"]
        )
        seen = np.where(np.isnan(stated), 0, seen)
        self.price_usd = np.where(from_market, market.price_usd, stated)
        self.time_micros = np.where(from_market, market.time_micros, seen)
        late = self.time_micros < tables.limit_micros
        self.gone = inputs["status"] == Status.STALE
        self.unread = late & tables.is_read[feed_key] & (self.time_micros > 0) & ~self.gone
        self.stale = late | tables.failed[feed_key] | (from_market & ~market.usable)
        is_market_price = from_market | (inputs["flag_bits"] & bit(Flag.SPOT) != 0)
        self.stale |= is_market_price & market.disputed


def _causes(
    left: NDArray[np.int64], inputs: Mapping[str, Column], results: Columns
) -> dict[str, NDArray[np.int64]]:
    """Why a core metric of these rows is absent: the rows of each cause, the first that applies."""
    given = {name: column[left] for name, column in inputs.items()} if len(left) else {}
    found: dict[str, NDArray[np.int64]] = {}
    if not given:
        return found
    flags = results["flag_bits"][left]
    causes = {
        "SIDE_UNKNOWN": side_sign(given["side"]) == 0,
        "MARK_MISSING": np.isnan(results["mark_price_usd"][left]),
        "ENTRY_MISSING": np.isnan(given["entry_price_usd"]),
        "SIZE_MISSING": np.isnan(given["size_usd"]),
        "LIQUIDATION_PRICE_MISSING": np.isnan(results["risk_liquidation_price_usd"][left]),
        "LIQUIDATION_ON_WRONG_SIDE": (flags & bit(Flag.LIQUIDATION_ON_WRONG_SIDE)) != 0,
        "COLLATERAL_MISSING": ~(given["collateral_usd"] > 0),
        "LIQUIDATION_AT_ENTRY": np.ones(len(left), np.bool_),
    }
    open_rows = np.ones(len(left), np.bool_)
    for name, where in causes.items():
        if (open_rows & where).any():
            found[name] = left[open_rows & where]
            open_rows = open_rows & ~where
    return found


def _named_absent(
    inputs: Mapping[str, Column], causes: Mapping[str, NDArray[np.int64]], context: EnrichContext
) -> tuple[str, ...]:
    """The first rows with a metric absent, in words: wallet, asset, side and the cause."""
    listed = [(row, name) for name, rows in causes.items() for row in rows[:_MOST_NAMED].tolist()]
    words = []
    for row, name in sorted(listed)[:_MOST_NAMED]:
        feed = context.feeds.get(int(inputs["feed_key"][row]))
        asset = context.assets.get(int(inputs["asset_key"][row]), UNKNOWN_ASSET)
        wallet = feed.wallet if feed else ""
        words.append(f"{wallet} {asset} {Side(int(inputs['side'][row])).name}: {name}".strip())
    return tuple(words)
