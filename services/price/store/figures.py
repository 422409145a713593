"""What the metrics show of present prices: read in one statement when somebody asks for them."""

from __future__ import annotations

from services.price.domain.prices import Quality
from shared.clock import Clock
from shared.database.pool import Database
from shared.database.statement import Statement
from shared.metrics import Figure, Values

FIGURES = (
    Figure("sonic_price_age_seconds", "Age of the present price of an asset", ("asset",)),
    Figure(
        "sonic_price_quality",
        "1 for the quality that an asset's price has now",
        ("asset", "quality"),
    ),
)
_READ = Statement(
    "select asset, quality, price_time from price join service_state"
    " on service_state.market = price.market"
)


class FigureStore:
    """Each reading is one statement."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def read(self) -> Values:
        """FIGURES; an asset without a price has a quality and no age."""
        found, now = await self._database.fetch(_READ), self._clock.now()
        return {
            "sonic_price_age_seconds": {
                (row["asset"],): max((now - row["price_time"]).total_seconds(), 0.0)
                for row in found
                if row["price_time"] is not None
            },
            "sonic_price_quality": {
                (row["asset"], Quality(row["quality"]).name): 1.0 for row in found
            },
        }
