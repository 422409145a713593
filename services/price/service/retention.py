"""The history of prices thins with its age: all, then minutes, then hours, then nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.price.domain.candles import Interval
from services.price.domain.prices import Market
from services.price.service.history import Begin
from shared.clock import Clock

_TRIM_ROWS = 10_000
# Intervals thinned in one transaction, which every other writer waits for.
_THIN_INTERVALS = 250


@dataclass(frozen=True, slots=True)
class Ages:
    """From which age on a minute, then an hour, keeps few rows, and none is kept; None = never."""

    minutes: timedelta | None
    hours: timedelta | None
    kept: timedelta | None


class HistoryRetention:
    """Of a minute or an hour that is thinned its first, highest, lowest and last price stay, so
    that its candle is what it was; rows written by hand stay all.
    """

    def __init__(self, begin: Begin, clock: Clock, ages: Ages) -> None:
        self._begin = begin
        self._clock = clock
        self._ages = ages

    async def trim(self) -> int:
        """Delete what its age leaves no place for, in small transactions; how many rows."""
        now = self._clock.now()
        count = 0 if self._ages.kept is None else await self._forget(now - self._ages.kept)
        async with self._begin() as store:
            assets = await store.assets()
        for interval, age in (
            (Interval.HOUR, self._ages.hours),
            (Interval.MINUTE, self._ages.minutes),
        ):
            if age is not None:
                until = interval.start_of(now - age)
                for market, asset in assets:
                    count += await self._thin(market, asset, interval, until)
        return count

    async def _forget(self, before: datetime) -> int:
        total = 0
        while True:
            async with self._begin() as store:
                count = await store.trim(before, _TRIM_ROWS)
            total += count
            if count < _TRIM_ROWS:
                return total

    async def _thin(self, market: Market, asset: str, interval: Interval, until: datetime) -> int:
        total = 0
        while True:
            async with self._begin() as store:
                await store.lock()
                count, first, last = await store.thin(
                    market, asset, interval, until, _THIN_INTERVALS
                )
                if not count:
                    return total
                await store.link(market, asset, first, last)
            total += count
