"""CoinGecko's simple price. Knows its ids, its limits and its way of saying no; nothing of other sources."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

from services.price.domain.prices import Dropped, Quote
from services.price.sources.budget import CallBudget
from services.price.sources.reading import moment, number, quote_or_reason
from services.price.sources.source import Connected, SourceSetup
from shared.clock import Clock
from shared.http import FailureKind, ProviderFailure, ProviderHttp

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
_PATH = "/api/v3/simple/price"
_MINUTE_SECONDS = 60.0
# Without a key all users of one address share the public host; a mirror of one's own is not shared.
_PUBLIC_HOST = "api.coingecko.com"
_SHARED_CALLS_PER_MINUTE = 5
_OWN_CALLS_PER_MINUTE = 30
_RATE_LIMITED_CODE = 429


class CoinGecko:
    """A Source that asks at most `calls_per_minute` times a minute.

    Every try counts, so nothing is tried twice: the next refresh is the retry.
    """

    name = NAME

    def __init__(self, http: ProviderHttp, clock: Clock, *, calls_per_minute: int, api_key: str = "") -> None:
        self._http = http
        self._headers = {"x-cg-demo-api-key": api_key} if api_key else {}
        self._budget = CallBudget(calls_per_minute, _MINUTE_SECONDS, clock)

    async def quotes(self, assets: Sequence[str]) -> Mapping[str, Quote]:
        ids = {asset: IDS[asset] for asset in assets if asset in IDS}
        if not ids:
            return {asset: Quote(NAME, dropped_reason=Dropped.UNSUPPORTED) for asset in assets}
        wait_seconds = self._budget.take()
        if wait_seconds > 0:
            raise _limited("the call budget is used up", wait_seconds)
        asked = {"ids": ",".join(ids.values()), "vs_currencies": "usd", "include_last_updated_at": "true"}
        answer = await self._http.get_json(_PATH, asked, headers=self._headers)
        return {asset: self._quote(answer.body, ids.get(asset)) for asset in assets}

    def _quote(self, body: object, id: str | None) -> Quote:
        if id is None:
            return Quote(NAME, dropped_reason=Dropped.UNSUPPORTED)
        return quote_or_reason(NAME, lambda: read(self._checked(body), id))

    def _checked(self, body: object) -> Mapping[str, object]:
        """The answer's object; an error may come with HTTP 200, and a limit so told holds for a window."""
        if not isinstance(body, dict):
            raise ProviderFailure(FailureKind.BAD_BODY, "the answer is not an object")
        status = body.get("status")
        if not isinstance(status, dict) or "error_code" not in status:
            return body
        if status["error_code"] != _RATE_LIMITED_CODE:
            raise ProviderFailure(FailureKind.BAD_BODY, "the answer is an error with HTTP 200")
        self._budget.exhaust()
        raise _limited("the provider says the rate limit is exceeded", _MINUTE_SECONDS)


def connect(setup: SourceSetup) -> Connected:
    http = ProviderHttp(
        NAME, setup.url, clock=setup.clock, timeout_seconds=setup.call_timeout_seconds, retries=0
    )
    is_shared = not setup.api_key and urlsplit(setup.url).hostname == _PUBLIC_HOST
    calls_per_minute = _SHARED_CALLS_PER_MINUTE if is_shared else _OWN_CALLS_PER_MINUTE
    source = CoinGecko(http, setup.clock, calls_per_minute=calls_per_minute, api_key=setup.api_key)
    return Connected(source, http)


def read(body: Mapping[str, object], id: str) -> Quote:
    """One coin of the answer; an id CoinGecko does not know is simply not there. Raises Refused."""
    coin = body.get(id)
    if not isinstance(coin, dict):
        return Quote(NAME, dropped_reason=Dropped.MISSING if coin is None else Dropped.NOT_A_NUMBER)
    return Quote(NAME, number(coin.get("usd")), moment(coin.get("last_updated_at")))


def _limited(message: str, wait_seconds: float) -> ProviderFailure:
    return ProviderFailure(FailureKind.RATE_LIMITED, message, retry_after=timedelta(seconds=wait_seconds))
