"""The words of the service: quotes, prices, records."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from shared.errors import InvalidArgument

SYMBOL = re.compile(r"[A-Z0-9]{1,15}")
# A price, or a quote of one, that is older than this is old.
MAX_AGE = timedelta(seconds=120)
# After this long without a refresh nobody vouches for a price any more, however good it was.
REFRESH_LIMIT = timedelta(minutes=15)


class Market(IntEnum):
    DEMO = 1
    LIVE = 2


class Quality(IntEnum):
    GOOD = 1
    SINGLE = 2
    DISAGREE = 3
    STALE = 4
    NONE = 5
    CLOSED = 6


# A price of one of these is a last good price.
TRUSTED_QUALITIES = frozenset({Quality.GOOD, Quality.SINGLE, Quality.CLOSED})
MANUAL_SOURCE = "MANUAL"
FRESH_QUALITIES = frozenset({Quality.GOOD, Quality.SINGLE, Quality.DISAGREE, Quality.CLOSED})


class Dropped(StrEnum):
    """Why a quote does not carry the price. A source that failed adds the kind of its failure."""

    MISSING = "MISSING"
    UNSUPPORTED = "UNSUPPORTED"
    NOT_A_NUMBER = "NOT_A_NUMBER"
    NOT_FINITE = "NOT_FINITE"
    NOT_POSITIVE = "NOT_POSITIVE"
    BAD_TIME = "BAD_TIME"
    TOO_OLD = "TOO_OLD"
    FROM_FUTURE = "FROM_FUTURE"
    WIDE_CONFIDENCE = "WIDE_CONFIDENCE"
    OUTLIER = "OUTLIER"
    NO_MAJORITY = "NO_MAJORITY"


class Note(StrEnum):
    """What a reader should know about a quote."""

    QUOTED_IN_USDT = "QUOTED_IN_USDT"
    TIME_OF_ANSWER = "TIME_OF_ANSWER"
    BRIDGED = "BRIDGED"


@dataclass(frozen=True, slots=True)
class Quote:
    """What one source says of one asset; adapter or consensus set `dropped_reason`."""

    source: str
    price_usd: float | None = None
    price_time: datetime | None = None
    confidence_usd: float | None = None
    used: bool = False
    dropped_reason: str = ""
    notes: tuple[Note, ...] = ()
    high_24h_usd: float | None = None
    low_24h_usd: float | None = None


@dataclass(frozen=True, slots=True)
class SourceResult:
    """What one source did in one refresh; `failure` is empty for a usable answer."""

    source: str
    failure: str
    message: str
    latency: timedelta
    quote_count: int

    @property
    def ok(self) -> bool:
        return not self.failure


class SourceState(IntEnum):
    READY = 1
    PAUSED = 2
    DISABLED = 3


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How a source stands in this process; `last_failure` is empty when it never failed."""

    source: str
    state: SourceState
    assets: tuple[str, ...]
    last_answer_time: datetime | None = None
    latency: timedelta | None = None
    last_failure: str = ""
    last_failure_message: str = ""
    last_failure_time: datetime | None = None
    calls_left: int | None = None
    answer_count: int = 0
    failure_count: int = 0

    @property
    def enabled(self) -> bool:
        return self.state is not SourceState.DISABLED


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """A source's result and its quotes by asset."""

    result: SourceResult
    quotes: Mapping[str, Quote]


@dataclass(frozen=True, slots=True)
class Price:
    """The consensus price of one asset in one market; None = absent.

    `last_good_price_usd`: the last that sources agreed on or a lone one gave, never DISAGREE.
    """

    asset: str
    market: Market
    quality: Quality
    price_usd: float | None = None
    price_time: datetime | None = None
    previous_price_usd: float | None = None
    previous_price_time: datetime | None = None
    source: str = ""
    last_good_price_usd: float | None = None
    last_good_time: datetime | None = None
    hourly_volatility_ratio: float | None = None
    volatility_hour_time: datetime | None = None
    refresh_time: datetime | None = None
    quotes: tuple[Quote, ...] = ()


@dataclass(frozen=True, slots=True)
class PriceRecord:
    """One row of the history; `previous_price_time` is always before `price_time`."""

    asset: str
    market: Market
    price_usd: float
    price_time: datetime
    previous_price_usd: float | None
    previous_price_time: datetime | None
    source: str
    quality: Quality
    id: int = 0


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Rows from `start_time` to before `end_time`; empty `source` and `qualities` = any."""

    start_time: datetime | None = None
    end_time: datetime | None = None
    source: str = ""
    qualities: tuple[Quality, ...] = ()


@dataclass(frozen=True, slots=True)
class News:
    """Prices that changed; with `gap` the whole present state: changes were dropped."""

    prices: tuple[Price, ...]
    gap: bool


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh gave; `sources` is empty when `skipped_reason` says that none was asked."""

    prices: tuple[Price, ...]
    sources: tuple[SourceResult, ...]
    market: Market
    skipped_reason: str = ""

    @property
    def fresh_count(self) -> int:
        """Assets whose price comes from quotes that were usable in the refresh."""
        return len(self.prices) - self.missing_count

    @property
    def missing_count(self) -> int:
        """Assets without such a price."""
        return len(self.missing_assets)

    @property
    def missing_assets(self) -> list[str]:
        return [price.asset for price in self.prices if price.quality not in FRESH_QUALITIES]

    @property
    def closed_count(self) -> int:
        """Assets whose market is closed: their price is the one it closed at."""
        return sum(price.quality is Quality.CLOSED for price in self.prices)


def quality_now(price: Price, now: datetime) -> Quality:
    """The quality to rely on: STALE once no refresh has vouched for it for 15 minutes."""
    if (
        price.price_usd is None
        or price.refresh_time is None
        or now - price.refresh_time <= REFRESH_LIMIT
    ):
        return price.quality
    return Quality.STALE


def is_stale(price: Price, now: datetime) -> bool:
    """Whether the price is no ground to lower a level: two sources did not just agree on it, nor
    did a lone one just give it.
    """
    is_old = price.price_time is not None and now - price.price_time > MAX_AGE
    return is_old or quality_now(price, now) not in (Quality.GOOD, Quality.SINGLE)


def wanted_assets(
    asked: Iterable[str], tracked: tuple[str, ...], field: str = "assets"
) -> tuple[str, ...]:
    """The tracked assets asked for, each once, in the order of `tracked`; none asked = all.

    Raises InvalidArgument UNKNOWN_ASSET of `field`, naming the tracked ones.
    """
    names = {name.strip().upper() for name in asked}
    unknown = sorted(names - set(tracked))
    if unknown:
        raise not_tracked(unknown, tracked, field)
    return tuple(asset for asset in tracked if asset in names or not names)


def not_tracked(unknown: Sequence[str], tracked: Sequence[str], field: str) -> InvalidArgument:
    """The refusal of assets that are not tracked; it names those that are."""
    listed = ", ".join(tracked)
    named = ", ".join(repr(name[:20]) for name in unknown[:5])
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    verb = "is" if len(unknown) == 1 else "are"
    return InvalidArgument(
        "UNKNOWN_ASSET",
        f"{named}{more} {verb} not tracked; tracked are {listed}",
        fields={field: f"among {listed}"},
    )
