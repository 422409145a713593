"""Kraken's public ticker.

It states no time, so its quotes say that theirs is the moment of the answer.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.price.domain.prices import Dropped, Note, Quote
from services.price.sources.rate_limited_http import Pace, RateLimitedHttp, bad_body
from services.price.sources.reading import Refused, answer_moment, bound, decimal, quote_or_reason
from services.price.sources.source import Source, SourceSetup
from services.price.sources.unknown_assets import UnknownAssets
from shared.clock import Clock
from shared.http import FailureKind, ProviderFailure

NAME = "kraken"
# What to ask by, and what it may be called in the answer.
PAIRS = {
    "ADA": ("ADAUSD",),
    "AVAX": ("AVAXUSD",),
    "BTC": ("XBTUSD", "XXBTZUSD"),
    "DOGE": ("XDGUSD", "XXDGZUSD"),
    "ETH": ("ETHUSD", "XETHZUSD"),
    "LINK": ("LINKUSD",),
    "SOL": ("SOLUSD",),
    "XRP": ("XRPUSD", "XXRPZUSD"),
}
ASSETS = frozenset(PAIRS)
_PATH = "/0/public/Ticker"
# About one call a second is allowed.
_PACE = Pace(10, 10.0)
_LIMITED_SECONDS = 60.0
_LIMITS = ("EAPI:Rate limit", "EGeneral:Too many", "EGeneral:Temporary lockout")
_LAST_24_HOURS = 1


class Kraken:
    """A Source."""

    name = NAME
    assets = ASSETS

    def __init__(self, http: RateLimitedHttp, clock: Clock) -> None:
        self._http = http
        # One unknown pair makes the whole answer an error, and it does not say which one.
        self._unknown = UnknownAssets(
            NAME, clock, lambda failure: failure.kind is FailureKind.NOT_FOUND
        )

    async def quotes(self, assets: Sequence[str]) -> Mapping[str, Quote]:
        return await self._unknown.quotes(assets, self._ask)

    async def _ask(self, assets: Sequence[str]) -> Mapping[str, Quote]:
        asked = {"pair": ",".join(PAIRS[asset][0] for asset in assets)}
        answer = await self._http.get_json(_PATH, asked)
        tickers = checked(answer.body, self._http)
        moment = answer_moment(answer)
        return {
            asset: quote_or_reason(
                NAME, lambda names: read(called(tickers, names), moment), PAIRS[asset]
            )
            for asset in assets
        }


def checked(body: object, http: RateLimitedHttp) -> Mapping[str, object]:
    """The result of an answer. Raises ProviderFailure.

    Errors come with HTTP 200; one that begins with W is a warning beside a good answer.
    """
    said = body.get("error") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(said, list):
        raise bad_body("the answer is not an object with a list of errors")
    if errors := [str(one) for one in said if not str(one).startswith("W")]:
        raise _complaint(errors[0], http)
    result = body.get("result")
    if not isinstance(result, dict):
        raise bad_body("the answer has no result")
    return result


def _complaint(error: str, http: RateLimitedHttp) -> ProviderFailure:
    if error.startswith(_LIMITS):
        return http.silence("the provider says the rate limit is exceeded", _LIMITED_SECONDS)
    if error.startswith("EService"):
        return ProviderFailure(FailureKind.SERVER_ERROR, "the provider says it is not available")
    if error.startswith("EQuery:Unknown asset pair"):
        return ProviderFailure(FailureKind.NOT_FOUND, "the provider does not know one of the pairs")
    return bad_body("the answer is an error with HTTP 200")


def connect(setup: SourceSetup) -> tuple[Source, RateLimitedHttp]:
    http = RateLimitedHttp(NAME, setup, _PACE)
    return Kraken(http, setup.clock), http


def called(tickers: Mapping[str, object], names: Sequence[str]) -> object:
    """What stands under one of these names; None without any."""
    return next((tickers[name] for name in names if name in tickers), None)


def read(ticker: object, moment: datetime) -> Quote:
    """The last trade, and the range of the last 24 hours. Raises Refused."""
    if not isinstance(ticker, dict):
        raise Refused(Dropped.MISSING if ticker is None else Dropped.NOT_A_NUMBER)
    return Quote(
        NAME,
        decimal(_member(ticker.get("c"), 0)),
        moment,
        notes=(Note.TIME_OF_ANSWER,),
        high_24h_usd=bound(decimal, _member(ticker.get("h"), _LAST_24_HOURS)),
        low_24h_usd=bound(decimal, _member(ticker.get("l"), _LAST_24_HOURS)),
    )


def _member(values: object, place: int) -> object:
    return values[place] if isinstance(values, list) and len(values) > place else None
