"""A simulated source: quotes the demo market at the clock's moment. Asks nobody."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.price.domain.demo import quoted_usd
from services.price.domain.prices import Quote
from shared.clock import Clock


class DemoSource:
    """A Source; its name says demo, so that no reader takes its price for a real one."""

    assets = None

    def __init__(self, name: str, seed: str, start_time: datetime, clock: Clock) -> None:
        self.name = name
        self._seed = seed
        self._start_time = start_time
        self._clock = clock

    async def quotes(self, assets: Sequence[str]) -> Mapping[str, Quote]:
        now = self._clock.now()
        return {
            asset: Quote(
                self.name, quoted_usd(self._seed, asset, self._start_time, now, self.name), now
            )
            for asset in assets
        }
