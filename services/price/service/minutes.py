"""Minutes of the market as providers have them; nothing is kept."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime

from services.price.domain.candles import Interval, Kline
from services.price.domain.minutes import Minutes, demo_minutes, stretch
from services.price.domain.prices import Market, wanted_assets
from services.price.service.history import CandleSource
from services.price.store.hourly_candles import HourlyCandleStore
from shared.clock import Clock
from shared.errors import NotFound
from shared.http import FailureKind, ProviderFailure

Begin = Callable[[], AbstractAsyncContextManager[HourlyCandleStore]]

# A cycle waits for them.
_ASK_SECONDS = 4.0


class MinutesService:
    """Asks the sources of candles in turn, all assets at once."""

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

    async def read(
        self, assets: Sequence[str], start: datetime, end: datetime | None
    ) -> AsyncIterator[Minutes]:
        """Of each asset, as they come. Raises InvalidArgument UNKNOWN_ASSET, INVALID_FIELD."""
        wanted = wanted_assets(assets, self._assets)
        now = self._clock.now()
        first, until = stretch(start, end, now)
        await self._ensure_market()
        async with self._begin() as store:
            market, demo_start_time = await store.market()
        if market is Market.DEMO:
            for asset in wanted:
                made = await asyncio.to_thread(
                    demo_minutes,
                    self._demo_seed,
                    asset,
                    demo_start_time or now,
                    first,
                    until,
                    now,
                )
                yield Minutes(asset, "demo", klines=made)
            return
        asked = [asyncio.ensure_future(self._ask(asset, first, until)) for asset in wanted]
        try:
            for one in asked:
                yield await one
        finally:
            for one in asked:
                one.cancel()

    async def _ask(self, asset: str, first: datetime, until: datetime) -> Minutes:
        failure = "NO_CANDLES"
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                for source in self._sources:
                    try:
                        return Minutes(
                            asset, source.name, klines=await _pages(source, asset, first, until)
                        )
                    except NotFound:
                        continue
                    except ProviderFailure as problem:
                        failure = problem.kind.value
        except TimeoutError:
            failure = FailureKind.TIMEOUT.value
        return Minutes(asset, failure=failure)


async def _pages(source: CandleSource, asset: str, first: datetime, until: datetime) -> list[Kline]:
    found: list[Kline] = []
    while first < until:
        end = min(first + source.page_count * Interval.MINUTE.span, until)
        found += await source.page(asset, Interval.MINUTE, first, end)
        first = end
    return found
