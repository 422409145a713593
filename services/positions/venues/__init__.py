"""Venues by name. A new one is a file beside these with a `build`, and one line in VENUES."""

from collections.abc import Callable, Mapping

from services.positions.venues import dydx, hyperliquid, jupiter
from services.positions.venues.balances import ChainBalances, build_balances
from services.positions.venues.demo import DemoPrices, DemoVenue, demo_holdings
from services.positions.venues.venue import Built, Venue, VenueContext

__all__ = [
    "VENUES",
    "Built",
    "ChainBalances",
    "DemoPrices",
    "DemoVenue",
    "Venue",
    "VenueContext",
    "build_balances",
    "demo_holdings",
]

# Those that ask a network. The demo venue, which keeps its prices, is built by the server.
VENUES: Mapping[str, Callable[[VenueContext], Built]] = {
    "jupiter": jupiter.build,
    "dydx": dydx.build,
    "hyperliquid": hyperliquid.build,
}
