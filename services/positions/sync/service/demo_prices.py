"""Where the simulation's first prices are kept, so that a restart continues it."""

from collections.abc import Mapping

from services.positions.service.ports import Begin


class StoredDemoPrices:
    """First prices of the simulation's assets."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        # Once kept they never change.
        self._kept: Mapping[str, float] = {}

    async def first(self, prices: Mapping[str, float]) -> Mapping[str, float]:
        """The kept prices by asset, after keeping those of `prices` that had none."""
        if not prices.keys() <= self._kept.keys():
            async with self._begin() as store:
                kept = await store.wallets.keep_demo_prices(prices)
            self._kept = kept
        return self._kept
