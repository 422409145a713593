"""Readings handed from one service to another: prices and portfolio totals, message to value and
back.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from sonic.alerts.v1 import alerts_pb2
from sonic.monitor.v1 import monitor_pb2
from sonic.positions.v1 import positions_pb2
from sonic.price.v1 import price_pb2

from services.cyclone.domain import outcomes
from services.cyclone.domain.outcomes import Call, PriceReading, TotalsReading, WalletReading
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
        asset=price.asset,
        price_usd=value,
        price_time=codec.from_timestamp(price, "price_time"),
        stale=outcomes.stale(quality, age),
        quality=quality,
        age=codec.from_duration(price, "age"),
    )


def price_message(reading: PriceReading) -> alerts_pb2.PriceReading:
    message = alerts_pb2.PriceReading(
        asset=reading.asset, price_time=codec.to_timestamp(reading.price_time), stale=reading.stale
    )
    codec.put(message, price_usd=reading.price_usd)
    return message


def totals_reading(totals: positions_pb2.Totals) -> TotalsReading:
    return TotalsReading(
        total_value_usd=codec.number(totals, "total_value_usd"),
        total_size_usd=totals.total_size_usd,
        total_profit_usd=totals.total_profit_usd,
        avg_leverage_ratio=codec.number(totals, "avg_leverage_ratio"),
        avg_travel_percent=codec.number(totals, "avg_travel_percent"),
        avg_heat_index=codec.number(totals, "avg_heat_index"),
        value_to_collateral_ratio=codec.number(totals, "value_to_collateral_ratio"),
        oldest_mark_time=codec.from_timestamp(totals, "oldest_mark_time"),
        position_count=totals.position_count,
        stale_count=totals.stale_count,
        total_pnl_usd=totals.total_pnl_usd,
    )


def totals_message(reading: TotalsReading, call: Call) -> alerts_pb2.TotalsReading:
    message = alerts_pb2.TotalsReading(
        observed_time=codec.to_timestamp(reading.oldest_mark_time),
        position_count=reading.position_count,
        stale=outcomes.rests_on_old(reading, call.now),
    )
    codec.put(message, **{name: getattr(reading, name) for name in _NUMBERS})
    return message


# Of the venues of one wallet the worst answer counts; a later state is a worse one.
_STATES = positions_pb2.WalletSyncState
_MOST_SIGNS = 200


def wallet_readings(syncs: Iterable[positions_pb2.WalletSync]) -> tuple[WalletReading, ...]:
    worst: dict[str, positions_pb2.WalletSync] = {}
    for sync in syncs:
        if sync.wallet not in worst or sync.state > worst[sync.wallet].state:
            worst[sync.wallet] = sync
    return tuple(
        WalletReading(
            name, _STATES.Name(sync.state).removeprefix("WALLET_SYNC_STATE_"), _reason(sync)
        )
        for name, sync in worst.items()
    )


def _reason(sync: positions_pb2.WalletSync) -> str:
    """Parts of an account that are not read are named, as far as there is room."""
    is_read = sync.state != _STATES.WALLET_SYNC_STATE_PARTIAL or not sync.unwatched
    return str(sync.reason) if is_read else "; ".join(sync.unwatched)[:_MOST_SIGNS]


def monitor_prices(call: Call) -> monitor_pb2.PricesReading | None:
    """None when this cycle has not read them."""
    return (
        monitor_pb2.PricesReading(prices=map(_monitor_price, call.prices))
        if call.has_prices
        else None
    )


def monitor_holdings(call: Call) -> monitor_pb2.HoldingsReading | None:
    """None when this cycle has read only a part of it."""
    if call.totals is None or call.wallets is None:
        return None
    return monitor_pb2.HoldingsReading(
        position_count=call.totals.position_count,
        stale_count=call.totals.stale_count,
        total_profit_usd=call.totals.total_profit_usd or 0.0,
        total_pnl_usd=call.totals.total_pnl_usd,
        wallets=[
            monitor_pb2.WalletReading(name=one.name, state=one.state, reason=one.reason)
            for one in call.wallets
        ],
    )


def _monitor_price(reading: PriceReading) -> monitor_pb2.PriceReading:
    message = monitor_pb2.PriceReading(
        asset=reading.asset, quality=reading.quality, age=codec.to_duration(reading.age)
    )
    codec.put(message, price_usd=reading.price_usd)
    return message
