"""Hourly candles of a year, filled from providers and from the own history, and what is made of
them: the moves that the touch probability looks up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from services.price.domain.candles import Interval
from services.price.domain.moves import AssetMoves, asset_moves, demo_hours
from services.price.domain.prices import Market, wanted_assets
from services.price.service.history import CandleSource
from services.price.store.hourly_candles import OWN, HourlyCandleStore, hour_number, hour_time
from shared.clock import Clock
from shared.errors import NotFound
from shared.http import ProviderFailure
from shared.log import get_logger
from shared.touch import KEPT_HOURS

Begin = Callable[[], AbstractAsyncContextManager[HourlyCandleStore]]

_CHECK_SECONDS = 300.0


class MovesService:
    """Keeps the moves of every tracked asset of the present market; made anew once an hour."""

    def __init__(
        self,
        begin: Begin,
        sources: Sequence[CandleSource],
        clock: Clock,
        assets: tuple[str, ...],
        demo_seed: str,
        *,
        ensure_market: Callable[[], Awaitable[None]],
    ) -> None:
        self._begin = begin
        self._sources = sources
        self._clock = clock
        self._assets = assets
        self._demo_seed = demo_seed
        self._ensure_market = ensure_market
        self._moves: Mapping[str, AssetMoves] = {}
        self._made_of: tuple[Market, int] | None = None
        # Pages that a provider has been asked for: what it had no candle of stays a gap.
        self._asked: set[tuple[str, str, int]] = set()
        self._own_until: dict[str, int] = {}

    async def refresh(self) -> float:
        """Make the moves anew when an hour has ended or the market is another; seconds to rest."""
        await self._ensure_market()
        async with self._begin() as store:
            market, demo_start_time = await store.market()
        hour = hour_number(self._clock.now())
        is_demo = market is Market.DEMO
        made_of = (market, 0 if is_demo else hour)
        if made_of != self._made_of and (not is_demo or demo_start_time is not None):
            self._moves = {
                asset: made
                for asset in self._assets
                if (made := await self._made(asset, hour, demo_start_time if is_demo else None))
            }
            self._made_of = made_of
        return _CHECK_SECONDS

    def read(self, assets: Collection[str]) -> Sequence[AssetMoves]:
        """Those of these assets (none: of all) in the present market. Raises UNKNOWN_ASSET."""
        wanted = wanted_assets(assets, self._assets)
        return [self._moves[asset] for asset in wanted if asset in self._moves]

    async def _made(
        self, asset: str, hour: int, demo_start_time: datetime | None
    ) -> AssetMoves | None:
        if demo_start_time is not None:
            return await self._simulated(asset, demo_start_time)
        return await self._live(asset, hour)

    async def _simulated(self, asset: str, start_time: datetime) -> AssetMoves | None:
        def make() -> AssetMoves | None:
            hours = demo_hours(self._demo_seed, asset)
            return asset_moves(asset, Market.DEMO, hours, ["demo"], start_time)

        return await asyncio.to_thread(make)

    async def _live(self, asset: str, hour: int) -> AssetMoves | None:
        since = hour - KEPT_HOURS
        await self._fill_own(asset, since, hour)
        await self._fill_from_providers(asset, since, hour)
        async with self._begin() as store:
            await store.trim(since)
            stored = await store.read(Market.LIVE, asset, since)
            sources = await store.sources(Market.LIVE, asset, since)
        if not len(stored.hours):
            return None
        newest = hour_time(int(stored.hours.hour[-1]))
        return await asyncio.to_thread(
            asset_moves, asset, Market.LIVE, stored.hours, sources, newest
        )

    async def _fill_own(self, asset: str, since: int, until: int) -> None:
        """Of the hours of the history that were not looked through by this process yet."""
        start = max(self._own_until.get(asset, since), since)
        async with self._begin() as store:
            found = await store.own(Market.LIVE, asset, hour_time(start), hour_time(until))
            await store.put(Market.LIVE, asset, OWN, found)
        self._own_until[asset] = until

    async def _fill_from_providers(self, asset: str, since: int, until: int) -> None:
        for source in self._sources:
            async with self._begin() as store:
                stored = await store.read(Market.LIVE, asset, since)
            known = stored.hours.hour[~stored.is_own]
            missing = np.setdiff1d(np.arange(since, until), known, assume_unique=True)
            try:
                for start in self._pages(asset, source, missing):
                    end = min(start + source.page_count, until)
                    await self._clock.sleep(source.pause_seconds)
                    found = await source.page(
                        asset, Interval.HOUR, hour_time(start), hour_time(end)
                    )
                    async with self._begin() as store:
                        await store.put(Market.LIVE, asset, source.name, found)
                    if end < until:
                        self._asked.add((asset, source.name, start // source.page_count))
            except NotFound:
                continue
            except ProviderFailure as failure:
                get_logger().warning(
                    "candles cannot be read",
                    source=source.name,
                    asset=asset,
                    kind=failure.kind.value,
                    problem=failure.message,
                )
                continue
            # Two providers' candles of one stretch are not mixed without need.
            return

    def _pages(self, asset: str, source: CandleSource, missing: NDArray[np.int64]) -> Iterator[int]:
        """Where pages with missing hours begin, the newest first: whole multiples of their size."""
        numbers = np.unique(missing // source.page_count)
        for number in numbers[::-1].tolist():
            if (asset, source.name, number) not in self._asked:
                yield number * source.page_count
