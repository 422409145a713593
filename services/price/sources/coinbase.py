"""Coinbase Exchange's tickers, one call an asset."""

import asyncio
from collections.abc import Mapping, Sequence

from services.price.domain.prices import Quote
from services.price.sources.rate_limited_http import Pace, RateLimitedHttp, bad_body
from services.price.sources.reading import decimal, quote_or_reason, written_moment
from services.price.sources.source import Source, SourceSetup
from services.price.sources.unknown_assets import UnknownAssets
from shared.clock import Clock
from shared.http import FailureKind, ProviderFailure

NAME = "coinbase"
ASSETS = frozenset({"ADA", "AVAX", "BTC", "DOGE", "ETH", "LINK", "SOL", "XRP"})
# Ten a second are allowed, of which each may be tried twice.
_PACE = Pace(50, 10.0, retries=1)


class Coinbase:
    """A Source. It fails when nothing was answered; a product's failure is its quote's reason."""

    name = NAME
    assets = ASSETS

    def __init__(self, http: RateLimitedHttp, clock: Clock) -> None:
        self._http = http
        self._unknown = UnknownAssets(NAME, clock, _is_unknown)

    async def quotes(self, assets: Sequence[str]) -> Mapping[str, Quote]:
        left_out = self._unknown.leave_out(assets)
        asked = [asset for asset in assets if asset not in left_out]
        found = dict(zip(asked, await asyncio.gather(*map(self._ask, asked)), strict=True))
        failures = {asset: one for asset, one in found.items() if isinstance(one, ProviderFailure)}
        if failures and len(failures) == len(found):
            raise next(iter(failures.values()))
        self._unknown.learn(
            [asset for asset, failure in failures.items() if _is_unknown(failure)],
            [asset for asset in found if asset not in failures],
        )
        unknown = dict.fromkeys(left_out, Quote(NAME, dropped_reason=FailureKind.NOT_FOUND))
        return unknown | {
            asset: Quote(NAME, dropped_reason=one.kind) if isinstance(one, ProviderFailure) else one
            for asset, one in found.items()
        }

    async def _ask(self, asset: str) -> Quote | ProviderFailure:
        try:
            answer = await self._http.get_json(f"/products/{asset}-USD/ticker")
            if not isinstance(answer.body, dict):
                return bad_body("the answer is not an object")
            if "price" not in answer.body and "message" in answer.body:
                return bad_body("the answer is an error with HTTP 200")
            return quote_or_reason(NAME, read, answer.body)
        except ProviderFailure as failure:
            return failure


def connect(setup: SourceSetup) -> tuple[Source, RateLimitedHttp]:
    http = RateLimitedHttp(NAME, setup, _PACE)
    return Coinbase(http, setup.clock), http


def _is_unknown(failure: ProviderFailure) -> bool:
    return failure.kind is FailureKind.NOT_FOUND


def read(ticker: Mapping[str, object]) -> Quote:
    """The last trade. Raises Refused."""
    return Quote(NAME, decimal(ticker.get("price")), written_moment(ticker.get("time")))
