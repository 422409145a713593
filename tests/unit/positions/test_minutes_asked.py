"""Of price only what it tracks is asked for: one asset it does not know would refuse them all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sonic.price.v1 import price_pb2 as pb
from sonic.price.v1 import price_pb2_grpc as rpc

from services.positions.clients import PriceClient, price_channel
from services.price.domain.prices import wanted_assets
from shared.clock import SystemClock
from shared.rpc.server import GrpcServer


class Price(rpc.PriceServiceServicer):
    """Tracks BTC, and more when a test says so, and refuses others as the price service does."""

    def __init__(self) -> None:
        self.tracked = ["BTC"]
        self.asked_counts: list[int] = []

    async def ListPrices(self, request: Any, context: Any) -> pb.ListPricesResponse:
        return pb.ListPricesResponse(prices=[pb.Price(asset=name) for name in self.tracked])

    async def ReadMinutes(self, request: Any, context: Any) -> AsyncIterator[pb.Minutes]:
        self.asked_counts.append(len(request.assets))
        for asset in wanted_assets(request.assets, self.tracked):
            yield pb.Minutes(asset=asset, source="t", minute=[1], high_usd=[2.0], low_usd=[1.0])


@pytest.fixture
def price() -> Price:
    return Price()


@pytest.fixture
async def address(price: Price) -> AsyncIterator[str]:
    server = GrpcServer(
        "127.0.0.1:0",
        [(rpc.add_PriceServiceServicer_to_server, price)],
        service_names=["price"],
        clock=SystemClock(),
    )
    await server.start()
    yield server.address
    await server.stop()


async def test_an_asset_that_price_does_not_track_keeps_no_other_from_being_looked_at(
    address: str,
) -> None:
    channel = price_channel(address)
    await channel.start()
    client = PriceClient(channel)
    await client.read()
    found = await client.minutes(["BTC", "DOGE"], datetime(2026, 1, 1, tzinfo=UTC))
    await channel.stop()
    assert found["BTC"].low_usd.tolist() == [1.0] and not found["BTC"].failure
    assert found["DOGE"].failure == "NO_CANDLES"


async def test_more_assets_than_price_takes_at_once_are_asked_for_in_portions(
    price: Price, address: str
) -> None:
    price.tracked = [f"A{number}" for number in range(230)]
    channel = price_channel(address)
    await channel.start()
    client = PriceClient(channel)
    await client.read()
    found = await client.minutes([*price.tracked, "DOGE"], datetime(2026, 1, 1, tzinfo=UTC))
    await channel.stop()
    assert price.asked_counts == [100, 100, 30]
    assert [name for name, one in found.items() if one.failure] == ["DOGE"]
    assert len(found) == 231
