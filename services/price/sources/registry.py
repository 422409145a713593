"""The live sources by name: a new one is its own file and one line here, its address a setting."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.price.sources import binance, coinbase, coingecko, jupiter, kraken, pyth, yahoo
from services.price.sources.rate_limited_http import RateLimitedHttp
from services.price.sources.source import Source, SourceSetup


@dataclass(frozen=True, slots=True)
class Kind:
    """How a source is made on its HTTP part, which lives with it, and what it can quote."""

    connect: Callable[[SourceSetup], tuple[Source, RateLimitedHttp]]
    assets: frozenset[str]


REGISTRY: Mapping[str, Kind] = {
    coingecko.NAME: Kind(coingecko.connect, coingecko.ASSETS),
    pyth.NAME: Kind(pyth.connect, pyth.ASSETS),
    coinbase.NAME: Kind(coinbase.connect, coinbase.ASSETS),
    kraken.NAME: Kind(kraken.connect, kraken.ASSETS),
    binance.NAME: Kind(binance.connect, binance.ASSETS),
    jupiter.NAME: Kind(jupiter.connect, jupiter.ASSETS),
    yahoo.NAME: Kind(yahoo.connect, yahoo.ASSETS),
}

# Two hosts of different kinds, no key, one call each a refresh; yahoo is asked for the index alone.
# coinbase and kraken, keyless and in USD too, are the next to add: with three or more a liar is
# outvoted. binance quotes USDT and refuses whole regions; jupiter prices bridged tokens, once in
# two seconds.
DEFAULT_SOURCES = (coingecko.NAME, pyth.NAME, yahoo.NAME)
