"""Betas by the hourly closes of the price service, asked for beside whoever wants them."""

import asyncio
import contextvars
from collections.abc import Collection, Sequence
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
_NONE: Final = HourlyCloses()


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
        # By asset, with the closes of it and of the leading one.
        self._estimates: dict[str, tuple[HourlyCloses, HourlyCloses, float | None]] = {}

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
        await self._wait(self._refreshed(wanted))
        return self._estimated(wanted)

    def known(self, assets: Collection[str]) -> Betas:
        """Those that are known now; the others are asked for beside, for who asks next."""
        wanted = sorted(assets)[:_MOST_ASSETS]
        self._refreshed(wanted)
        return self._estimated(wanted)

    def _refreshed(self, wanted: Sequence[str]) -> list[asyncio.Task[None]]:
        names = dict.fromkeys([LEADING, *wanted]) if wanted else ()
        return [task for name in names if (task := self._refresh(name)) is not None]

    def _estimated(self, wanted: Sequence[str]) -> Betas:
        if not wanted:
            return NO_BETAS
        found = {name: self._beta(name) for name in wanted}
        by_asset = {name: one for name, one in found.items() if one is not None}
        return Betas(by_asset, BetaSource.ESTIMATED)

    def _beta(self, asset: str) -> float | None:
        """Worked out once for the same closes."""
        _, own = self._known.get(asset, (-inf, _NONE))
        _, leading = self._known.get(LEADING, (-inf, _NONE))
        before = self._estimates.get(asset)
        if before is None or before[0] is not own or before[1] is not leading:
            before = self._estimates[asset] = (own, leading, beta(own, leading))
        return before[2]

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
            _, found = self._known.get(asset, (-inf, _NONE))
            kept_seconds = _AGAIN_SECONDS
        finally:
            del self._asking[asset]
        self._known[asset] = (self._clock.monotonic() + kept_seconds, found)
