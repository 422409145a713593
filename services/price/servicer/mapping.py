"""The domain's values as messages. Decides nothing."""

from datetime import datetime, timedelta

from sonic.price.v1 import price_pb2 as message

from services.price.domain.candles import BackfillProgress, Candle, Gap
from services.price.domain.prices import (
    Market,
    Price,
    PriceRecord,
    Quote,
    SourceResult,
    SourceState,
    SourceStatus,
    quality_now,
)
from shared.codec import put, to_duration, to_timestamp


def market_of(market: Market) -> message.Market.ValueType:
    return message.Market.ValueType(market.value)


def price_message(price: Price, now: datetime) -> message.Price:
    answer = message.Price(
        asset=price.asset,
        price_time=to_timestamp(price.price_time),
        previous_price_time=to_timestamp(price.previous_price_time),
        source=price.source,
        quality=message.Quality.ValueType(quality_now(price, now).value),
        age=to_duration(max(now - price.price_time, timedelta(0)) if price.price_time else None),
        market=market_of(price.market),
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
        notes=quote.notes,
    )
    put(
        answer,
        price_usd=quote.price_usd,
        confidence_usd=quote.confidence_usd,
        high_24h_usd=quote.high_24h_usd,
        low_24h_usd=quote.low_24h_usd,
    )
    return answer


def result_message(result: SourceResult) -> message.SourceResult:
    return message.SourceResult(
        source=result.source,
        ok=not result.failure,
        failure=result.failure,
        message=result.message,
        latency=to_duration(result.latency),
        quote_count=result.quote_count,
    )


def record_message(record: PriceRecord) -> message.PriceRecord:
    answer = message.PriceRecord(
        id=record.id,
        asset=record.asset,
        price_usd=record.price_usd,
        price_time=to_timestamp(record.price_time),
        previous_price_time=to_timestamp(record.previous_price_time),
        source=record.source,
        quality=message.Quality.ValueType(record.quality.value),
        market=market_of(record.market),
    )
    put(answer, previous_price_usd=record.previous_price_usd)
    return answer


def candle_message(candle: Candle) -> message.Candle:
    return message.Candle(
        start_time=to_timestamp(candle.start_time),
        open_usd=candle.open_usd,
        high_usd=candle.high_usd,
        low_usd=candle.low_usd,
        close_usd=candle.close_usd,
        record_count=candle.record_count,
        complete=candle.complete,
    )


def gap_message(gap: Gap) -> message.Gap:
    return message.Gap(
        start_time=to_timestamp(gap.start_time),
        end_time=to_timestamp(gap.end_time),
        interval_count=gap.interval_count,
    )


def progress_message(progress: BackfillProgress) -> message.BackfillHistoryResponse:
    return message.BackfillHistoryResponse(
        fetched_count=progress.fetched_count,
        inserted_count=progress.inserted_count,
        known_count=progress.fetched_count - progress.inserted_count,
        covered_until_time=to_timestamp(progress.covered_until_time),
        gaps=[gap_message(gap) for gap in progress.gaps],
        done=progress.done,
    )


def status_message(status: SourceStatus) -> message.SourceStatus:
    return message.SourceStatus(
        source=status.source,
        enabled=status.state is not SourceState.DISABLED,
        state=message.SourceState.ValueType(status.state.value),
        assets=status.assets,
        last_answer_time=to_timestamp(status.last_answer_time),
        latency=to_duration(status.latency),
        last_failure=status.last_failure,
        last_failure_time=to_timestamp(status.last_failure_time),
        last_failure_message=status.last_failure_message,
        calls_left=status.calls_left,
        answer_count=status.answer_count,
        failure_count=status.failure_count,
    )
