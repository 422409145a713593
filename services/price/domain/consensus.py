"""What the sources together say: one price per asset, and the fate of every quote with its reason.

Pure: the time is an argument.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.price.domain import trading_hours
from services.price.domain.prices import MAX_AGE, Dropped, Quality, Quote
from shared.marks import INDEXES

# Over a long weekend the index's last close is all there is.
MAX_AGE_INDEX = timedelta(days=4)
# Whole seconds and a little drift; more than this is a wrong clock or a wrong field.
FUTURE_TOLERANCE = timedelta(seconds=5)
CONFIDENCE_LIMIT_RATIO = 0.01
CLUSTER_RATIO = 0.02
NEAR_LAST_GOOD_RATIO = 0.10
# A lone quote this many times off a price of the last day is a shifted decimal point, not a market.
LONE_FACTOR_LIMIT = 20.0
LONE_FACTOR_AGE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LastGood:
    """The last price that was trusted, > 0, and when it was true."""

    price_usd: float
    price_time: datetime


@dataclass(frozen=True, slots=True)
class Consensus:
    """The agreed price in USD (None: no usable quote), when it was true, how far it can be trusted.

    `quality` is None exactly when `price_usd` is: what stays then depends on what was known before.
    """

    price_usd: float | None
    price_time: datetime | None
    quality: Quality | None
    quotes: tuple[Quote, ...]

    @property
    def source(self) -> str:
        """Names of the sources behind the price, joined with +."""
        return "+".join(quote.source for quote in self.quotes if quote.used)


@dataclass(frozen=True, slots=True)
class _Usable:
    quote: Quote
    price_usd: float
    price_time: datetime


def agree(
    asset: str, quotes: Iterable[Quote], now: datetime, last_good: LastGood | None
) -> Consensus:
    """The consensus of the quotes, whatever their order.

    Usable quotes that lie pairwise within 2 % form a cluster (of equally large ones the tightest
    counts). The cluster with more than half of them gives the price, its median. Without one: the
    median of those within 10 % of the last good price, else no price.
    """
    usable: list[_Usable] = []
    judged: list[Quote] = []
    for quote in quotes:
        admitted = _admit(asset, quote, now)
        if isinstance(admitted, _Usable):
            usable.append(admitted)
        else:
            judged.append(replace(quote, used=False, dropped_reason=admitted))
    usable.sort(key=lambda one: (one.price_usd, one.quote.source))
    used, quality, reason = _choose(usable, now, last_good)
    chosen = {id(one) for one in used}
    for one in usable:
        is_used = id(one) in chosen
        judged.append(replace(one.quote, used=is_used, dropped_reason="" if is_used else reason))
    judged.sort(key=lambda quote: quote.source)
    if not used:
        return Consensus(None, None, None, tuple(judged))
    if asset in INDEXES and not trading_hours.is_open(now):
        quality = Quality.CLOSED
    price_time = max(one.price_time for one in used)
    return Consensus(_median([one.price_usd for one in used]), price_time, quality, tuple(judged))


def _admit(asset: str, quote: Quote, now: datetime) -> _Usable | str:
    """The quote as a usable one, or the reason why it is not."""
    price, moment = quote.price_usd, quote.price_time
    if quote.dropped_reason:
        return quote.dropped_reason
    if price is None:
        return Dropped.MISSING
    if not math.isfinite(price):
        return Dropped.NOT_FINITE
    if price <= 0:
        return Dropped.NOT_POSITIVE
    if moment is None:
        return Dropped.BAD_TIME
    if untimely := _untimely(asset, moment, now):
        return untimely
    # Written so that a NaN half-width is refused too.
    if (
        quote.confidence_usd is not None
        and not 0 <= quote.confidence_usd <= CONFIDENCE_LIMIT_RATIO * price
    ):
        return Dropped.WIDE_CONFIDENCE
    return _Usable(quote, price, moment)


def _untimely(asset: str, moment: datetime, now: datetime) -> str:
    if moment > now + FUTURE_TOLERANCE:
        return Dropped.FROM_FUTURE
    max_age = MAX_AGE_INDEX if asset in INDEXES else MAX_AGE
    return Dropped.TOO_OLD if moment < now - max_age else ""


def _choose(
    usable: Sequence[_Usable], now: datetime, last_good: LastGood | None
) -> tuple[Sequence[_Usable], Quality, str]:
    """Who carries the price, how good that makes it, and the reason of the others."""
    cluster = _largest_cluster(usable)
    if 2 * len(cluster) > len(usable):
        if len(cluster) > 1:
            return cluster, Quality.GOOD, Dropped.OUTLIER
        return _lone(cluster, now, last_good), Quality.SINGLE, Dropped.OUTLIER
    if last_good is None:
        return (), Quality.DISAGREE, Dropped.NO_MAJORITY
    limit_usd = NEAR_LAST_GOOD_RATIO * last_good.price_usd
    near = [one for one in usable if abs(one.price_usd - last_good.price_usd) <= limit_usd]
    return near, Quality.DISAGREE, Dropped.OUTLIER


def _lone(
    cluster: Sequence[_Usable], now: datetime, last_good: LastGood | None
) -> Sequence[_Usable]:
    if last_good is None or now - last_good.price_time > LONE_FACTOR_AGE:
        return cluster
    factor = cluster[0].price_usd / last_good.price_usd
    return cluster if 1 / LONE_FACTOR_LIMIT < factor < LONE_FACTOR_LIMIT else ()


def _largest_cluster(usable: Sequence[_Usable]) -> Sequence[_Usable]:
    """The largest run of the sorted quotes within 2 %; of equals the tightest, then lowest."""
    best: tuple[int, float] = (0, 0.0)
    found: Sequence[_Usable] = ()
    start = 0
    for end, one in enumerate(usable):
        # The hair keeps a quote exactly 2 % away inside, whatever the rounding.
        while one.price_usd / usable[start].price_usd > 1 + CLUSTER_RATIO + 1e-12:
            start += 1
        size = (end - start + 1, -one.price_usd / usable[start].price_usd)
        if size > best:
            best, found = size, usable[start : end + 1]
    return found


def _median(prices_usd: Sequence[float]) -> float:
    """Median of sorted values; halves before adding, so that no finite price becomes infinite."""
    middle = len(prices_usd) // 2
    if len(prices_usd) % 2:
        return prices_usd[middle]
    low, high = prices_usd[middle - 1], prices_usd[middle]
    return min(max(low + (high - low) / 2, low), high)
