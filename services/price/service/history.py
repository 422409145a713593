"""What can be done with the history of prices. Owns the transactions."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from services.price.domain import candles, price_update
from services.price.domain.candles import BackfillProgress, CandlePage, Interval, Kline
from services.price.domain.consensus import FUTURE_TOLERANCE
from services.price.domain.prices import (
    MANUAL_SOURCE,
    HistoryFilter,
    Market,
    PriceRecord,
    not_tracked,
    wanted_assets,
)
from services.price.store.history import HistoryStore
from shared import paging
from shared.clock import Clock
from shared.errors import AlreadyExists, InvalidArgument, NotFound, invalid
from shared.paging import Page

Begin = Callable[[], AbstractAsyncContextManager[HistoryStore]]

_BACKFILL_SOURCE = "binance"
_BACKFILL_WINDOW = timedelta(days=30)
_BACKFILL_MOST = 200_000
_BACKFILL_PAGE = 1000


class CandleSource(Protocol):
    """A provider of candles of the past; see services.price.sources.klines.Klines."""

    @property
    def name(self) -> str: ...

    @property
    def page_count(self) -> int: ...

    @property
    def pause_seconds(self) -> float:
        """Between two pages, so that the prices of now have their calls."""
        ...

    async def page(
        self, asset: str, interval: Interval, start: datetime, end: datetime
    ) -> Sequence[Kline]:
        """Candles from `start` to before `end`. Raises NotFound NO_CANDLES, ProviderFailure."""
        ...


class HistoryService:
    """Reading, correcting and filling the history; the present price is always its newest row.

    `ensure_market` is awaited before the market is read; `changed` is called after each write.
    """

    def __init__(
        self,
        begin: Begin,
        source: CandleSource,
        clock: Clock,
        assets: tuple[str, ...],
        *,
        ensure_market: Callable[[], Awaitable[None]],
        changed: Callable[[], None],
    ) -> None:
        self._begin = begin
        self._source = source
        self._clock = clock
        self._assets = assets
        self._ensure_market = ensure_market
        self._changed = changed

    async def page(
        self, asset: str, wanted: HistoryFilter, page_size: int, page_token: str
    ) -> Page[PriceRecord]:
        """Rows of the asset in the present market, newest first.

        Raises InvalidArgument UNKNOWN_ASSET of one that is not tracked and was not before,
        INVALID_FIELD, BAD_PAGE_TOKEN, PAGE_TOKEN_MISMATCH.
        """
        _check_order(wanted.start_time, wanted.end_time)
        wanted = replace(
            wanted, source=wanted.source.strip().lower(), qualities=tuple(sorted(wanted.qualities))
        )
        await self._ensure_market()
        async with self._begin() as store:
            market = await store.market()
            context = paging.context("history", market.value, asset, wanted)
            page = paging.parse(page_size, page_token, context=context)
            await self._check_asset(store, market, asset)
            found = await store.page(market, asset, wanted, page)
        return paging.cut(found, page, context, lambda record: (record.price_time, record.id))

    async def insert(
        self, asset: str, price_usd: float, price_time: datetime | None
    ) -> PriceRecord:
        """Write a price by hand into the present market; None = now.

        InvalidArgument UNKNOWN_ASSET, NOT_A_PRICE, INVALID_FIELD, AlreadyExists RECORD_EXISTS.
        """
        (asset,) = wanted_assets([asset], self._assets, "asset")
        moment = self._checked(price_usd, price_time or self._clock.now(), "")
        await self._ensure_market()
        async with self._begin() as store:
            market = await store.lock()
            ids = await store.insert(market, asset, MANUAL_SOURCE, [(moment, price_usd)])
            if not ids:
                raise _exists(asset)
            await store.link(market, asset, moment, moment)
            await self._apply_history(store, market, asset, vouched=True)
            record = await _existing(store, ids[0])
        self._changed()
        return record

    async def correct(
        self, id: int, price_usd: float | None, price_time: datetime | None
    ) -> PriceRecord:
        """Correct a row by hand; None keeps what it says.

        Raises NotFound RECORD_NOT_FOUND, InvalidArgument NOT_A_PRICE, INVALID_FIELD,
        AlreadyExists RECORD_EXISTS.
        """
        async with self._begin() as store:
            await store.lock()
            old = await _existing(store, id)
            new_usd = old.price_usd if price_usd is None else price_usd
            moment = self._checked(new_usd, price_time or old.price_time, "record.")
            if (new_usd, moment) == (old.price_usd, old.price_time):
                return old
            if moment != old.price_time and await store.has(old.market, old.asset, moment):
                raise _exists(old.asset)
            await store.correct(id, new_usd, moment)
            for changed_time in (old.price_time, moment):
                await store.link(old.market, old.asset, changed_time, changed_time)
            newest = await store.newest(old.market, old.asset)
            await self._apply_history(
                store, old.market, old.asset, vouched=newest is not None and newest.id == id
            )
            record = await _existing(store, id)
        self._changed()
        return record

    async def delete(self, id: int) -> PriceRecord:
        """Delete a row and answer with what it was. Raises NotFound RECORD_NOT_FOUND."""
        async with self._begin() as store:
            await store.lock()
            record = await _existing(store, id)
            await store.delete(id)
            await store.link(record.market, record.asset, record.price_time, record.price_time)
            await self._apply_history(store, record.market, record.asset, vouched=False)
        self._changed()
        return record

    async def candles(
        self,
        asset: str,
        interval: Interval,
        start: datetime | None,
        end: datetime | None,
        page_size: int,
        page_token: str,
    ) -> CandlePage:
        """Candles and gaps of the present market, oldest first; a page covers `page_size`
        intervals.

        Raises InvalidArgument UNKNOWN_ASSET of one that is not tracked and was not before,
        INVALID_FIELD, BAD_PAGE_TOKEN, PAGE_TOKEN_MISMATCH.
        """
        now = self._clock.now()
        await self._ensure_market()
        async with self._begin() as store:
            market = await store.market()
            await self._check_asset(store, market, asset)
            context = paging.context("candles", market.value, asset, interval.value, start, end)
            page = paging.parse(page_size, page_token, context=context)
            first, until = _stretch(
                interval, start, end, now, page.after, interval.span * page.size
            )
            page_end = min(until, first + interval.span * page.size)
            found = await store.candles(market, asset, interval, first, page_end, now)
        ended = min(page_end, interval.start_of(now))
        holes = candles.gaps([candle.start_time for candle in found], interval, first, ended)
        token = paging.next_token(context, (page_end, until)) if page_end < until else ""
        return CandlePage(tuple(found), tuple(holes), token)

    async def backfill(
        self, asset: str, interval: Interval, start: datetime | None, end: datetime | None
    ) -> AsyncIterator[BackfillProgress]:
        """Fetch candles of the past into the live history, page by page; a time that has a row
        keeps it.

        Raises InvalidArgument UNKNOWN_ASSET, INVALID_FIELD, NotFound NO_CANDLES, ProviderFailure.
        """
        (asset,) = wanted_assets([asset], self._assets, "asset")
        first, until = _backfill_stretch(interval, start, end, self._clock.now())
        fetched_count = inserted_count = 0
        while first < until:
            page_end = min(until, first + interval.span * _BACKFILL_PAGE)
            await self._clock.sleep(self._source.pause_seconds)
            klines = await self._source.page(asset, interval, first, page_end)
            rows = [(kline.price_time(interval), kline.close_usd) for kline in klines]
            inserted_count += await self._fill(asset, rows)
            fetched_count += len(klines)
            holes = tuple(
                candles.gaps([kline.start_time for kline in klines], interval, first, page_end)
            )
            yield BackfillProgress(
                fetched_count, inserted_count, page_end, holes, page_end >= until
            )
            first = page_end

    async def _check_asset(self, store: HistoryStore, market: Market, asset: str) -> None:
        """An empty list would say that it has no history, where nobody ever looked."""
        tracked = self._assets
        if asset not in tracked and await store.newest(market, asset) is None:
            raise not_tracked([asset], tracked, "asset")

    async def _fill(self, asset: str, rows: Sequence[tuple[datetime, float]]) -> int:
        if not rows:
            return 0
        market = Market.LIVE
        await self._ensure_market()
        async with self._begin() as store:
            await store.lock()
            ids = await store.insert(market, asset, _BACKFILL_SOURCE, rows)
            if ids:
                await store.link(market, asset, rows[0][0], rows[-1][0])
                await self._apply_history(store, market, asset, vouched=False)
        if ids:
            self._changed()
        return len(ids)

    async def _apply_history(
        self, store: HistoryStore, market: Market, asset: str, *, vouched: bool
    ) -> None:
        """Keep the present price the newest row; the next refresh reckons the volatility anew."""
        kept = await store.present(market, asset)
        newest = await store.newest(market, asset)
        trusted = await store.newest(market, asset, trusted=True)
        price = price_update.apply_history(kept, asset, market, newest, trusted, vouched=vouched)
        await store.keep(replace(price, volatility_hour_time=None), self._clock.now())

    def _checked(self, price_usd: float, price_time: datetime, path: str) -> datetime:
        """The time, when both can be."""
        if not (math.isfinite(price_usd) and price_usd > 0):
            problem = "a finite number above 0"
            fields = {f"{path}price_usd": problem}
            raise InvalidArgument("NOT_A_PRICE", f"price_usd is not {problem}", fields=fields)
        if price_time > self._clock.now() + FUTURE_TOLERANCE:
            sentence = "price_time is in the future"
            raise invalid(f"{path}price_time", "not in the future", sentence)
        return price_time


async def _existing(store: HistoryStore, id: int) -> PriceRecord:
    record = await store.record(id)
    if record is None:
        raise NotFound("RECORD_NOT_FOUND", f"no row {id} in the history", metadata={"id": str(id)})
    return record


def _exists(asset: str) -> AlreadyExists:
    problem = f"{asset} has a row at this time"
    return AlreadyExists("RECORD_EXISTS", problem, fields={"price_time": problem})


def _check_order(start: datetime | None, end: datetime | None) -> None:
    if start is not None and end is not None and end <= start:
        raise invalid("end_time", "after start_time", "end_time is not after start_time")


def _stretch(
    interval: Interval,
    start: datetime | None,
    end: datetime | None,
    now: datetime,
    after: paging.Key | None,
    default_span: timedelta,
) -> tuple[datetime, datetime]:
    """Whole intervals, the last one excluded; a page token goes on where its page ended."""
    match after:
        case (datetime() as next_start, datetime() as until):
            return next_start, until
    _check_order(start, end)
    until = interval.end_of(min(end or now, now))
    first = interval.start_of(start) if start is not None else until - default_span
    _check_order(first, until)
    return first, until


def _backfill_stretch(
    interval: Interval, start: datetime | None, end: datetime | None, now: datetime
) -> tuple[datetime, datetime]:
    """Whole intervals that have ended."""
    _check_order(start, end)
    until = interval.start_of(min(end or now, now))
    first = interval.start_of(start if start is not None else until - _BACKFILL_WINDOW)
    _check_order(first, until)
    if (until - first) // interval.span > _BACKFILL_MOST:
        problem = f"at most {_BACKFILL_MOST} candles before end_time"
        raise invalid("start_time", problem, "the stretch is too long")
    return first, until
