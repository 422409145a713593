"""Minutes of the market as providers have them; nothing is kept."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from math import inf

from services.price.domain.candles import Interval, Kline
from services.price.domain.minutes import Minutes, demo_minutes, stretch
from services.price.domain.prices import Market, wanted_assets
from services.price.service.history import CandleSource
from services.price.store.hourly_candles import HourlyCandleStore
from shared.clock import Clock
from shared.errors import NotFound
from shared.http import FailureKind, ProviderFailure

Begin = Callable[[], AbstractAsyncContextManager[HourlyCandleStore]]

# A cycle waits for them: for each source so long, and for one that hangs, or takes long to fail,
# once in five minutes.
_ASK_SECONDS = 4.0
_SOURCE_SECONDS = 2.0
_SLOW_SECONDS = 0.25
_REST_SECONDS = 300.0
# What is wrong with the answer for one asset says nothing of the others.
_OF_THE_SOURCE = frozenset({FailureKind.TIMEOUT, FailureKind.CONNECT, FailureKind.SERVER_ERROR})


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
        # Of one that cost time for nothing: until when it is not asked, monotonic seconds, and why.
        self._rests: dict[str, tuple[float, FailureKind]] = {}

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
        """Of the first source that answers; of a long stretch its first pages, when time is up."""
        failure = "NO_CANDLES"
        loop = asyncio.get_running_loop()
        given_up_seconds = loop.time() + _ASK_SECONDS
        for source in self._sources:
            asked_seconds = loop.time()
            rest_seconds, kind = self._rests.get(source.name, (-inf, FailureKind.TIMEOUT))
            if self._clock.monotonic() < rest_seconds:
                failure = kind.value
                continue
            found: list[Kline] = []
            try:
                await _pages(source, asset, (first, until), found, given_up_seconds, self._clock)
            except NotFound:
                continue
            except ProviderFailure as problem:
                failure = problem.kind.value
                took_seconds = loop.time() - asked_seconds
                if problem.kind in _OF_THE_SOURCE and took_seconds >= _SLOW_SECONDS:
                    self._rest(source.name, problem.kind)
                continue
            except TimeoutError:
                if not found:
                    failure = FailureKind.TIMEOUT.value
                    # Who had all of its time, not what others left of it.
                    if loop.time() - asked_seconds >= _SOURCE_SECONDS:
                        self._rest(source.name, FailureKind.TIMEOUT)
                    continue
            return Minutes(asset, source.name, klines=found)
        return Minutes(asset, failure=failure)

    def _rest(self, name: str, kind: FailureKind) -> None:
        self._rests[name] = (self._clock.monotonic() + _REST_SECONDS, kind)


async def _pages(
    source: CandleSource,
    asset: str,
    stretch: tuple[datetime, datetime],
    found: list[Kline],
    given_up_seconds: float,
    clock: Clock,
) -> None:
    """Put into `found` page by page. Raises NotFound, ProviderFailure, TimeoutError."""
    first, until = stretch
    while first < until:
        # Not before the first: a cycle waits.
        if first > stretch[0]:
            await clock.sleep(source.pause_seconds)
        end = min(first + source.page_count * Interval.MINUTE.span, until)
        at_most = asyncio.get_running_loop().time() + _SOURCE_SECONDS
        async with asyncio.timeout_at(min(at_most, given_up_seconds)):
            found += await source.page(asset, Interval.MINUTE, first, end)
        first = end
