"""Yahoo's chart of the S&P 500.

Outside trading hours its price is the last close, at its own old time.
"""

from collections.abc import Mapping, Sequence

from services.price.domain.prices import Dropped, Quote
from services.price.sources.rate_limited_http import Pace, RateLimitedHttp, bad_body
from services.price.sources.reading import Refused, moment, number, quote_or_reason
from services.price.sources.source import Source, SourceSetup
from shared.http import FailureKind, ProviderFailure

NAME = "yahoo"
SYMBOLS = {"SPX": "^GSPC"}
ASSETS = frozenset(SYMBOLS)
_PATH = "/v8/finance/chart/%5EGSPC"
# An undocumented page that answers browsers only, and rarely.
_HEADERS = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}
_PACE = Pace(10, 60.0, retries=0)


class Yahoo:
    """A Source."""

    name = NAME
    assets = ASSETS

    def __init__(self, http: RateLimitedHttp) -> None:
        self._http = http

    async def quotes(self, assets: Sequence[str]) -> Mapping[str, Quote]:
        answer = await self._http.get_json(_PATH, {"interval": "5m", "range": "1d"})
        meta = _meta(answer.body)
        if (meta.get("symbol"), meta.get("currency")) != (SYMBOLS["SPX"], "USD"):
            raise bad_body("the answer is of another symbol or currency")
        return {asset: quote_or_reason(NAME, read, meta) for asset in assets}


def connect(setup: SourceSetup) -> tuple[Source, RateLimitedHttp]:
    http = RateLimitedHttp(NAME, setup, _PACE, _HEADERS)
    return Yahoo(http), http


def _meta(body: object) -> Mapping[str, object]:
    """The head of the chart; its arrays, which hold nulls, are not needed."""
    chart = body.get("chart") if isinstance(body, dict) else None
    if not isinstance(chart, dict):
        raise bad_body("the answer has no chart")
    error = chart.get("error")
    if isinstance(error, dict) and error.get("code") == "Not Found":
        raise ProviderFailure(FailureKind.NOT_FOUND, "the provider does not know the symbol")
    if error is not None:
        raise bad_body("the answer is an error with HTTP 200")
    results = chart.get("result")
    first = results[0] if isinstance(results, list) and results else None
    meta = first.get("meta") if isinstance(first, dict) else None
    if not isinstance(meta, dict):
        raise bad_body("the chart has no head")
    return meta


def read(meta: Mapping[str, object]) -> Quote:
    """The last trade of the regular hours. Raises Refused."""
    if meta.get("regularMarketTime") is None:
        raise Refused(Dropped.BAD_TIME)
    return Quote(
        NAME, number(meta.get("regularMarketPrice")), moment(meta.get("regularMarketTime"))
    )
