"""How much a price moves in an hour, from one close per hour."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from services.price.domain.prices import PriceRecord

HALF_LIFE_HOURS = 72.0
MIN_RETURN_COUNT = 24
# Ten half-lives: what is older weighs less than a thousandth.
WINDOW = timedelta(hours=720)


def hour_of(moment: datetime) -> datetime:
    """The start of the UTC hour; only hours that have ended have a close."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def hourly_closes(records: Iterable[PriceRecord]) -> tuple[list[int], list[float]]:
    """The last price of each hour that has one, of records that rise: hours since 1970, USD."""
    closes = {int(one.price_time.timestamp() // 3600): one.price_usd for one in records}
    return list(closes), list(closes.values())


def hourly_volatility_ratio(hours: Sequence[int], closes_usd: Sequence[float]) -> float | None:
    """Standard deviation of hourly log returns r, EWMA without drift.

    sqrt(sum(w r^2) / sum(w)) with w = 2^(-age / 72 h), the age counted from the newest return.
    `hours` are whole hours (any origin), rising, `closes_usd` > 0 beside them. A return counts only
    between two hours in a row: a gap is no hourly move. None with fewer than 24 returns, or when
    nothing ever moved.
    """
    hour = np.asarray(hours, dtype=np.int64)
    close = np.asarray(closes_usd, dtype=np.float64)
    follows = np.diff(hour) == 1
    returns = np.diff(np.log(close))[follows]
    if returns.size < MIN_RETURN_COUNT:
        return None
    ended = hour[1:][follows]
    weight = np.exp2((ended - ended[-1]) / HALF_LIFE_HOURS)
    ratio = float(np.sqrt(np.sum(weight * returns**2) / np.sum(weight)))
    return ratio if 0 < ratio < float("inf") else None
