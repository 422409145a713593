"""Kraken's candles of the past: the newest 720 of an interval and no older ones."""

from collections.abc import Sequence
from datetime import datetime

from services.price.domain.candles import Interval, Kline
from services.price.sources import kraken
from services.price.sources.klines import checked, kline, no_candles
from services.price.sources.rate_limited_http import RateLimitedHttp, bad_body
from services.price.sources.reading import moment
from shared.http import FailureKind, ProviderFailure

_PATH = "/0/public/OHLC"
_MEMBERS = 8
_PLACES = (1, 2, 3, 4)


class KrakenCandles:
    """Closed candles, on the same HTTP as the Kraken source; what is too old for it is a gap."""

    name = kraken.NAME
    page_count = 720
    pause_seconds = 0.9

    def __init__(self, http: RateLimitedHttp) -> None:
        self._http = http

    async def page(
        self, asset: str, interval: Interval, start: datetime, end: datetime
    ) -> Sequence[Kline]:
        """Candles from `start` to before `end`, both whole intervals.

        Raises NotFound NO_CANDLES, ProviderFailure.
        """
        if asset not in kraken.ASSETS:
            raise no_candles(asset)
        asked = {
            "pair": kraken.PAIRS[asset][0],
            "interval": f"{interval.span.total_seconds() / 60:.0f}",
            # It answers with what comes after it.
            "since": f"{start.timestamp() - 1:.0f}",
        }
        try:
            answer = await self._http.get_json(_PATH, asked)
            result = kraken.checked(answer.body, self._http)
        except ProviderFailure as failure:
            if failure.kind is FailureKind.NOT_FOUND:
                raise no_candles(asset) from failure
            raise
        return read(kraken.called(result, kraken.PAIRS[asset]), interval, start, end)


def read(rows: object, interval: Interval, start: datetime, end: datetime) -> list[Kline]:
    """The last of all is still open: it lies outside the time asked for, with others.

    Raises ProviderFailure BAD_BODY.
    """
    if not isinstance(rows, list):
        raise bad_body("the answer is not a list of candles")
    found = [kline(row, _PLACES, _MEMBERS, moment) for row in rows]
    inside = [one for one in found if start <= one.start_time < end]
    return checked(inside, interval, start, end)
