"""The Server-Sent Events of Pyth's Hermes: prices of the tracked assets, as a sign to look. What
is judged is the consensus of all sources, asked by the cycle that follows.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from services.price.domain.prices import Market, Price
from services.price.sources.pyth import FEEDS, NAME, read, updates_by_feed
from services.price.sources.reading import Refused
from shared.clock import Clock
from shared.http import ProviderFailure
from shared.paging import Page
from shared.streams import Connection, Moves, Reference, Unreadable
from shared.streams.event_source import event_source

_PATH: Final = "/v2/updates/price/stream"
_LOOK_SECONDS: Final = 4.0
_MOST_PRICES: Final = 500
_ASSETS: Final = {feed: asset for asset, feed in FEEDS.items()}


class Prices(Protocol):
    """Present prices."""

    async def page(self, page_size: int, page_token: str) -> Page[Price]: ...


class PythStream:
    """A Source of shared.streams; opened in the live market alone."""

    name = NAME
    greetings: frozenset[str] = frozenset()
    note = ""

    def __init__(self, url: str, prices: Prices, clock: Clock, move_percent: float) -> None:
        self._url = f"{url.rstrip('/')}{_PATH}"
        self._prices = prices
        self._clock = clock
        self._move_percent = move_percent
        self._moves = Moves()
        self._wanted: tuple[str, ...] = ()
        self._read_seconds = float("-inf")

    async def wanted(self) -> tuple[str, ...]:
        """Feeds of the live prices that are known; none in the demo market."""
        if self._clock.monotonic() - self._read_seconds < _LOOK_SECONDS:
            return self._wanted
        page = await self._prices.page(_MOST_PRICES, "")
        known = {
            price.asset: Reference(price.price_usd, self._move_percent, price.price_time)
            for price in page.rows
            if price.market is Market.LIVE and price.asset in FEEDS and price.price_usd
        }
        self._moves.renew(known)
        self._wanted = tuple(FEEDS[asset] for asset in sorted(known))
        self._read_seconds = self._clock.monotonic()
        return self._wanted

    def connect(self, wanted: tuple[str, ...]) -> AbstractAsyncContextManager[Connection]:
        feeds = [("ids[]", feed) for feed in wanted]
        quiet = [("parsed", "true"), ("ignore_invalid_price_ids", "true")]
        return event_source(self._url, [*feeds, *quiet])

    def read(self, message: object) -> str:
        moved = [
            asset
            for feed, price in _updates(message).items()
            if (asset := _ASSETS.get(feed)) and self._moves.moved(asset, _value(price))
        ]
        return "price" if moved else ""


def _updates(message: object) -> Mapping[str, object]:
    try:
        return updates_by_feed(message)
    except ProviderFailure as failure:
        raise Unreadable("UNKNOWN") from failure


def _value(price: object) -> float:
    try:
        value = read(price).price_usd
    except Refused as refused:
        raise Unreadable("BAD_NUMBER") from refused
    if not value:
        raise Unreadable("BAD_NUMBER")
    return value
