"""The live sources by name: a new one is its own file and one line here, its address a setting."""

from collections.abc import Callable, Mapping

from services.price.sources import coingecko, pyth
from services.price.sources.source import Connected, SourceSetup

REGISTRY: Mapping[str, Callable[[SourceSetup], Connected]] = {
    coingecko.NAME: coingecko.connect,
    pyth.NAME: pyth.connect,
}
