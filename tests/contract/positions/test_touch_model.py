"""The touch probability of a position by what its asset did, and the model beside the number."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest
from sonic.positions.v1 import positions_pb2 as pb
from sonic.price.v1 import price_pb2

from shared import columns
from shared.touch import LEAST_STARTS
from tests.fakes.pushing import push

SIGMA = 0.01
DISTANCE = math.log(75 / 50) / (SIGMA * math.sqrt(24))
EMPIRICAL, NORMAL = pb.PROBABILITY_MODEL_EMPIRICAL, pb.PROBABILITY_MODEL_NORMAL
WAIT_SECONDS = 60.0


def past(asset: str, up: np.ndarray, down: np.ndarray, version: int = 7) -> price_pb2.Moves:
    return price_pb2.Moves(
        asset=asset,
        version=version,
        horizon_hours=24,
        up=np.sort(up),
        down=np.sort(down),
        market=price_pb2.MARKET_UNSPECIFIED,
    )


async def learned(servers, position_id: str, model: int) -> pb.Position:
    """The position once a pass judges by this model."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            await push(servers.clock, 30)
            await servers.positions.EnrichPositions(pb.EnrichPositionsRequest(epoch=1))
            found = await servers.positions.GetPosition(pb.GetPositionRequest(id=position_id))
            if found.probability_model == model:
                return found


async def models(servers) -> dict[str, int]:
    """As services read them."""
    asked = pb.ReadColumnsRequest(columns=["liquidation_probability"])
    first = await anext(aiter(servers.columns.ReadColumns(asked)))
    assert len(columns.decode(first)["liquidation_probability"])
    return dict(zip(first.asset_names, first.asset_models, strict=True))


@pytest.mark.parametrize("side", [pb.SIDE_LONG, pb.SIDE_SHORT])
async def test_the_share_of_past_moves_on_its_own_side_is_its_probability(servers, side) -> None:
    chance = np.random.default_rng(1)
    up, down = chance.normal(DISTANCE + 1, 3, (2, 2000))
    sign = 1 if side == pb.SIDE_LONG else -1
    entry, liquidation = (100.0, 50.0) if side == pb.SIDE_LONG else (60.0, 75.0**2 / 50)
    servers.price.set("BTC", 75.0, volatility=SIGMA)
    terms = {"entry_price_usd": entry, "liquidation_price_usd": liquidation}
    made = await servers.create(side=side, **terms)
    assert made.probability_model == NORMAL
    assert made.liquidation_probability == pytest.approx(math.erfc(DISTANCE / math.sqrt(2)))
    servers.price.moves = [past("BTC", up, down)]
    found = await learned(servers, made.id, EMPIRICAL)
    reached = int(np.count_nonzero((down if sign > 0 else up) >= DISTANCE))
    assert 0 < reached < 2000
    assert found.liquidation_probability == pytest.approx((reached + 0.5) / 2001, rel=1e-9)
    assert (await models(servers)) == {"BTC": EMPIRICAL}
    request = pb.EvaluateAtPriceRequest(position_id=made.id, prices_usd=[75.0])
    (same,) = (await servers.positions.EvaluateAtPrice(request)).evaluations
    assert same.liquidation_probability == found.liquidation_probability
    assert same.probability_model == EMPIRICAL


async def test_less_than_30_days_of_starts_are_no_ground_and_other_assets_keep_their_law(
    servers,
) -> None:
    for asset in ("BTC", "ETH", "SOL"):
        servers.price.set(asset, 75.0, volatility=SIGMA)
    servers.price.set("XRP", 75.0)
    many, few = np.full((2, LEAST_STARTS), 99.0), np.full((2, LEAST_STARTS - 1), 99.0)
    servers.price.moves = [past("BTC", *many, version=1), past("ETH", *few, version=2)]
    made = {asset: await servers.create(asset=asset) for asset in ("BTC", "ETH", "SOL", "XRP")}
    await learned(servers, made["BTC"].id, EMPIRICAL)
    found = {
        asset: await servers.positions.GetPosition(pb.GetPositionRequest(id=one.id))
        for asset, one in made.items()
    }
    most = (LEAST_STARTS + 0.5) / (LEAST_STARTS + 1)
    assert found["BTC"].liquidation_probability == pytest.approx(most)
    for asset in ("ETH", "SOL"):
        assert found[asset].probability_model == NORMAL
        assert found[asset].liquidation_probability < 0.01
    assert not found["XRP"].HasField("liquidation_probability")
    assert found["XRP"].probability_model == pb.PROBABILITY_MODEL_UNSPECIFIED


async def test_moves_travel_once_and_go_with_their_market(open_system, price) -> None:
    servers = await open_system()
    price.set("BTC", 75.0, volatility=SIGMA)
    price.moves = [past("BTC", *np.full((2, 1000), 99.0))]
    made = await servers.create()
    await learned(servers, made.id, EMPIRICAL)
    await push(servers.clock, 601)
    # Known already, so it came without columns; the held ones are still used.
    await learned(servers, made.id, EMPIRICAL)
    # A process without the pass makes it again: from the prices that it stored, and the moves.
    other = await open_system()
    again = await learned(other, made.id, EMPIRICAL)
    assert again.liquidation_probability == pytest.approx(1000.5 / 1001)
    # Live prices are not judged by what the demo market did.
    for known in price._prices.values():
        known.market = price_pb2.MARKET_LIVE
    assert (await learned(servers, made.id, NORMAL)).liquidation_probability < 0.01
    for known in price._prices.values():
        known.market = price_pb2.MARKET_UNSPECIFIED
    await learned(servers, made.id, EMPIRICAL)
    price.moves = []
    await push(servers.clock, 601)
    await learned(servers, made.id, NORMAL)
