"""A market price whose sources contradict each other raises levels of positions that have no mark
of their own, and lowers none.
"""

from __future__ import annotations

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2 as positions_pb
from sonic.price.v1 import price_pb2 as price_pb

from tests.contract.alerts.conftest import Servers
from tests.fakes.peers import answers

DISTANCE = pb.ALERT_TYPE_LIQUIDATION_DISTANCE
GOOD, DISAGREE = price_pb.QUALITY_GOOD, price_pb.QUALITY_DISAGREE


@pytest.fixture
def servers(without_xcom: Servers) -> Servers:
    return without_xcom


async def at_market(
    servers: Servers, price_usd: float, quality: price_pb.Quality.ValueType
) -> None:
    """A pass by this price, observed ten seconds after the last one."""
    servers.clock.advance(10)
    price = price_pb.Price(asset="BTC", price_usd=price_usd, quality=quality)
    price.price_time.FromDatetime(servers.clock.now())
    known = price_pb.ListPricesResponse(prices=[price])
    servers.market.told["price.ListPrices"] = answers(known)
    await servers.positions.EnrichPositions(positions_pb.EnrichPositionsRequest())


async def test_the_distance_of_a_short_by_a_disputed_price_holds_its_level_and_may_raise_it(
    servers: Servers,
) -> None:
    short = {"side": positions_pb.SIDE_SHORT, "liquidation_price_usd": 104.0}
    id = await servers.hold(None, asset="BTC", **short)
    await at_market(servers, 97.0, DISAGREE)
    await servers.create()

    async def seen() -> tuple[int, int]:
        await servers.evaluate()
        alert = await servers.alert(DISTANCE, id)
        return alert.level, alert.reading_state

    fresh, stale = pb.READING_STATE_FRESH, pb.READING_STATE_STALE
    rising = []
    for price_usd in (97.0, 102.5):
        await at_market(servers, price_usd, DISAGREE)
        rising.append(await seen())
    assert rising[0][0] < pb.LEVEL_HIGH and rising[1] == (pb.LEVEL_HIGH, stale)
    for _ in range(3):
        await at_market(servers, 93.0, DISAGREE)
        assert await seen() == (pb.LEVEL_HIGH, stale)
    levels = []
    for _ in range(2):
        await at_market(servers, 93.0, GOOD)
        levels.append(await seen())
    assert levels[0] == (pb.LEVEL_HIGH, fresh) and levels[1][0] < pb.LEVEL_HIGH
