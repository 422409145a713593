"""A simulated market: every price is a pure function of the seed, the asset, the start and the
moment.

A crash comes ten minutes after each full hour since the start. Every quote says demo.
"""

import hashlib
import math
from datetime import datetime, timedelta
from functools import lru_cache

from services.price.domain.prices import Market, PriceRecord, Quality

SOURCE_NAMES = ("demo-a", "demo-b", "demo-c")
BACKFILL_HOUR_COUNT = 7 * 24

_START_PRICES_USD = {"BTC": 97_000.0, "ETH": 3_400.0, "SOL": 180.0, "SPX": 5_900.0}
# Waves of noise: period in seconds, size in log price. Together about 0.7 % an hour.
_OCTAVES = ((172_800.0, 0.05), (21_600.0, 0.02), (3_600.0, 0.008), (600.0, 0.003), (60.0, 0.0008))
_CRASH_SECONDS = 600.0
_BOTTOM_SECONDS = 840.0
_RECOVERED_SECONDS = 2_040.0
_CRASH_PERIOD_SECONDS = 3_600.0
_LEAST_FALL_RATIO = 0.18
_MOST_FALL_RATIO = 0.30
# Simulated sources lie this far apart at most: close enough to agree, apart enough to be seen.
_SOURCE_SPREAD_RATIO = 0.0005


def price_usd(seed: str, asset: str, start_time: datetime, moment: datetime) -> float:
    """The demo price, > 0, at any moment; calm before the start, a crash each hour after it."""
    elapsed_seconds = (moment - start_time).total_seconds()
    move = sum(size * _wave(seed, asset, period, elapsed_seconds) for period, size in _OCTAVES)
    return _start_price_usd(seed, asset) * math.exp(move + _crash(seed, asset, elapsed_seconds))


def quoted_usd(seed: str, asset: str, start_time: datetime, moment: datetime, source: str) -> float:
    """What one simulated source quotes: the demo price and a hair of its own."""
    hair = _SOURCE_SPREAD_RATIO * _wave(
        seed, f"{asset} {source}", 30.0, (moment - start_time).total_seconds()
    )
    return price_usd(seed, asset, start_time, moment) * (1 + hair)


def backfill(seed: str, asset: str, start_time: datetime, until: datetime) -> list[PriceRecord]:
    """Seven days of hourly history that end an hour before `until`, oldest first."""
    records: list[PriceRecord] = []
    for hours in range(BACKFILL_HOUR_COUNT, 0, -1):
        moment = until - timedelta(hours=hours)
        before = records[-1] if records else None
        record = PriceRecord(
            asset,
            Market.DEMO,
            price_usd(seed, asset, start_time, moment),
            moment,
            before.price_usd if before else None,
            before.price_time if before else None,
            "demo",
            Quality.GOOD,
        )
        records.append(record)
    return records


def _start_price_usd(seed: str, asset: str) -> float:
    known = _START_PRICES_USD.get(asset)
    return known if known is not None else 10.0 * 10.0 ** _chance(seed, asset, "start")


def _wave(seed: str, asset: str, period_seconds: float, elapsed_seconds: float) -> float:
    """Smooth noise in [-1, 1]: chance at every full period, eased in between."""
    place = elapsed_seconds / period_seconds
    step = math.floor(place)
    before = 2 * _chance(seed, asset, f"{period_seconds} {step}") - 1
    after = 2 * _chance(seed, asset, f"{period_seconds} {step + 1}") - 1
    return before + (after - before) * _ease(place - step)


def _crash(seed: str, asset: str, elapsed_seconds: float) -> float:
    """The log fall each hour: none for ten minutes, 18 to 30 % within four, back within twenty."""
    if elapsed_seconds < 0:
        return 0.0
    hour, second = divmod(elapsed_seconds, _CRASH_PERIOD_SECONDS)
    depth = _LEAST_FALL_RATIO + (_MOST_FALL_RATIO - _LEAST_FALL_RATIO) * _chance(
        seed, asset, f"fall {hour}"
    )
    fall = math.log(1 - depth)
    if second <= _BOTTOM_SECONDS:
        return fall * _ease((second - _CRASH_SECONDS) / (_BOTTOM_SECONDS - _CRASH_SECONDS))
    return fall * (1 - _ease((second - _BOTTOM_SECONDS) / (_RECOVERED_SECONDS - _BOTTOM_SECONDS)))


def _ease(ratio: float) -> float:
    ratio = min(max(ratio, 0.0), 1.0)
    return ratio * ratio * (3 - 2 * ratio)


@lru_cache(maxsize=4096)
def _chance(seed: str, asset: str, what: str) -> float:
    """A number in [0, 1) that is always the same for the same words."""
    digest = hashlib.blake2b(f"{seed}|{asset}|{what}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
