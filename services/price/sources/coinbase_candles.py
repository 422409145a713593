"""Coinbase's candles of the past."""

from collections.abc import Sequence
from datetime import datetime

from services.price.domain.candles import Interval, Kline
from services.price.sources import coinbase
from services.price.sources.klines import checked, kline, no_candles
from services.price.sources.rate_limited_http import RateLimitedHttp, bad_body
from services.price.sources.reading import moment, number
from shared.http import FailureKind, ProviderFailure

_MEMBERS = 6
# Time, low, high, open, close: an order of its own.
_PLACES = (3, 2, 1, 4)


class CoinbaseCandles:
    """Closed candles by pages of at most 300, on the same HTTP as the Coinbase source."""

    name = coinbase.NAME
    page_count = 300
    pause_seconds = 0.5

    def __init__(self, http: RateLimitedHttp) -> None:
        self._http = http

    async def page(
        self, asset: str, interval: Interval, start: datetime, end: datetime
    ) -> Sequence[Kline]:
        """Candles from `start` to before `end`, both whole intervals, at most 300 apart.

        Raises NotFound NO_CANDLES, ProviderFailure.
        """
        if asset not in coinbase.ASSETS:
            raise no_candles(asset)
        asked = {
            "granularity": f"{interval.span.total_seconds():.0f}",
            "start": start.isoformat(),
            # It takes the end along.
            "end": (end - interval.span).isoformat(),
        }
        try:
            answer = await self._http.get_json(f"/products/{asset}-USD/candles", asked)
        except ProviderFailure as failure:
            if failure.kind is FailureKind.NOT_FOUND:
                raise no_candles(asset) from failure
            raise
        return read(answer.body, interval, start, end)


def read(body: object, interval: Interval, start: datetime, end: datetime) -> list[Kline]:
    """Newest first as it comes. Raises ProviderFailure BAD_BODY."""
    if not isinstance(body, list):
        raise bad_body("the answer is not a list of candles")
    found = [kline(row, _PLACES, _MEMBERS, moment, number) for row in body]
    return checked(found[::-1], interval, start, end)
