"""Venues by name. A new one is a file beside these with a `build`, and one line in VENUES."""

from collections.abc import Callable, Mapping, Sequence

from services.positions.venues import dydx, dydx_stream, hyperliquid, hyperliquid_stream, jupiter
from services.positions.venues.balances import ChainBalances, build_balances
from services.positions.venues.demo import DemoPrices, DemoVenue, demo_holdings
from services.positions.venues.streaming import VenueStream
from services.positions.venues.venue import Built, Venue, VenueContext

__all__ = [
    "STREAMS",
    "VENUES",
    "Built",
    "ChainBalances",
    "DemoPrices",
    "DemoVenue",
    "Venue",
    "VenueContext",
    "VenueStream",
    "build_balances",
    "demo_holdings",
]

# Those that ask a network. The demo venue, which keeps its prices, is built by the server.
VENUES: Mapping[str, Callable[[VenueContext], Built]] = {
    "jupiter": jupiter.build,
    "dydx": dydx.build,
    "hyperliquid": hyperliquid.build,
}
# Those that also tell by themselves that something happened.
STREAMS: Sequence[VenueStream] = (hyperliquid_stream.STREAM, dydx_stream.STREAM)
