"""Binance's 24-hour ticker.

It quotes in USDT: its quotes say so and count as USD, which the consensus of 2 % allows.
"""

import json
from collections.abc import Mapping, Sequence

from services.price.domain.prices import Dropped, Note, Quote
from services.price.sources.rate_limited_http import Pace, RateLimitedHttp, bad_body
from services.price.sources.reading import (
    Refused,
    bound,
    decimal,
    milliseconds_moment,
    quote_or_reason,
)
from services.price.sources.source import Source, SourceSetup
from services.price.sources.unknown_assets import UnknownAssets
from shared.clock import Clock
from shared.http import Answer, ProviderFailure
from shared.http.client import Params

NAME = "binance"
ASSETS = frozenset({"ADA", "AVAX", "BNB", "BTC", "DOGE", "ETH", "LINK", "SOL", "XRP"})
_PATH = "/api/v3/ticker/24hr"
# A limit is told by Retry-After; asking on against it earns a ban, so nothing is tried twice.
_PACE = Pace(240, 60.0, retries=0)
_UNKNOWN_SYMBOL_CODE = -1121
_WEIGHT_HEADER = "x-mbx-used-weight-1m"
# Of 6000 a minute, which all users of one address share.
_MOST_WEIGHT = 5_400
_MINUTE_SECONDS = 60.0


class BinanceHttp(RateLimitedHttp):
    """Its HTTP: a weight nearly spent is a pause."""

    def __init__(self, setup: SourceSetup, pace: Pace) -> None:
        super().__init__(NAME, setup, pace)

    async def get_json(
        self, path: str, params: Params | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        answer = await super().get_json(path, params, headers=headers)
        used = answer.headers.get(_WEIGHT_HEADER, "")
        if used.isascii() and used.isdigit() and len(used) < 9 and int(used) > _MOST_WEIGHT:
            self.rate_limit.silence(_MINUTE_SECONDS)
        return answer


class Binance:
    """A Source."""

    name = NAME
    assets = ASSETS

    def __init__(self, http: RateLimitedHttp, clock: Clock) -> None:
        self._http = http
        self._unknown = UnknownAssets(NAME, clock, is_unknown_symbol)

    async def quotes(self, assets: Sequence[str]) -> Mapping[str, Quote]:
        return await self._unknown.quotes(assets, self._ask)

    async def _ask(self, assets: Sequence[str]) -> Mapping[str, Quote]:
        symbols = json.dumps([symbol(asset) for asset in assets], separators=(",", ":"))
        tickers = _by_symbol((await self._http.get_json(_PATH, {"symbols": symbols})).body)
        return {asset: quote_or_reason(NAME, read, tickers.get(symbol(asset))) for asset in assets}


def connect(setup: SourceSetup) -> tuple[Source, RateLimitedHttp]:
    http = BinanceHttp(setup, _PACE)
    return Binance(http, setup.clock), http


def is_unknown_symbol(failure: ProviderFailure) -> bool:
    """It does not say which one."""
    return isinstance(failure.body, dict) and failure.body.get("code") == _UNKNOWN_SYMBOL_CODE


def symbol(asset: str) -> str:
    return f"{asset}USDT"


def _by_symbol(body: object) -> Mapping[str, object]:
    """A list, or one ticker by itself where a mirror is so minded; an error is an object too."""
    rows = [body] if isinstance(body, dict) and "symbol" in body else body
    if not isinstance(rows, list):
        raise bad_body("the answer is not a list of tickers")
    return {
        row["symbol"]: row
        for row in rows
        if isinstance(row, dict) and isinstance(row.get("symbol"), str)
    }


def read(ticker: object) -> Quote:
    """The last trade, and the range of the last 24 hours. Raises Refused."""
    if not isinstance(ticker, dict):
        raise Refused(Dropped.MISSING)
    return Quote(
        NAME,
        decimal(ticker.get("lastPrice")),
        milliseconds_moment(ticker.get("closeTime")),
        notes=(Note.QUOTED_IN_USDT,),
        high_24h_usd=bound(decimal, ticker.get("highPrice")),
        low_24h_usd=bound(decimal, ticker.get("lowPrice")),
    )
