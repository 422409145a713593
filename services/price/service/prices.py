"""What can be done with present prices. Owns the transactions; knows no SQL, no HTTP and no protobuf."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from services.price.domain import demo, succession, volatility
from services.price.domain.consensus import agree
from services.price.domain.prices import (
    REFRESH_LIMIT,
    Dropped,
    Market,
    Price,
    Quality,
    Quote,
    Refreshed,
    SourceAnswer,
    SourceStatus,
    wanted_assets,
)
from services.price.domain.succession import Succession
from services.price.store.prices import Changes, Overtaken, State, Store
from shared import paging
from shared.clock import Clock
from shared.database.fence import Step
from shared.errors import InvalidArgument, NotFound
from shared.paging import Page

Begin = Callable[[], AbstractAsyncContextManager[Store]]

_CONFIRMATION = "clear"


class Sources(Protocol):
    async def ask(
        self, market: Market, assets: Sequence[str], demo_start_time: datetime
    ) -> Sequence[SourceAnswer]:
        """Asks every source of the market at once; a failure is an answer, not an exception."""
        ...

    def status(self) -> Sequence[SourceStatus]:
        """How every known source stands, by name."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """`live`: the market is LIVE from the start, whatever was used last. `demo_seed` makes the demo one."""

    assets: tuple[str, ...]
    live: bool
    demo_seed: str
    min_refresh: timedelta


@dataclass(frozen=True, slots=True)
class _Asked:
    """A refresh between its two transactions: what was wanted, and what the sources said."""

    step: Step
    assets: Sequence[str]
    market: Market
    answers: Sequence[SourceAnswer]
    demo_start_time: datetime


class PriceService:
    """Refreshing and reading prices."""

    def __init__(
        self,
        begin: Begin,
        read: Begin,
        sources: Sources,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._begin = begin
        self._read = read
        self._sources = sources
        self._clock = clock
        self._settings = settings
        self._changed: Callable[[], None] = lambda: None
        self._is_settled = False
        self._one_refresh = asyncio.Lock()

    def on_change(self, tell: Callable[[], None]) -> None:
        """Have `tell` called after each write of this process."""
        self._changed = tell

    async def refresh(
        self, step: Step, assets: Sequence[str] = (), *, force: bool = False, market: Market | None = None
    ) -> Refreshed:
        """Ask every source of the market at once and keep the consensus of each asset.

        The market is the one used last when not told. Younger prices than `min_refresh` answer instead
        (skipped_reason FRESH) unless forced; the same step of a cycle answers from its record.
        Raises InvalidArgument UNKNOWN_ASSET, Conflict STALE_EPOCH.
        """
        wanted = wanted_assets(assets, self._settings.assets)
        async with self._one_refresh:
            opened = await self._open(step, wanted, force, market)
            if isinstance(opened, Refreshed):
                return opened
            used = market or opened.market
            start_time = opened.demo_start_time or self._clock.now()
            answers = await self._sources.ask(used, wanted, start_time)
            asked = _Asked(step, wanted, used, answers, start_time)
            try:
                refreshed = await self._conclude(asked, opened)
            except Overtaken:
                refreshed = await self._conclude(asked, None)
        self._changed()
        return refreshed

    async def get(self, asset: str) -> Price:
        """The present price. Raises NotFound PRICE_NOT_FOUND before the first refresh of the asset."""
        async with self._opened(self._read) as store:
            price = await store.get(asset)
        if price is None:
            raise NotFound("PRICE_NOT_FOUND", f"no price of {asset} is known", metadata={"asset": asset})
        return price

    async def page(self, page_size: int, page_token: str, qualities: Sequence[Quality] = ()) -> Page[Price]:
        """Present prices by asset, of these qualities (none = all).

        Raises InvalidArgument BAD_PAGE_TOKEN, PAGE_TOKEN_MISMATCH.
        """
        context = paging.context("prices", sorted(set(qualities)))
        page = paging.parse(page_size, page_token, context=context)
        vouched_since = self._clock.now() - REFRESH_LIMIT
        async with self._opened(self._read) as store:
            after = str(page.after[0]) if page.after else ""
            found = await store.page(after, page.size + 1, qualities, vouched_since)
        return paging.cut(found, page, context, lambda price: (price.asset,))

    def sources(self) -> Sequence[SourceStatus]:
        """How every known live source stands in this process, by name."""
        return self._sources.status()

    async def revision(self) -> int:
        """The number of the last write, of whatever process."""
        async with self._opened(self._read) as store:
            return await store.revision()

    async def changes(self, since: int) -> Changes:
        """Prices that changed after the revision `since`; 0 = all present ones."""
        async with self._opened(self._read) as store:
            return await store.changes(since)

    async def clear(self, confirm: str) -> int:
        """Delete prices and history of both markets, count the rows. Raises InvalidArgument NOT_CONFIRMED."""
        if confirm != _CONFIRMATION:
            problem = f'confirm must be the word "{_CONFIRMATION}"'
            raise InvalidArgument("NOT_CONFIRMED", problem, fields={"confirm": problem})
        async with self._opened(self._begin) as store:
            count = await store.clear()
        self._changed()
        return count

    @asynccontextmanager
    async def _opened(self, begin: Begin) -> AsyncIterator[Store]:
        """A store; before the first one of this process the market is settled."""
        await self.settle()
        async with begin() as store:
            yield store

    async def settle(self) -> None:
        """Set the market this process starts with, once."""
        if not self._is_settled:
            async with self._begin() as store:
                live = self._settings.live
                await store.settle(Market.LIVE if live else Market.DEMO, insist=live)
            self._is_settled = True

    async def _open(
        self, step: Step, wanted: Sequence[str], force: bool, market: Market | None
    ) -> Refreshed | State:
        """The answer when none must be asked, else what the refresh starts from."""
        now = self._clock.now()
        async with self._opened(self._begin) as store:
            answered = await store.enter(step)
            if answered is not None:
                return answered
            state = await store.state(market)
            if force or market not in (None, state.market) or not self._is_fresh(state, wanted, now):
                return state
            prices = tuple(state.prices[asset] for asset in wanted)
            refreshed = Refreshed(prices, (), state.market, "FRESH")
            await store.record(step, refreshed, now)
            return refreshed

    def _is_fresh(self, state: State, wanted: Sequence[str], now: datetime) -> bool:
        """A refresh stamped in the future (the clock was set back) is not fresh."""
        kept = [state.prices.get(asset) for asset in wanted]
        times = [price.refresh_time for price in kept if price is not None and price.refresh_time is not None]
        return len(times) == len(wanted) and all(
            timedelta(0) <= now - moment < self._settings.min_refresh for moment in times
        )

    async def _conclude(self, asked: "_Asked", seen: State | None) -> Refreshed:
        """Judge and write in one transaction. Raises Overtaken when `seen` is no longer true.

        Without `seen` the state is read behind a lock, which costs more and always succeeds.
        """
        now = self._clock.now()
        market = asked.market
        async with self._begin() as store:
            answered = await store.enter(asked.step)
            if answered is not None:
                return answered
            state = seen or await store.locked_state(market)
            kept = dict(state.prices)
            if market is Market.DEMO:
                new = [asset for asset in asked.assets if asset not in kept]
                kept |= await self._backfill(store, new, asked.demo_start_time, now)
            judged = [judge(asset, market, kept.get(asset), asked.answers, now) for asset in asked.assets]
            judged = await self._with_volatility(store, market, judged, now)
            await store.write(
                state,
                market,
                asked.demo_start_time if market is Market.DEMO else None,
                [one.price for one in judged],
                changed=[one.changed for one in judged],
                recorded=[one.record is not None for one in judged],
            )
            refreshed = Refreshed(
                tuple(one.price for one in judged), tuple(answer.result for answer in asked.answers), market
            )
            await store.record(asked.step, refreshed, now)
            return refreshed

    async def _backfill(
        self, store: Store, assets: Sequence[str], start_time: datetime, now: datetime
    ) -> Mapping[str, Price]:
        """Invent the history of demo assets that have none, and the prices that follow from it."""
        histories = {
            asset: demo.backfill(self._settings.demo_seed, asset, start_time, now) for asset in assets
        }
        await store.append([record for records in histories.values() for record in records])
        return {asset: succession.follow(records[-1]) for asset, records in histories.items()}

    async def _with_volatility(
        self, store: Store, market: Market, judged: Sequence[Succession], now: datetime
    ) -> list[Succession]:
        """Volatility of whole hours: read again once an hour, kept in between."""
        hour = volatility.hour_of(now)
        due = [one.price.asset for one in judged if one.price.volatility_hour_time != hour]
        if not due:
            return list(judged)
        closes = await store.closes(market, due, hour - volatility.WINDOW, hour)
        renewed = []
        for one in judged:
            if one.price.asset in closes:
                ratio = volatility.hourly_volatility_ratio(*closes[one.price.asset])
                price = replace(one.price, hourly_volatility_ratio=ratio, volatility_hour_time=hour)
                one = replace(one, price=price)
            renewed.append(one)
        return renewed


def judge(
    asset: str, market: Market, kept: Price | None, answers: Sequence[SourceAnswer], now: datetime
) -> Succession:
    """What the answers make of the price that was kept."""
    consensus = agree(asset, quotes_of(asset, answers), now, succession.last_good(kept))
    return succession.succeed(kept, asset, market, consensus, now)


def quotes_of(asset: str, answers: Sequence[SourceAnswer]) -> list[Quote]:
    """One quote of each source; a source that failed quotes nothing, for the kind of its failure."""
    return [
        answer.quotes.get(asset)
        or Quote(answer.result.source, dropped_reason=answer.result.failure or Dropped.MISSING)
        for answer in answers
    ]
