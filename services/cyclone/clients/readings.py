"""Readings handed from one service to another: prices, portfolio totals, wallets."""

from __future__ import annotations

from collections.abc import Iterable

from sonic.alerts.v1 import alerts_pb2
from sonic.monitor.v1 import monitor_pb2
from sonic.positions.v1 import positions_pb2
from sonic.price.v1 import price_pb2

from services.cyclone.domain.outcomes import Call, PriceReading, WalletReading
from services.cyclone.domain.streams import Stream
from shared.codec import fill, read
from shared.secret_shapes import without_secrets

_STATES = positions_pb2.WalletSyncState
_MOST_SIGNS = 200
_MOST_PARTS, _MOST_PART_SIGNS = 200, 500


def price_reading(price: price_pb2.Price) -> PriceReading:
    quality = price_pb2.Quality.Name(price.quality).removeprefix("QUALITY_")
    return read(PriceReading, price, quality=quality)


def alerts_prices(prices: Iterable[PriceReading]) -> list[alerts_pb2.PriceReading]:
    return [fill(alerts_pb2.PriceReading, price) for price in prices]


def wallet_readings(syncs: Iterable[positions_pb2.WalletSync]) -> tuple[WalletReading, ...]:
    """Of the venues of one wallet the worst answer counts; a later state is a worse one."""
    worst: dict[str, positions_pb2.WalletSync] = {}
    for sync in syncs:
        if sync.wallet not in worst or sync.state > worst[sync.wallet].state:
            worst[sync.wallet] = sync
    return tuple(
        WalletReading(
            name,
            _STATES.Name(sync.state).removeprefix("WALLET_SYNC_STATE_"),
            sync.reason[:_MOST_SIGNS],
            _unwatched(sync),
        )
        for name, sync in worst.items()
    )


def _unwatched(sync: positions_pb2.WalletSync) -> tuple[str, ...]:
    """Within the bounds of the monitor's request, which no stranger's words may have refused."""
    is_partial = sync.state == _STATES.WALLET_SYNC_STATE_PARTIAL
    parts = sync.unwatched[:_MOST_PARTS] if is_partial else ()
    return tuple(without_secrets(part)[:_MOST_PART_SIGNS] for part in parts)


def monitor_prices(call: Call) -> monitor_pb2.PricesReading | None:
    """None when this cycle has not read them."""
    if not call.has_prices:
        return None
    prices = [fill(monitor_pb2.PriceReading, price) for price in call.prices]
    return monitor_pb2.PricesReading(prices=prices)


def monitor_streams(streams: Iterable[Stream] | None) -> monitor_pb2.StreamsReading | None:
    """None where none are followed."""
    if streams is None:
        return None
    told = [
        fill(
            monitor_pb2.StreamReading,
            one,
            state=one.state.name,
            reason=one.reason[:_MOST_SIGNS],
        )
        for one in streams
    ]
    return monitor_pb2.StreamsReading(streams=told)


def monitor_holdings(call: Call) -> monitor_pb2.HoldingsReading | None:
    """None when this cycle has read only a part of it."""
    if call.totals is None or call.wallets is None:
        return None
    wallets = [fill(monitor_pb2.WalletReading, wallet) for wallet in call.wallets]
    return fill(monitor_pb2.HoldingsReading, call.totals, wallets=wallets)
