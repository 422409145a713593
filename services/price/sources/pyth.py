"""Pyth's Hermes: latest prices with a confidence each."""

from collections.abc import Mapping, Sequence

from services.price.domain.prices import Dropped, Quote
from services.price.sources.rate_limited_http import Pace, RateLimitedHttp, bad_body
from services.price.sources.reading import Refused, moment, quote_or_reason, scaled
from services.price.sources.source import Source, SourceSetup
from services.price.sources.unknown_assets import UnknownAssets
from shared.clock import Clock
from shared.http import FailureKind

NAME = "pyth"
FEEDS = {
    "BTC": "e62df6c8b4a85fe1a67db44dc12de5db330f7ac66b72dc658afedf0f4a415b43",
    "ETH": "ff61491a931112ddf1bd8147cd1b641375f79f5825126d665480874634fd0ace",
    "SOL": "ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d",
}
ASSETS = frozenset(FEEDS)
# 30 calls in 10 seconds are allowed; beyond them comes a minute of silence.
_PACE = Pace(30, 10.0, per_second=3.0)
_PATH = "/v2/updates/price/latest"


class Pyth:
    """A Source."""

    name = NAME
    assets = ASSETS

    def __init__(self, http: RateLimitedHttp, clock: Clock) -> None:
        self._http = http
        # A mirror may not leave unknown feeds out, but answer 404 for all of them.
        self._unknown = UnknownAssets(
            NAME, clock, lambda failure: failure.kind is FailureKind.NOT_FOUND
        )

    async def quotes(self, assets: Sequence[str]) -> Mapping[str, Quote]:
        return await self._unknown.quotes(assets, self._ask)

    async def _ask(self, assets: Sequence[str]) -> Mapping[str, Quote]:
        feeds = [("ids[]", FEEDS[asset]) for asset in assets]
        answer = await self._http.get_json(_PATH, [*feeds, ("ignore_invalid_price_ids", "true")])
        updates = updates_by_feed(answer.body)
        return {asset: quote_or_reason(NAME, read, updates.get(FEEDS[asset])) for asset in assets}


def connect(setup: SourceSetup) -> tuple[Source, RateLimitedHttp]:
    http = RateLimitedHttp(NAME, setup, _PACE)
    return Pyth(http, setup.clock), http


def updates_by_feed(body: object) -> Mapping[str, object]:
    """The `price` member of each feed, by its id without 0x."""
    parsed = body.get("parsed") if isinstance(body, dict) else None
    if not isinstance(parsed, list):
        raise bad_body("the answer has no list of parsed updates")
    return {
        update["id"].lower().removeprefix("0x"): update.get("price")
        for update in parsed
        if isinstance(update, dict) and isinstance(update.get("id"), str)
    }


def read(price: object) -> Quote:
    """`int(price) * 10**expo`, the confidence in the same scale. Raises Refused."""
    if not isinstance(price, dict):
        raise Refused(Dropped.MISSING if price is None else Dropped.NOT_A_NUMBER)
    exponent = price.get("expo")
    return Quote(
        NAME,
        scaled(price.get("price"), exponent),
        moment(price.get("publish_time")),
        scaled(price.get("conf"), exponent),
    )
