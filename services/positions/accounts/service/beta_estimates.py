"""Betas by the hourly closes of the price service, asked for beside whoever wants them."""

import asyncio
import contextvars
from collections.abc import Collection
from math import inf
from typing import Final, Protocol

from services.positions.accounts.domain.account import NO_BETAS, Betas, BetaSource
from services.positions.accounts.domain.betas import LEADING, HourlyCloses, beta
from shared.clock import Clock
from shared.errors import SonicError

_KEPT_SECONDS: Final = 3600.0
_AGAIN_SECONDS: Final = 60.0
_MOST_ASSETS: Final = 100
_AT_ONCE: Final = 4
# Whoever looks at accounts waits so long for betas, and goes on without.
_WAIT_SECONDS: Final = 1.0


class MarketCloses(Protocol):
    """Where hourly closes come from."""

    async def closes(self, asset: str) -> HourlyCloses:
        """The last three weeks of an asset. Raises SonicError."""
        ...


class BetaEstimates:
    """By hourly closes, each kept for an hour; what cannot be read is asked again after a minute,
    and is as it was known until then. Each asset is asked for once at a time, also when whoever
    wanted it does not wait any more.
    """

    def __init__(self, market: MarketCloses, clock: Clock) -> None:
        self._market = market
        self._clock = clock
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._known: dict[str, tuple[float, HourlyCloses]] = {}

    async def start(self) -> None:
        """Nothing is asked for before somebody wants it."""

    async def stop(self) -> None:
        """What is asked for now is given up."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        if asking:
            await asyncio.wait(asking)

    async def of(self, assets: Collection[str]) -> Betas:
        """Those of these assets that are known within a second, of the first hundred."""
        wanted = sorted(assets)[:_MOST_ASSETS]
        if not wanted:
            return NO_BETAS
        names = list(dict.fromkeys([LEADING, *wanted]))
        await self._wait([task for name in names if (task := self._refresh(name)) is not None])
        closes = {name: self._known.get(name, (-inf, HourlyCloses()))[1] for name in names}
        known = {name: beta(closes[name], closes[LEADING]) for name in wanted}
        return Betas(
            {name: one for name, one in known.items() if one is not None}, BetaSource.ESTIMATED
        )

    async def _wait(self, asking: Collection[asyncio.Task[None]]) -> None:
        if not asking:
            return
        all_known = asyncio.ensure_future(asyncio.wait(asking))
        pause = asyncio.ensure_future(self._clock.sleep(_WAIT_SECONDS))
        try:
            await asyncio.wait({all_known, pause}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            all_known.cancel()
            pause.cancel()

    def _refresh(self, asset: str) -> asyncio.Task[None] | None:
        """Who asks for it now; None when it is known."""
        until_seconds, _ = self._known.get(asset, (-inf, None))
        if self._clock.monotonic() < until_seconds:
            return None
        if asset not in self._asking:
            # It outlives the call that wants it, and so does not have its deadline.
            work, context = self._ask(asset), contextvars.Context()
            self._asking[asset] = asyncio.create_task(work, name="betas", context=context)
        return self._asking[asset]

    async def _ask(self, asset: str) -> None:
        try:
            async with self._places:
                found, kept_seconds = await self._market.closes(asset), _KEPT_SECONDS
        except SonicError:
            _, found = self._known.get(asset, (-inf, HourlyCloses()))
            kept_seconds = _AGAIN_SECONDS
        finally:
            del self._asking[asset]
        self._known[asset] = (self._clock.monotonic() + kept_seconds, found)
