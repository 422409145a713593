"""Messages to the domain and back, one method an RPC. Decides nothing."""

from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any

import grpc
from sonic.price.v1 import price_pb2 as message
from sonic.price.v1 import price_pb2_grpc as rpc

from services.price.domain.candles import Interval
from services.price.domain.prices import HistoryFilter, Market, News, Price, Quality
from services.price.service.history import HistoryService
from services.price.service.minutes import MinutesService
from services.price.service.moves import MovesService
from services.price.service.prices import PriceService
from services.price.servicer.mapping import (
    minutes_message,
    moves_message,
    price_message,
    progress_message,
    refreshed_message,
)
from shared.clock import Clock
from shared.codec import apply_mask, check_mask, fill, from_timestamp, masked, put, read
from shared.database.fence import Step

Context = grpc.aio.ServicerContext[Any, Any]

_STEP = "refresh_prices"
_record = partial(fill, message.PriceRecord)


class PriceServicer(rpc.PriceServiceServicer):
    """`watch` starts a watcher: the present state first, then every change."""

    def __init__(
        self,
        service: PriceService,
        history: HistoryService,
        moves: MovesService,
        minutes: MinutesService,
        watch: Callable[[], AsyncIterator[News]],
        clock: Clock,
    ) -> None:
        self._service = service
        self._history = history
        self._moves = moves
        self._minutes = minutes
        self._watch = watch
        self._clock = clock

    async def RefreshPrices(
        self, request: message.RefreshPricesRequest, context: Context
    ) -> message.RefreshPricesResponse:
        refreshed = await self._service.refresh(
            Step(_STEP, request.cycle_id, request.epoch),
            request.assets,
            force=request.force,
            market=Market(request.market) if request.market else None,
        )
        return refreshed_message(refreshed, self._clock.now())

    async def GetPrice(self, request: message.GetPriceRequest, context: Context) -> message.Price:
        price = await self._service.get(_symbol(request.asset))
        answer = price_message(price, self._clock.now())
        if found := await self._service.day_range(price):
            put(answer, high_24h_usd=found.high_usd, low_24h_usd=found.low_usd)
        return answer

    async def ListPrices(
        self, request: message.ListPricesRequest, context: Context
    ) -> message.ListPricesResponse:
        check_mask(message.Price, request.read_mask)
        page = await self._service.page(
            request.page_size, request.page_token, tuple(map(Quality, request.qualities))
        )
        return message.ListPricesResponse(
            prices=masked(self._prices(page.rows), request.read_mask),
            next_page_token=page.next_page_token,
        )

    async def ListPriceHistory(
        self, request: message.ListPriceHistoryRequest, context: Context
    ) -> message.ListPriceHistoryResponse:
        check_mask(message.PriceRecord, request.read_mask)
        wanted = read(HistoryFilter, request)
        page = await self._history.page(
            _symbol(request.asset), wanted, request.page_size, request.page_token
        )
        return message.ListPriceHistoryResponse(
            records=masked(map(_record, page.rows), request.read_mask),
            next_page_token=page.next_page_token,
        )

    async def InsertPrice(
        self, request: message.InsertPriceRequest, context: Context
    ) -> message.PriceRecord:
        record = await self._history.insert(
            request.asset, request.price_usd, from_timestamp(request, "price_time")
        )
        return _record(record)

    async def UpdatePriceRecord(
        self, request: message.UpdatePriceRecordRequest, context: Context
    ) -> message.PriceRecord:
        record = request.record
        paths = apply_mask(record, request.update_mask, ("price_usd", "price_time"))
        corrected = await self._history.correct(
            record.id,
            record.price_usd if "price_usd" in paths else None,
            from_timestamp(record, "price_time") if "price_time" in paths else None,
        )
        return _record(corrected)

    async def DeletePriceRecord(
        self, request: message.DeletePriceRecordRequest, context: Context
    ) -> message.PriceRecord:
        return _record(await self._history.delete(request.id))

    async def ListCandles(
        self, request: message.ListCandlesRequest, context: Context
    ) -> message.ListCandlesResponse:
        check_mask(message.Candle, request.read_mask)
        page = await self._history.candles(
            _symbol(request.asset),
            _interval(request.interval),
            from_timestamp(request, "start_time"),
            from_timestamp(request, "end_time"),
            request.page_size,
            request.page_token,
        )
        return message.ListCandlesResponse(
            candles=masked(map(partial(fill, message.Candle), page.candles), request.read_mask),
            gaps=map(partial(fill, message.Gap), page.gaps),
            next_page_token=page.next_page_token,
        )

    async def BackfillHistory(
        self, request: message.BackfillHistoryRequest, context: Context
    ) -> AsyncIterator[message.BackfillHistoryResponse]:
        progress = self._history.backfill(
            request.asset,
            _interval(request.interval),
            from_timestamp(request, "start_time"),
            from_timestamp(request, "end_time"),
        )
        async for one in progress:
            yield progress_message(one)

    async def ListSources(
        self, request: message.ListSourcesRequest, context: Context
    ) -> message.ListSourcesResponse:
        check_mask(message.SourceStatus, request.read_mask)
        statuses = map(partial(fill, message.SourceStatus), self._service.sources())
        return message.ListSourcesResponse(sources=masked(statuses, request.read_mask))

    async def WatchPrices(
        self, request: message.WatchPricesRequest, context: Context
    ) -> AsyncIterator[message.WatchPricesResponse]:
        watched = {_symbol(asset) for asset in request.assets}
        is_first = True
        async for news in self._watch():
            prices = [price for price in news.prices if not watched or price.asset in watched]
            if prices or news.gap or is_first:
                yield message.WatchPricesResponse(prices=self._prices(prices), gap=news.gap)
            is_first = False

    async def ReadMoves(
        self, request: message.ReadMovesRequest, context: Context
    ) -> AsyncIterator[message.Moves]:
        known = set(request.known_versions)
        for moves in self._moves.read(request.assets):
            yield moves_message(moves, is_known=moves.version in known)

    async def ReadMinutes(
        self, request: message.ReadMinutesRequest, context: Context
    ) -> AsyncIterator[message.Minutes]:
        start, end = from_timestamp(request, "start_time"), from_timestamp(request, "end_time")
        async for one in self._minutes.read(request.assets, start or self._clock.now(), end):
            yield minutes_message(one)

    async def ClearData(
        self, request: message.ClearDataRequest, context: Context
    ) -> message.ClearDataResponse:
        return message.ClearDataResponse(deleted_count=await self._service.clear(request.confirm))

    def _prices(self, prices: Iterable[Price]) -> list[message.Price]:
        now = self._clock.now()
        return [price_message(price, now) for price in prices]


def _symbol(text: str) -> str:
    return text.strip().upper()


def _interval(value: message.Interval.ValueType) -> Interval:
    return Interval(value) if value else Interval.HOUR
