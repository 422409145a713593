"""CoinGecko."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from services.price.domain.prices import Dropped, Quote
from services.price.sources.rate_limited_http import Pace, RateLimitedHttp, bad_body
from services.price.sources.reading import (
    Refused,
    bound,
    moment,
    number,
    quote_or_reason,
    written_moment,
)
from services.price.sources.source import Source, SourceSetup

NAME = "coingecko"
IDS = {
    "ADA": "cardano",
    "AVAX": "avalanche-2",
    "BNB": "binancecoin",
    "BTC": "bitcoin",
    "DOGE": "dogecoin",
    "ETH": "ethereum",
    "LINK": "chainlink",
    "SOL": "solana",
    "XRP": "ripple",
}
ASSETS = frozenset(IDS)
_SIMPLE_PATH = "/api/v3/simple/price"
_MARKETS_PATH = "/api/v3/coins/markets"
_MINUTE_SECONDS = 60.0
# Without a key all users of one address share the public host; a mirror of one's own is not shared.
_PUBLIC_HOST = "api.coingecko.com"
_SHARED_CALLS_PER_MINUTE = 5
_OWN_CALLS_PER_MINUTE = 30
_RATE_LIMITED_CODE = 429


class CoinGecko:
    """A Source on the simple page, or on the markets page, which has the range of 24 hours too.

    Every try counts for its rate limit, so nothing is tried twice: the next refresh is the retry.
    """

    name = NAME
    assets = ASSETS

    def __init__(self, http: RateLimitedHttp, *, wants_range: bool = False) -> None:
        self._http = http
        self._wants_range = wants_range

    async def quotes(self, assets: Sequence[str]) -> Mapping[str, Quote]:
        ids = ",".join(IDS[asset] for asset in assets)
        coins, read = (
            (await self._markets(ids), market)
            if self._wants_range
            else (await self._simple(ids), simple)
        )
        return {asset: quote_or_reason(NAME, read, coins.get(IDS[asset])) for asset in assets}

    async def _simple(self, ids: str) -> Mapping[str, object]:
        asked = {"ids": ids, "vs_currencies": "usd", "include_last_updated_at": "true"}
        body = self._checked((await self._http.get_json(_SIMPLE_PATH, asked)).body)
        if not isinstance(body, dict):
            raise bad_body("the answer is not an object")
        return body

    async def _markets(self, ids: str) -> Mapping[str, object]:
        asked = {"vs_currency": "usd", "ids": ids}
        body = self._checked((await self._http.get_json(_MARKETS_PATH, asked)).body)
        if not isinstance(body, list):
            raise bad_body("the answer is not a list")
        rows = [row for row in body if isinstance(row, dict)]
        return {row["id"]: row for row in rows if isinstance(row.get("id"), str)}

    def _checked(self, body: object) -> object:
        """An error may come with HTTP 200, and a limit so told holds for a window."""
        status = body.get("status") if isinstance(body, dict) else None
        if not isinstance(status, dict) or "error_code" not in status:
            return body
        if status["error_code"] != _RATE_LIMITED_CODE:
            raise bad_body("the answer is an error with HTTP 200")
        raise self._http.silence("the provider says the rate limit is exceeded", _MINUTE_SECONDS)


def connect(setup: SourceSetup) -> tuple[Source, RateLimitedHttp]:
    is_shared = not setup.api_key and urlsplit(setup.url).hostname == _PUBLIC_HOST
    calls_per_minute = _SHARED_CALLS_PER_MINUTE if is_shared else _OWN_CALLS_PER_MINUTE
    headers = {"x-cg-demo-api-key": setup.api_key} if setup.api_key else {}
    http = RateLimitedHttp(NAME, setup, Pace(calls_per_minute, _MINUTE_SECONDS, retries=0), headers)
    return CoinGecko(http, wants_range=setup.wants_range), http


def simple(coin: object) -> Quote:
    """One coin of the simple page. Raises Refused."""
    values = _object(coin)
    return Quote(NAME, number(values.get("usd")), moment(values.get("last_updated_at")))


def market(coin: object) -> Quote:
    """One coin of the markets page. Raises Refused."""
    values = _object(coin)
    return Quote(
        NAME,
        number(values.get("current_price")),
        written_moment(values.get("last_updated")),
        high_24h_usd=bound(number, values.get("high_24h")),
        low_24h_usd=bound(number, values.get("low_24h")),
    )


def _object(coin: object) -> Mapping[str, object]:
    """An id CoinGecko does not know is simply not there."""
    if not isinstance(coin, dict):
        raise Refused(Dropped.MISSING if coin is None else Dropped.NOT_A_NUMBER)
    return coin
