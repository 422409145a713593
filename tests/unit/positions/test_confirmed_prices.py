"""Which prices of the price service may estimate a position, as its answers come in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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


async def read_looks(
    *looks: dict[str, tuple[float, pb.Quality.ValueType]],
    minutes: Sequence[int] = (),
    stored: Market | None = None,
) -> list[Market]:
    """What the client makes of these answers, a minute apart or in these minutes; `stored`: what a
    pass before its start saw.
    """
    peers = FakePeers()
    await peers.start()
    channel = price_channel(peers.address)
    await channel.start()
    client = PriceClient(channel)
    client.remember(stored or {})
    found = []
    for minute, look in zip(minutes or range(len(looks)), looks, strict=True):
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


async def test_what_is_long_ago_confirms_no_price_and_makes_none_wild() -> None:
    def lone(price: float) -> dict[str, tuple[float, pb.Quality.ValueType]]:
        return {"SOL": (price, pb.QUALITY_SINGLE)}

    async def estimates(prices: list[float], minutes: list[int]) -> list[float | None]:
        read = await read_looks(*map(lone, prices), minutes=minutes)
        return [one["SOL"].estimate_usd for one in read]

    assert await estimates([100.0, 100.0], [0, 15]) == [None, 100.0]
    assert await estimates([100.0, 100.0], [0, 16]) == [None, None]
    assert await estimates([100.0, 100.0, 50.0, 50.0], [0, 1, 2, 3]) == [None, 100.0, 100.0, 50.0]
    assert await estimates([100.0, 100.0, 50.0, 50.0], [0, 1, 17, 18]) == [None, 100.0, None, 50.0]


async def test_a_restart_in_a_crash_goes_on_one_look_late() -> None:
    fall = [97.0, 95.5, 94.0, 92.5]
    looks = [{"SOL": (price, pb.QUALITY_SINGLE)} for price in fall]
    before = NOW - timedelta(minutes=1)

    def stored(estimate: float | None, at: datetime = before, *, usable: bool = True) -> Market:
        return {"SOL": MarketPrice(98.5, at, usable, None, estimate_usd=estimate)}

    async def estimates(market: Market | None) -> list[float | None]:
        read = await read_looks(*looks, stored=market)
        return [one["SOL"].estimate_usd for one in read]

    # Without a memory two looks say nothing.
    assert await estimates(None) == [None, None, 95.5, 94.0]
    assert await estimates(stored(100.0)) == [98.5, 97.0, 95.5, 94.0]
    # What was not believed is not believed after a restart either.
    assert await estimates(stored(None)) == [None, 97.0, 95.5, 94.0]
    # Of hours ago, or of no use then, it is no memory.
    assert await estimates(stored(100.0, NOW - timedelta(hours=2))) == [None, None, 95.5, 94.0]
    assert await estimates(stored(100.0, usable=False)) == [None, None, 95.5, 94.0]


@given(st.none() | st.floats(1.0, 1e6), st.booleans(), st.booleans())
def test_what_estimates_is_kept_with_a_pass_and_that_of_an_older_release_is_read(
    estimate: float | None, was_confirmed: bool, disputed: bool
) -> None:
    price = MarketPrice(100.0, NOW, True, None, estimate_usd=estimate, disputed=disputed)
    kept = json.loads(json.dumps(_priced(price)))
    assert _market_price(*kept) == price
    assert kept[2], "an older release takes it as usable"
    older = 100.0 if was_confirmed else None
    assert _market_price(*kept[:4], was_confirmed).estimate_usd == older
    assert _market_price(*kept[:4]).estimate_usd is None
