"""What a new consensus makes of the kept price: missing data is no price, none is lost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from services.price.domain.consensus import FUTURE_TOLERANCE, Consensus, LastGood
from services.price.domain.prices import TRUSTED_QUALITIES, Market, Price, PriceRecord, Quality


@dataclass(frozen=True, slots=True)
class PriceUpdate:
    """The price from now on, the row it adds to the history (None: not newer), if it differs."""

    price: Price
    record: PriceRecord | None
    changed: bool

    def with_volatility(self, ratio: float | None, hour: datetime) -> PriceUpdate:
        """With the volatility of the whole hours before `hour`."""
        price = replace(self.price, hourly_volatility_ratio=ratio, volatility_hour_time=hour)
        return replace(self, price=price)


def last_good(kept: Price | None) -> LastGood | None:
    if kept is None or kept.last_good_price_usd is None or kept.last_good_time is None:
        return None
    return LastGood(kept.last_good_price_usd, kept.last_good_time)


def from_record(record: PriceRecord) -> Price:
    """The price that was kept when the row was the newest of its history."""
    return Price(
        record.asset,
        record.market,
        record.quality,
        price_usd=record.price_usd,
        price_time=record.price_time,
        source=record.source,
        last_good_price_usd=record.price_usd,
        last_good_time=record.price_time,
    )


def apply_history(
    kept: Price | None,
    asset: str,
    market: Market,
    newest: PriceRecord | None,
    trusted: PriceRecord | None,
    *,
    vouched: bool,
) -> Price:
    """The present price after a hand or a backfill changed the history: always its newest row.

    `trusted`: the newest row that makes a last good price. Not `vouched`: a newer row is STALE.
    """
    price = replace(
        kept or Price(asset, market, Quality.NONE),
        last_good_price_usd=trusted.price_usd if trusted else None,
        last_good_time=trusted.price_time if trusted else None,
        previous_price_usd=newest.previous_price_usd if newest else None,
        previous_price_time=newest.previous_price_time if newest else None,
    )
    if newest is None:
        return replace(price, quality=Quality.NONE, price_usd=None, price_time=None, source="")
    if (price.price_time, price.price_usd) == (newest.price_time, newest.price_usd):
        return replace(price, source=newest.source)
    return replace(
        price,
        quality=newest.quality if vouched else Quality.STALE,
        price_usd=newest.price_usd,
        price_time=newest.price_time,
        source=newest.source,
        refresh_time=max(price.refresh_time or newest.price_time, newest.price_time),
    )


def apply_consensus(
    kept: Price | None, asset: str, market: Market, consensus: Consensus, now: datetime
) -> PriceUpdate:
    """Without a usable quote the kept price stays, STALE (NONE when nothing was ever known).

    A consensus not newer than the kept price changes its quality and quotes only; one of the
    future, left by a clock that was ahead, holds nothing up.
    """
    before = kept or Price(asset, market, Quality.NONE)
    judged = replace(before, quotes=consensus.quotes, refresh_time=now)
    if consensus.price_usd is None or consensus.price_time is None or consensus.quality is None:
        quality = Quality.NONE if before.price_usd is None else Quality.STALE
        return _update(kept, replace(judged, quality=quality), None)
    if before.price_time is not None and before.price_time > now + FUTURE_TOLERANCE:
        before = replace(before, price_usd=None, price_time=None)
    if before.price_time is not None and consensus.price_time <= before.price_time:
        return _update(kept, replace(judged, quality=consensus.quality), None)
    record = PriceRecord(
        asset,
        market,
        consensus.price_usd,
        consensus.price_time,
        before.price_usd,
        before.price_time,
        consensus.source,
        consensus.quality,
    )
    price = replace(
        judged,
        quality=consensus.quality,
        price_usd=record.price_usd,
        price_time=record.price_time,
        previous_price_usd=record.previous_price_usd,
        previous_price_time=record.previous_price_time,
        source=record.source,
    )
    if consensus.quality in TRUSTED_QUALITIES:
        price = replace(
            price, last_good_price_usd=record.price_usd, last_good_time=record.price_time
        )
    return _update(kept, price, record)


def _update(kept: Price | None, price: Price, record: PriceRecord | None) -> PriceUpdate:
    changed = kept is None or record is not None or kept.quality is not price.quality
    return PriceUpdate(price, record, changed)
