"""Readings handed from one service to another: prices and portfolio totals, message to value and back."""

from __future__ import annotations

from datetime import timedelta

from sonic.alerts.v1 import alerts_pb2
from sonic.positions.v1 import positions_pb2
from sonic.price.v1 import price_pb2

from services.cyclone.domain import outcomes
from services.cyclone.domain.outcomes import Call, PriceReading, TotalsReading
from shared import codec

_NUMBERS = (
    "total_value_usd",
    "total_size_usd",
    "total_profit_usd",
    "avg_leverage_ratio",
    "avg_travel_percent",
    "avg_heat_index",
    "value_to_collateral_ratio",
)


def price_reading(price: price_pb2.Price) -> PriceReading:
    quality = price_pb2.Quality.Name(price.quality).removeprefix("QUALITY_")
    age = codec.from_duration(price, "age") or timedelta(0)
    value = codec.number(price, "price_usd")
    return PriceReading(
        price.asset, value, codec.from_timestamp(price, "price_time"), outcomes.stale(quality, age)
    )


def price_message(reading: PriceReading) -> alerts_pb2.PriceReading:
    message = alerts_pb2.PriceReading(
        asset=reading.asset, price_time=codec.to_timestamp(reading.price_time), stale=reading.stale
    )
    codec.put(message, price_usd=reading.price_usd)
    return message


def totals_reading(totals: positions_pb2.Totals) -> TotalsReading:
    return TotalsReading(
        total_value_usd=totals.total_value_usd,
        total_size_usd=totals.total_size_usd,
        total_profit_usd=totals.total_profit_usd,
        avg_leverage_ratio=codec.number(totals, "avg_leverage_ratio"),
        avg_travel_percent=codec.number(totals, "avg_travel_percent"),
        avg_heat_index=codec.number(totals, "avg_heat_index"),
        value_to_collateral_ratio=codec.number(totals, "value_to_collateral_ratio"),
        oldest_mark_time=codec.from_timestamp(totals, "oldest_mark_time"),
        position_count=totals.position_count,
        stale_count=totals.stale_count,
    )


def totals_message(reading: TotalsReading, call: Call) -> alerts_pb2.TotalsReading:
    message = alerts_pb2.TotalsReading(
        observed_time=codec.to_timestamp(reading.oldest_mark_time),
        position_count=reading.position_count,
        stale=outcomes.rests_on_old(reading, call.now),
    )
    codec.put(message, **{name: getattr(reading, name) for name in _NUMBERS})
    return message
