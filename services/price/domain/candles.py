"""Intervals of time, what prices did in them, and where nothing is known."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Interval(IntEnum):
    MINUTE = 1
    FIVE_MINUTES = 2
    QUARTER_HOUR = 3
    HOUR = 4
    FOUR_HOURS = 5
    DAY = 6

    @property
    def span(self) -> timedelta:
        return timedelta(minutes=(1, 5, 15, 60, 240, 1440)[self.value - 1])

    def start_of(self, moment: datetime) -> datetime:
        """The start of the interval that holds the moment: a whole multiple since 1970 UTC."""
        return _EPOCH + (moment - _EPOCH) // self.span * self.span

    def end_of(self, moment: datetime) -> datetime:
        """The first start of an interval at or after the moment."""
        start = self.start_of(moment)
        return start if start == moment else start + self.span


@dataclass(frozen=True, slots=True)
class Candle:
    """What the prices of one interval did, in USD; `complete` once the interval has ended."""

    start_time: datetime
    open_usd: float
    high_usd: float
    low_usd: float
    close_usd: float
    record_count: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """Intervals in a row of which nothing is known."""

    start_time: datetime
    end_time: datetime
    interval_count: int


@dataclass(frozen=True, slots=True)
class Kline:
    """What one ended interval did at a provider, USD, 0 < low <= open, close <= high."""

    start_time: datetime
    open_usd: float
    high_usd: float
    low_usd: float
    close_usd: float

    def price_time(self, interval: Interval) -> datetime:
        """When its close was true: just before the interval ended, so that it belongs to it."""
        return self.start_time + interval.span - _MILLISECOND

    @property
    def is_whole(self) -> bool:
        """Whether it does not contradict itself."""
        first, last = self.open_usd, self.close_usd
        return 0 < self.low_usd <= min(first, last) <= max(first, last) <= self.high_usd


@dataclass(frozen=True, slots=True)
class CandlePage:
    """Candles and gaps that together cover a stretch of time."""

    candles: tuple[Candle, ...]
    gaps: tuple[Gap, ...]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class BackfillProgress:
    """How far a backfill has come; counts of the whole call, gaps found since the last word."""

    fetched_count: int
    inserted_count: int
    covered_until_time: datetime
    gaps: tuple[Gap, ...]
    done: bool

    @property
    def known_count(self) -> int:
        """Those whose time had a row already."""
        return self.fetched_count - self.inserted_count


def gaps(
    starts: Iterable[datetime], interval: Interval, start: datetime, end: datetime
) -> list[Gap]:
    """The empty intervals from `start` to `end`, neighbours joined; `starts` rise."""
    found = []
    expected = start
    for moment in (*starts, end):
        if moment > expected:
            found.append(Gap(expected, moment, (moment - expected) // interval.span))
        expected = max(expected, moment + interval.span)
    return found
