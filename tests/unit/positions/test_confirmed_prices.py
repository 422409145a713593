"""Which prices of the price service may estimate a position, as its answers come in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sonic.price.v1 import price_pb2 as pb

from services.positions.clients import PriceClient, price_channel
from tests.fakes.peers import FakePeers, answers

NOW = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)


async def test_a_price_is_confirmed_at_once_alone_at_the_second_look_and_disputed_never() -> None:
    peers = FakePeers()
    await peers.start()
    channel = price_channel(peers.address)
    await channel.start()
    client = PriceClient(channel)
    qualities = {
        "BTC": pb.QUALITY_GOOD,
        "SOL": pb.QUALITY_SINGLE,
        "ETH": pb.QUALITY_DISAGREE,
        "XAU": pb.QUALITY_STALE,
    }
    found = []
    for minute in range(3):
        listed = pb.ListPricesResponse(
            prices=[
                pb.Price(asset=asset, price_usd=100.0, quality=quality)
                for asset, quality in qualities.items()
            ]
        )
        for one in listed.prices:
            one.price_time.FromDatetime(NOW + timedelta(minutes=minute))
        peers.told["price.ListPrices"] = answers(listed)
        read = await client.read()
        found.append([asset for asset, one in read.items() if one.confirmed])
    await channel.stop()
    await peers.stop()
    assert found == [["BTC"], ["BTC", "SOL"], ["BTC", "SOL"]]
    assert read["ETH"].usable, "it holds a level all the same"
