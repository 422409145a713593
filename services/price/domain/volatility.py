"""How much a price moves in an hour, from one close per hour."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from services.price.domain.prices import PriceRecord
from shared.touch import SIGMA_WINDOW_HOURS, sigmas

WINDOW = timedelta(hours=SIGMA_WINDOW_HOURS)


def hour_of(moment: datetime) -> datetime:
    """The start of the UTC hour; only hours that have ended have a close."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def hourly_closes(records: Iterable[PriceRecord]) -> tuple[list[int], list[float]]:
    """The last price of each hour that has one, of records that rise: hours since 1970, USD."""
    closes = {int(one.price_time.timestamp() // 3600): one.price_usd for one in records}
    return list(closes), list(closes.values())


def hourly_volatility_ratio(hours: Sequence[int], closes_usd: Sequence[float]) -> float | None:
    """Standard deviation of hourly log returns at the newest return, see `shared.touch.sigmas`.

    `hours` are whole hours (any origin), rising, `closes_usd` > 0 beside them. None with fewer than
    24 returns, or when nothing ever moved.
    """
    hour = np.asarray(hours, np.int64)
    newest = np.flatnonzero(np.diff(hour) == 1)
    if not len(newest):
        return None
    until = newest[-1] + 2
    ratio = float(sigmas(hour[:until], np.asarray(closes_usd, np.float64)[:until])[-1])
    return ratio if 0 < ratio < float("inf") else None
