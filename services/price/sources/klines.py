"""Binance's candles of the past."""

from collections.abc import Sequence
from datetime import datetime

from services.price.domain.candles import Close, Interval
from services.price.sources import binance
from services.price.sources.rate_limited_http import RateLimitedHttp, bad_body
from services.price.sources.reading import Refused, decimal, milliseconds_moment
from shared.clock import Clock
from shared.errors import NotFound
from shared.http import ProviderFailure

PAGE_COUNT = 1000
_PATH = "/api/v3/klines"
_NAMES = {
    Interval.MINUTE: "1m",
    Interval.FIVE_MINUTES: "5m",
    Interval.QUARTER_HOUR: "15m",
    Interval.HOUR: "1h",
    Interval.FOUR_HOURS: "4h",
    Interval.DAY: "1d",
}
_LEAST_MEMBERS = 7
# Two pages a second leave most of the weight to the prices of now.
_PAUSE_SECONDS = 0.5


class Klines:
    """Closed candles by pages of at most 1000, on the same HTTP as the Binance source."""

    def __init__(self, http: RateLimitedHttp, clock: Clock) -> None:
        self._http = http
        self._clock = clock

    async def page(
        self, asset: str, interval: Interval, start: datetime, end: datetime
    ) -> Sequence[Close]:
        """Closes of the candles from `start` to before `end`, both whole intervals, at most 1000
        apart.

        Raises NotFound NO_CANDLES, ProviderFailure.
        """
        if asset not in binance.ASSETS:
            raise _unknown(asset)
        asked = {
            "symbol": binance.symbol(asset),
            "interval": _NAMES[interval],
            "startTime": str(_milliseconds(start)),
            "endTime": str(_milliseconds(end) - 1),
            "limit": str(PAGE_COUNT),
        }
        await self._clock.sleep(_PAUSE_SECONDS)
        try:
            answer = await self._http.get_json(_PATH, asked)
        except ProviderFailure as failure:
            if binance.is_unknown_symbol(failure):
                raise _unknown(asset) from failure
            raise
        return read(answer.body, interval, start, end)


def read(body: object, interval: Interval, start: datetime, end: datetime) -> list[Close]:
    """Raises ProviderFailure BAD_BODY: a page that breaks one promise is not trusted."""
    if not isinstance(body, list):
        raise bad_body("the answer is not a list of candles")
    closes: list[Close] = []
    for row in body:
        try:
            close = _close(row, interval)
        except Refused as refused:
            raise bad_body(f"a candle cannot be read ({refused.reason})") from refused
        if closes and close.start_time <= closes[-1].start_time:
            raise bad_body("the candles are unsorted or doubled")
        if not start <= close.start_time < end:
            raise bad_body("a candle lies outside the time asked for")
        closes.append(close)
    return closes


def _close(row: object, interval: Interval) -> Close:
    if not isinstance(row, list) or len(row) < _LEAST_MEMBERS:
        raise bad_body("a candle is not a list of its members")
    start_time = milliseconds_moment(row[0])
    first, high, low, last = (decimal(value) for value in row[1:5])
    if not 0 < low <= min(first, last) <= max(first, last) <= high:
        raise bad_body("a candle contradicts itself")
    if interval.start_of(start_time) != start_time:
        raise bad_body("a candle does not start where its interval does")
    return Close(start_time, last)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _unknown(asset: str) -> NotFound:
    return NotFound(
        "NO_CANDLES", f"the provider has no candles of {asset}", metadata={"asset": asset}
    )
