"""Binance's candles of the past."""

from collections.abc import Callable, Sequence
from datetime import datetime

from services.price.domain.candles import Interval, Kline
from services.price.sources import binance
from services.price.sources.rate_limited_http import RateLimitedHttp, bad_body
from services.price.sources.reading import Refused, decimal, milliseconds_moment
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


class Klines:
    """Closed candles by pages of at most 1000, on the same HTTP as the Binance source."""

    name = binance.NAME
    page_count = PAGE_COUNT
    # Two pages a second leave most of the weight to the prices of now.
    pause_seconds = 0.5

    def __init__(self, http: RateLimitedHttp) -> None:
        self._http = http

    async def page(
        self, asset: str, interval: Interval, start: datetime, end: datetime
    ) -> Sequence[Kline]:
        """The candles from `start` to before `end`, both whole intervals, at most 1000
        apart.

        Raises NotFound NO_CANDLES, ProviderFailure.
        """
        if asset not in binance.ASSETS:
            raise no_candles(asset)
        asked = {
            "symbol": binance.symbol(asset),
            "interval": _NAMES[interval],
            "startTime": str(_milliseconds(start)),
            "endTime": str(_milliseconds(end) - 1),
            "limit": str(PAGE_COUNT),
        }
        try:
            answer = await self._http.get_json(_PATH, asked)
        except ProviderFailure as failure:
            if binance.is_unknown_symbol(failure):
                raise no_candles(asset) from failure
            raise
        return read(answer.body, interval, start, end)


def read(body: object, interval: Interval, start: datetime, end: datetime) -> list[Kline]:
    """Raises ProviderFailure BAD_BODY: a page that breaks one promise is not trusted."""
    if not isinstance(body, list):
        raise bad_body("the answer is not a list of candles")
    return checked([kline(row, (1, 2, 3, 4), _LEAST_MEMBERS) for row in body], interval, start, end)


def kline(
    row: object,
    places: tuple[int, int, int, int],
    least_members: int,
    moment: Callable[[object], datetime] = milliseconds_moment,
    price: Callable[[object], float] = decimal,
) -> Kline:
    """A candle of a list: its time first, open, high, low and close at these places.

    Raises ProviderFailure BAD_BODY.
    """
    if not isinstance(row, list) or len(row) < least_members:
        raise bad_body("a candle is not a list of its members")
    try:
        return Kline(moment(row[0]), *(price(row[place]) for place in places))
    except Refused as refused:
        raise bad_body(f"a candle cannot be read ({refused.reason})") from refused


def checked(
    klines: Sequence[Kline], interval: Interval, start: datetime, end: datetime
) -> list[Kline]:
    """The candles when they rise, lie in the time asked for and do not contradict themselves.

    Raises ProviderFailure BAD_BODY.
    """
    for place, one in enumerate(klines):
        if not one.is_whole:
            raise bad_body("a candle contradicts itself")
        if interval.start_of(one.start_time) != one.start_time:
            raise bad_body("a candle does not start where its interval does")
        if place and one.start_time <= klines[place - 1].start_time:
            raise bad_body("the candles are unsorted or doubled")
        if not start <= one.start_time < end:
            raise bad_body("a candle lies outside the time asked for")
    return list(klines)


def no_candles(asset: str) -> NotFound:
    """The provider's answer that it has none of this asset."""
    return NotFound(
        "NO_CANDLES", f"the provider has no candles of {asset}", metadata={"asset": asset}
    )


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
