"""Coinbase Exchange's tickers, one call an asset. Knows its products; nothing of other sources."""

import asyncio
from collections.abc import Mapping, Sequence

from services.price.domain.prices import Quote
from services.price.sources.paced import Pace, PacedHttp, bad_body
from services.price.sources.reading import decimal, quote_or_reason, written_moment
from services.price.sources.source import Source, SourceSetup
from shared.http import ProviderFailure

NAME = "coinbase"
ASSETS = frozenset({"ADA", "AVAX", "BTC", "DOGE", "ETH", "LINK", "SOL", "XRP"})
# Ten a second are allowed, of which each may be tried twice.
_PACE = Pace(50, 10.0, retries=1)


class Coinbase:
    """A Source. It fails as a whole when nothing was answered; a product's failure is its quote's reason."""

    name = NAME
    assets = ASSETS

    def __init__(self, http: PacedHttp) -> None:
        self._http = http

    async def quotes(self, assets: Sequence[str]) -> Mapping[str, Quote]:
        found = await asyncio.gather(*(self._ask(asset) for asset in assets))
        failures = [one for one in found if isinstance(one, ProviderFailure)]
        if failures and len(failures) == len(found):
            raise failures[0]
        return {
            asset: Quote(NAME, dropped_reason=one.kind) if isinstance(one, ProviderFailure) else one
            for asset, one in zip(assets, found, strict=True)
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


def connect(setup: SourceSetup) -> tuple[Source, PacedHttp]:
    http = PacedHttp(NAME, setup, _PACE)
    return Coinbase(http), http


def read(ticker: Mapping[str, object]) -> Quote:
    """The last trade. Raises Refused."""
    return Quote(NAME, decimal(ticker.get("price")), written_moment(ticker.get("time")))
