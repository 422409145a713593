"""Which prices of the price service may estimate a position, as its answers come in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from sonic.price.v1 import price_pb2 as pb

from services.positions.clients import PriceClient, price_channel
from services.positions.enrichment.domain.enrichment import MarketPrice
from services.positions.store.enrichment import _market_price, _priced
from tests.fakes.peers import FakePeers, answers

NOW = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
Market = Mapping[str, MarketPrice]


async def read_looks(*looks: dict[str, tuple[float, pb.Quality.ValueType]]) -> list[Market]:
    """What the client makes of these answers, a minute apart."""
    peers = FakePeers()
    await peers.start()
    channel = price_channel(peers.address)
    await channel.start()
    client = PriceClient(channel)
    found = []
    for minute, look in enumerate(looks):
        listed = pb.ListPricesResponse(
            prices=[
                pb.Price(asset=asset, price_usd=price, quality=quality)
                for asset, (price, quality) in look.items()
            ]
        )
        for one in listed.prices:
            one.price_time.FromDatetime(NOW + timedelta(minutes=minute))
        peers.told["price.ListPrices"] = answers(listed)
        found.append(await client.read())
    await channel.stop()
    await peers.stop()
    return found


async def test_a_price_is_confirmed_at_once_alone_or_disputed_at_the_second_look() -> None:
    look = {
        "BTC": (100.0, pb.QUALITY_GOOD),
        "SOL": (100.0, pb.QUALITY_SINGLE),
        "ETH": (100.0, pb.QUALITY_DISAGREE),
        "XAU": (100.0, pb.QUALITY_STALE),
    }
    found = [
        [asset for asset, one in read.items() if one.estimate_usd == 100.0]
        for read in await read_looks(look, look, look)
    ]
    assert found == [["BTC"], ["BTC", "SOL", "ETH"], ["BTC", "SOL", "ETH"]]


async def test_a_crash_is_told_one_look_late_where_sources_disagree_and_at_once_where_not() -> None:
    fall = [100.0, 98.5, 97.0, 95.5, 94.0, 92.5, 91.0]
    read = await read_looks(
        dict.fromkeys(("BTC", "SOL", "ETH"), (fall[0], pb.QUALITY_GOOD)),
        *(
            {
                "BTC": (price, pb.QUALITY_GOOD),
                "SOL": (price, pb.QUALITY_SINGLE),
                "ETH": (price, pb.QUALITY_DISAGREE),
            }
            for price in fall[1:]
        ),
    )
    assert [one["BTC"].estimate_usd for one in read] == fall
    for asset in ("SOL", "ETH"):
        assert [one[asset].estimate_usd for one in read] == [100.0, *fall[:-1]]


@given(st.none() | st.floats(1.0, 1e6), st.booleans())
def test_what_estimates_is_kept_with_a_pass_and_that_of_an_older_release_is_read(
    estimate: float | None, was_confirmed: bool
) -> None:
    price = MarketPrice(100.0, NOW, True, None, estimate_usd=estimate)
    kept = json.loads(json.dumps(_priced(price)))
    assert _market_price(*kept) == price
    older = 100.0 if was_confirmed else None
    assert _market_price(*kept[:4], was_confirmed).estimate_usd == older
    assert _market_price(*kept[:4]).estimate_usd is None
