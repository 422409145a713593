"""Minswap's aggregator: prices of Cardano tokens in ADA, and of ADA in USD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.withdrawals.decisions.ports import PricedAsset
from services.withdrawals.prices.domain import PriceQuote
from services.withdrawals.sources.reading import above_zero, at, bad_body, listed, shown
from shared.clock import Clock
from shared.http import Answer, ProviderHttp

DEFAULT_URL = "https://agg-api.minswap.org"
NAME = "minswap"
_ADA_PATH = "/aggregator/ada-price"
_TOKENS_PATH = "/aggregator/tokens"
_TOKENS_A_CALL = 50
_MOST_PAGES = 5


class Minswap:
    """A PriceSource of decisions. USD = price in ADA times the price of ADA; both are of the moment
    of the answer.
    """

    name = NAME

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def quotes(self, assets: Sequence[PricedAsset]) -> Mapping[str, PriceQuote]:
        """By asset name, every one; by the id of its token. Raises ProviderFailure."""
        by_token = await self._token_quotes([asset.token_id for asset in assets])
        return {asset.name: by_token.get(asset.token_id.lower(), _none(asset)) for asset in assets}

    async def _ada_usd(self) -> float | None:
        body = (await self._http.get_json(_ADA_PATH, {"currency": "usd"})).body
        if not isinstance(body, Mapping):
            raise bad_body(NAME, "no price of ADA")
        return above_zero(at(body, "value"), "price")

    async def _token_quotes(self, token_ids: Sequence[str]) -> Mapping[str, PriceQuote]:
        """USD a token by its id; one that Minswap does not know is not there."""
        wanted = list(dict.fromkeys(one.lower() for one in token_ids if one))
        if not wanted:
            return {}
        ada_usd = await self._ada_usd()
        found: dict[str, PriceQuote] = {}
        for first in range(0, len(wanted), _TOKENS_A_CALL):
            asked = wanted[first : first + _TOKENS_A_CALL]
            found |= await self._asked(asked, ada_usd)
        return found

    async def _asked(self, asked: list[str], ada_usd: float | None) -> dict[str, PriceQuote]:
        found: dict[str, PriceQuote] = {}
        sent: dict[str, object] = {"query": "", "only_verified": False, "assets": asked}
        for _ in range(_MOST_PAGES):
            answer = await self._http.post_json(_TOKENS_PATH, sent)
            found |= _prices(answer, asked, ada_usd)
            cursor = at(answer.body, "search_after")
            if len(found) == len(asked) or not cursor:
                break
            sent["search_after"] = cursor
        return found


def _prices(answer: Answer, asked: list[str], ada_usd: float | None) -> dict[str, PriceQuote]:
    found = {}
    for row in listed(answer.body, NAME, "tokens"):
        token_id = shown(row, "token_id").lower()
        if token_id in asked:
            in_ada = above_zero(row, "price_by_ada")
            price = None if in_ada is None or ada_usd is None else in_ada * ada_usd
            found[token_id] = _quote(price, answer.received_time, ada_usd)
    return found


def _none(asset: PricedAsset) -> PriceQuote:
    problem = "gave no price" if asset.token_id else "no token of it is registered"
    return PriceQuote(NAME, None, None, problem)


def _quote(price_usd: float | None, moment: datetime, ada_usd: float | None) -> PriceQuote:
    return PriceQuote(NAME, price_usd, moment, "" if price_usd else "gave no price", ada_usd)


def build_minswap(url: str, clock: Clock) -> tuple[Minswap, ProviderHttp]:
    """The source and the connection that must run for it; `url` empty: the public one."""
    http = ProviderHttp(NAME, url or DEFAULT_URL, clock=clock, per_second=2.0, burst=5.0)
    return Minswap(http), http
