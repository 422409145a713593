"""What can be done with present prices."""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from services.price.domain import demo, price_update, volatility
from services.price.domain.consensus import agree
from services.price.domain.day_range import DAY, DayRange, day_range
from services.price.domain.price_update import PriceUpdate
from services.price.domain.prices import (
    REFRESH_LIMIT,
    Dropped,
    Market,
    Price,
    PriceRecord,
    Quality,
    Quote,
    Refreshed,
    SourceAnswer,
    SourceStatus,
    wanted_assets,
)
from services.price.store.prices import PriceStore
from services.price.store.rows import Changes, State
from shared import paging
from shared.clock import Clock
from shared.database.fence import Step
from shared.errors import NotFound, require_confirmation
from shared.http import asking
from shared.paging import Page

Begin = Callable[[], AbstractAsyncContextManager[PriceStore]]


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
    """`live`: the market is LIVE from the start, whatever was used last."""

    assets: tuple[str, ...]
    live: bool
    demo_seed: str
    min_refresh: timedelta


@dataclass(frozen=True, slots=True)
class _Asked:
    """A refresh between its two statements: what was wanted, and what the sources said."""

    step: Step
    assets: Sequence[str]
    market: Market
    answers: Sequence[SourceAnswer]
    demo_start_time: datetime

    @property
    def kept_start_time(self) -> datetime | None:
        return self.demo_start_time if self.market is Market.DEMO else None

    def judged(self, kept: Mapping[str, Price], now: datetime) -> list[PriceUpdate]:
        return [
            judge(asset, self.market, kept.get(asset), self.answers, now) for asset in self.assets
        ]

    def refreshed(self, judged: Sequence[PriceUpdate]) -> Refreshed:
        results = tuple(answer.result for answer in self.answers)
        return Refreshed(tuple(one.price for one in judged), results, self.market)


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
        self._has_market = False
        self._one_refresh = asyncio.Lock()

    def on_change(self, changed: Callable[[], None]) -> None:
        """Have `changed` called after each write of this process."""
        self._changed = changed

    async def refresh(
        self,
        step: Step,
        assets: Sequence[str] = (),
        *,
        force: bool = False,
        market: Market | None = None,
    ) -> Refreshed:
        """Ask every source of the market at once and keep the consensus of each asset.

        The market is the one used last unless given. Younger prices than `min_refresh` answer
        instead (skipped_reason FRESH) unless forced; the same step of a cycle answers from its
        record. Raises InvalidArgument UNKNOWN_ASSET, Conflict STALE_EPOCH.
        """
        wanted = wanted_assets(assets, self._settings.assets)
        async with self._one_refresh:
            opened = await self._open(step, wanted, force, market)
            if isinstance(opened, Refreshed):
                return opened
            used = market or opened.market
            start_time = opened.demo_start_time or self._clock.now()
            with asking(forced=force):
                answers = await self._sources.ask(used, wanted, start_time)
            asked = _Asked(step, wanted, used, answers, start_time)
            refreshed = await self._conclude(asked, opened)
        self._changed()
        return refreshed

    async def get(self, asset: str) -> Price:
        """The present price; NotFound PRICE_NOT_FOUND before the first refresh of the asset."""
        await self.ensure_market()
        async with self._read() as store:
            price = await store.get(asset)
        if price is None:
            tracked = ", ".join(self._settings.assets)
            problem = f"no price of {asset!r} is known; tracked are {tracked}"
            raise NotFound("PRICE_NOT_FOUND", problem, metadata={"asset": asset})
        return price

    async def day_range(self, price: Price) -> DayRange | None:
        """Highest and lowest of the last 24 hours, from its quotes and its history."""
        now = self._clock.now()
        async with self._read() as store:
            own = await store.day_range(price.market, price.asset, now - DAY)
        return day_range(price, own, now)

    async def page(
        self, page_size: int, page_token: str, qualities: Sequence[Quality] = ()
    ) -> Page[Price]:
        """Present prices by asset, of these qualities (none = all).

        Raises InvalidArgument BAD_PAGE_TOKEN, PAGE_TOKEN_MISMATCH.
        """
        context = paging.context("prices", sorted(set(qualities)))
        page = paging.parse(page_size, page_token, context=context)
        vouched_since = self._clock.now() - REFRESH_LIMIT
        after = str(page.after[0]) if page.after else ""
        await self.ensure_market()
        async with self._read() as store:
            found = await store.page(after, page.size + 1, qualities, vouched_since)
        return paging.cut(found, page, context, lambda price: (price.asset,))

    def sources(self) -> Sequence[SourceStatus]:
        """How every known live source stands in this process, by name."""
        return self._sources.status()

    async def revision(self) -> int:
        """The number of the last write, of whatever process."""
        await self.ensure_market()
        async with self._read() as store:
            return await store.revision()

    async def changes(self, since: int) -> Changes:
        """Prices that changed after the revision `since`; 0 = all present ones."""
        await self.ensure_market()
        async with self._read() as store:
            return await store.changes(since)

    async def clear(self, confirm: str) -> int:
        """Delete prices and history of both markets, count the rows; NOT_CONFIRMED."""
        require_confirmation(confirm, "clear")
        await self.ensure_market()
        async with self._read() as store:
            count = await store.clear()
        self._changed()
        return count

    async def ensure_market(self) -> None:
        """Set the market this process starts with, once, before anything is read."""
        if not self._has_market:
            live = self._settings.live
            async with self._read() as store:
                await store.ensure_market(Market.LIVE if live else Market.DEMO, insist=live)
            self._has_market = True

    async def _open(
        self, step: Step, wanted: Sequence[str], force: bool, market: Market | None
    ) -> Refreshed | State:
        """The answer when none must be asked, else what the refresh starts from."""
        await self.ensure_market()
        async with self._read() as store:
            opened = await store.open(step, market)
            now = self._clock.now()
            if isinstance(opened, Refreshed) or force or market not in (None, opened.market):
                return opened
            if not self._is_fresh(opened, wanted, now):
                return opened
            prices = tuple(opened.prices[asset] for asset in wanted)
            return await store.answer(step, Refreshed(prices, (), opened.market, "FRESH"), now)

    def _is_fresh(self, state: State, wanted: Sequence[str], now: datetime) -> bool:
        """A refresh stamped in the future (the clock was set back) is not fresh."""
        kept = [state.prices.get(asset) for asset in wanted]
        times = [
            price.refresh_time
            for price in kept
            if price is not None and price.refresh_time is not None
        ]
        return len(times) == len(wanted) and all(
            timedelta(0) <= now - moment < self._settings.min_refresh for moment in times
        )

    async def _conclude(self, asked: _Asked, seen: State) -> Refreshed:
        """Judge and write; when somebody wrote since `seen` was read, again from what is there
        now, behind the lock of every writer.
        """
        async with self._read() as store:
            if (refreshed := await self._attempt(store, asked, seen)) is not None:
                return refreshed
        async with self._begin() as store:
            await store.lock()
            opened = await store.open(asked.step, asked.market)
            if isinstance(opened, Refreshed):
                return opened
            refreshed = await self._attempt(store, asked, opened)
        if refreshed is None:
            raise RuntimeError("a refresh behind the lock of every writer was overtaken")
        return refreshed

    async def _attempt(self, store: PriceStore, asked: _Asked, seen: State) -> Refreshed | None:
        """None when `seen` is not true any more."""
        now = self._clock.now()
        backfilled = self._backfilled(asked, seen, now)
        kept = {
            asset: price_update.from_record(records[-1]) for asset, records in backfilled.items()
        }
        judged = asked.judged({**seen.prices, **kept}, now)
        updates = await self._with_volatility(store, asked.market, judged, backfilled, now)
        records = [
            *itertools.chain(*backfilled.values()),
            *(one.record for one in updates if one.record is not None),
        ]
        refreshed, start_time = asked.refreshed(updates), asked.kept_start_time
        return await store.write(asked.step, refreshed, seen, start_time, updates, records, now)

    def _backfilled(
        self, asked: _Asked, seen: State, now: datetime
    ) -> Mapping[str, Sequence[PriceRecord]]:
        """The history, made up, of demo assets that have none; oldest first."""
        if asked.market is not Market.DEMO:
            return {}
        return {
            asset: demo.backfill(self._settings.demo_seed, asset, asked.demo_start_time, now)
            for asset in asked.assets
            if asset not in seen.prices
        }

    async def _with_volatility(
        self,
        store: PriceStore,
        market: Market,
        judged: Sequence[PriceUpdate],
        backfilled: Mapping[str, Sequence[PriceRecord]],
        now: datetime,
    ) -> list[PriceUpdate]:
        """Volatility of whole hours: reckoned again once an hour, kept in between."""
        hour = volatility.hour_of(now)
        due = [one.price.asset for one in judged if one.price.volatility_hour_time != hour]
        if not due:
            return list(judged)
        closes = {asset: volatility.hourly_closes(records) for asset, records in backfilled.items()}
        if stored := [asset for asset in due if asset not in closes]:
            closes |= await store.closes(market, stored, hour - volatility.WINDOW, hour)
        return [
            one.with_volatility(volatility.hourly_volatility_ratio(*closes[one.price.asset]), hour)
            if one.price.asset in closes
            else one
            for one in judged
        ]


def judge(
    asset: str, market: Market, kept: Price | None, answers: Sequence[SourceAnswer], now: datetime
) -> PriceUpdate:
    """What the answers make of the price that was kept."""
    consensus = agree(asset, quotes_of(asset, answers), now, price_update.last_good(kept))
    return price_update.apply_consensus(kept, asset, market, consensus, now)


def quotes_of(asset: str, answers: Sequence[SourceAnswer]) -> list[Quote]:
    """One quote of each source; for one that failed an empty one with that reason."""
    return [
        answer.quotes.get(asset)
        or Quote(answer.result.source, dropped_reason=answer.result.failure or Dropped.MISSING)
        for answer in answers
    ]
