"""Jupiter's price v3.

It states no time and, for BTC and ETH, prices the bridged token: its quotes say both.
"""

from collections.abc import Mapping, Sequence

from services.price.domain.prices import Dropped, Note, Quote
from services.price.sources.rate_limited_http import Pace, RateLimitedHttp, bad_body
from services.price.sources.reading import Refused, answer_moment, number, quote_or_reason
from services.price.sources.source import Source, SourceSetup

NAME = "jupiter"
MINTS = {
    "BTC": "3NZ9JMVBmGAqocybic2c7LQCJScmgsAZ6vQqTDzcqmJh",
    "ETH": "7vfCXTUXx5WJV5JADk17DUJ4ksgau7utNKj4b963voxs",
    "SOL": "So11111111111111111111111111111111111111112",
}
ASSETS = frozenset(MINTS)
_BRIDGED = frozenset({"BTC", "ETH"})
_PATH = "/price/v3"
# A call in two seconds, with a key in one; a 429 says the unix second of its end.
_KEYLESS_SECONDS = 2.0
_KEYED_SECONDS = 1.0
_RESET_HEADER = "x-ratelimit-reset"


class Jupiter:
    """A Source."""

    name = NAME
    assets = ASSETS

    def __init__(self, http: RateLimitedHttp) -> None:
        self._http = http

    async def quotes(self, assets: Sequence[str]) -> Mapping[str, Quote]:
        answer = await self._http.get_json(
            _PATH, {"ids": ",".join(MINTS[asset] for asset in assets)}
        )
        tokens = answer.body
        # `{"data": {...}}` is the shape of v2, which is gone: such a mirror is of the past.
        if not isinstance(tokens, dict) or "data" in tokens:
            raise bad_body("the answer is not an object of tokens")
        moment = answer_moment(answer)

        def read(asset: str) -> Quote:
            notes = (Note.TIME_OF_ANSWER, *((Note.BRIDGED,) if asset in _BRIDGED else ()))
            return Quote(NAME, usd(tokens.get(MINTS[asset])), moment, notes=notes)

        return {asset: quote_or_reason(NAME, read, asset) for asset in assets}


def connect(setup: SourceSetup) -> tuple[Source, RateLimitedHttp]:
    seconds = _KEYED_SECONDS if setup.api_key else _KEYLESS_SECONDS
    headers = {"x-api-key": setup.api_key} if setup.api_key else {}
    http = RateLimitedHttp(
        NAME, setup, Pace(1, seconds, retries=0, retry_after=_RESET_HEADER), headers
    )
    return Jupiter(http), http


def usd(token: object) -> float:
    """A token that is not known is simply not there. Raises Refused."""
    if not isinstance(token, dict):
        raise Refused(Dropped.MISSING if token is None else Dropped.NOT_A_NUMBER)
    return number(token.get("usdPrice"))
