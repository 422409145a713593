"""Messages to the domain and back, one method an RPC. Decides nothing."""

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import grpc
from sonic.price.v1 import price_pb2 as message
from sonic.price.v1 import price_pb2_grpc as rpc

from services.price.domain.prices import Market, News, Price, PriceRecord, Quote, SourceResult, quality_now
from services.price.service import PriceService
from shared.clock import Clock
from shared.codec import from_timestamp, put, to_duration, to_timestamp
from shared.database.fence import Step

Context = grpc.aio.ServicerContext[Any, Any]

_STEP = "refresh_prices"


class PriceServicer(rpc.PriceServiceServicer):
    """`watch` starts a watcher: the present state first, then every change."""

    def __init__(self, service: PriceService, watch: Callable[[], AsyncIterator[News]], clock: Clock) -> None:
        self._service = service
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
        fresh_count = refreshed.fresh_count
        return message.RefreshPricesResponse(
            prices=self._prices(refreshed.prices),
            sources=[_source(result) for result in refreshed.sources],
            skipped_reason=refreshed.skipped_reason,
            fresh_count=fresh_count,
            missing_count=len(refreshed.prices) - fresh_count,
            market=_market(refreshed.market),
        )

    async def GetPrice(self, request: message.GetPriceRequest, context: Context) -> message.Price:
        return _price(await self._service.get(_symbol(request.asset)), self._clock.now())

    async def ListPrices(
        self, request: message.ListPricesRequest, context: Context
    ) -> message.ListPricesResponse:
        page = await self._service.page(request.page_size, request.page_token)
        return message.ListPricesResponse(
            prices=self._prices(page.rows), next_page_token=page.next_page_token
        )

    async def ListPriceHistory(
        self, request: message.ListPriceHistoryRequest, context: Context
    ) -> message.ListPriceHistoryResponse:
        page = await self._service.history(
            _symbol(request.asset),
            from_timestamp(request, "start_time"),
            from_timestamp(request, "end_time"),
            request.page_size,
            request.page_token,
        )
        return message.ListPriceHistoryResponse(
            records=[_record(record) for record in page.rows], next_page_token=page.next_page_token
        )

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

    async def ClearData(
        self, request: message.ClearDataRequest, context: Context
    ) -> message.ClearDataResponse:
        return message.ClearDataResponse(deleted_count=await self._service.clear(request.confirm))

    def _prices(self, prices: Iterable[Price]) -> list[message.Price]:
        now = self._clock.now()
        return [_price(price, now) for price in prices]


def _symbol(text: str) -> str:
    return text.strip().upper()


def _market(market: Market) -> message.Market.ValueType:
    return message.Market.ValueType(market.value)


def _price(price: Price, now: datetime) -> message.Price:
    answer = message.Price(
        asset=price.asset,
        price_time=to_timestamp(price.price_time),
        previous_price_time=to_timestamp(price.previous_price_time),
        source=price.source,
        quality=message.Quality.ValueType(quality_now(price, now).value),
        age=to_duration(max(now - price.price_time, timedelta(0)) if price.price_time else None),
        market=_market(price.market),
        quotes=[_quote(quote) for quote in price.quotes],
    )
    put(
        answer,
        price_usd=price.price_usd,
        previous_price_usd=price.previous_price_usd,
        hourly_volatility_ratio=price.hourly_volatility_ratio,
    )
    return answer


def _quote(quote: Quote) -> message.Quote:
    answer = message.Quote(
        source=quote.source,
        price_time=to_timestamp(quote.price_time),
        used=quote.used,
        dropped_reason=quote.dropped_reason,
    )
    put(answer, price_usd=quote.price_usd, confidence_usd=quote.confidence_usd)
    return answer


def _source(result: SourceResult) -> message.SourceResult:
    return message.SourceResult(
        source=result.source,
        ok=not result.failure,
        failure=result.failure,
        message=result.message,
        latency=to_duration(result.latency),
        quote_count=result.quote_count,
    )


def _record(record: PriceRecord) -> message.PriceRecord:
    answer = message.PriceRecord(
        id=record.id,
        asset=record.asset,
        price_usd=record.price_usd,
        price_time=to_timestamp(record.price_time),
        previous_price_time=to_timestamp(record.previous_price_time),
        source=record.source,
        quality=message.Quality.ValueType(record.quality.value),
        market=_market(record.market),
    )
    put(answer, previous_price_usd=record.previous_price_usd)
    return answer
