"""Who hedges whom: the positions of a wallet, or of a portfolio over wallets and venues."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sonic.hedges.v1 import hedges_pb2 as pb
from sonic.hedges.v1 import hedges_pb2_grpc as rpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc

from shared.errors import NotFound
from shared.rpc.client import Channel
from tests.contract.hedges.conftest import Bench, hedges_of
from tests.fakes.databases import Databases


@pytest.fixture
async def wide(bench: Bench, databases: Databases) -> AsyncIterator[Bench]:
    """A second server on the same data, that links by portfolio."""
    app = hedges_of(databases, bench.positions_app, bench.clock, hedges_scope="portfolio")
    async with app:
        channel = Channel(app.address)
        stub = channel.stub(rpc.HedgesServiceStub)
        yield Bench(stub, bench.positions, bench.positions_app, bench.clock)
        await channel.stop()


async def tagged(bench: Bench, name: str, *tags: str) -> None:
    channel = Channel(bench.positions_app.address)
    stub = channel.stub(positions_pb2_grpc.WalletsServiceStub)
    request = positions_pb2.UpdateWalletRequest(wallet=positions_pb2.Wallet(name=name, tags=tags))
    request.update_mask.paths.append("tags")
    await stub.UpdateWallet(request)
    await channel.stop()


async def test_positions_of_two_wallets_hedge_each_other_in_a_portfolio_alone(
    bench: Bench, wide: Bench
) -> None:
    long, short = await bench.hold("SOL", "LONG", "one"), await bench.hold("SOL", "SHORT", "two")
    assert (await bench.link()).hedge_count == 0
    assert (await wide.link()).linked_count == 1
    (hedge,) = await wide.listed()
    assert (hedge.wallet, set(hedge.position_ids)) == ("portfolio", {long, short})
    answer = await wide.hedges.GetCorridor(pb.GetCorridorRequest(id=hedge.id))
    assert {(leg.position_id, leg.wallet, leg.venue) for leg in answer.legs} == {
        (long, "one", "manual"),
        (short, "two", "manual"),
    }
    assert list(answer.down_steps[0].position_ids) == [long]
    assert answer.down_steps[0].naked_delta_tokens == pytest.approx(-10.0)


async def test_a_tag_parts_portfolios_and_the_next_pass_links_anew(
    bench: Bench, wide: Bench
) -> None:
    for wallet, side in (("one", "LONG"), ("two", "SHORT"), ("three", "SHORT")):
        await bench.hold("SOL", side, wallet)
    await wide.link()
    (hedge,) = await wide.listed()
    assert len(hedge.position_ids) == 3
    await tagged(bench, "one", "old", "portfolio:mine")
    await tagged(bench, "three", "portfolio:mine")
    await wide.link()
    (hedge,) = await wide.listed()
    assert (hedge.wallet, len(hedge.position_ids)) == ("mine", 2)
    request = pb.ListHedgesRequest(wallet="one")
    with pytest.raises(NotFound) as caught:
        await wide.hedges.ListHedges(request)
    assert caught.value.reason == "WALLET_NOT_FOUND", "it is the portfolios that have hedges"


async def test_a_portfolio_of_that_name_is_not_those_without_one(bench: Bench, wide: Bench) -> None:
    for side, wallet in (("LONG", "one"), ("SHORT", "two")):
        await bench.hold("SOL", side, wallet)
    named = {await bench.hold("SOL", side, "three") for side in ("LONG", "SHORT")}
    await tagged(bench, "three", "portfolio:portfolio")
    await wide.link()
    hedges = {hedge.wallet: set(hedge.position_ids) for hedge in await wide.listed()}
    assert set(hedges) == {"portfolio", "portfolio:portfolio"}
    assert hedges["portfolio:portfolio"] == named


async def test_a_coin_by_hand_is_a_leg_that_is_never_liquidated(bench: Bench, wide: Bench) -> None:
    spot = await bench.hold("SOL", "LONG", "cold")
    await bench.forget_liquidation(spot)
    short = await bench.hold("SOL", "SHORT", "hot")
    await wide.link()
    (hedge,) = await wide.listed()
    assert hedge.net_delta_tokens == pytest.approx(0.0)
    answer = await wide.hedges.GetCorridor(pb.GetCorridorRequest(id=hedge.id))
    assert not answer.down_steps and list(answer.unjudged_position_ids) == [spot]
    (step,) = answer.up_steps
    assert list(step.position_ids) == [short] and step.remaining_leg_count == 1
    assert step.naked_delta_tokens == pytest.approx(10.0)


async def test_back_to_wallets_the_hedges_of_portfolios_end(bench: Bench, wide: Bench) -> None:
    await bench.hold("SOL", "LONG", "one")
    await bench.hold("SOL", "SHORT", "two")
    await wide.link()
    assert (await bench.link()).unlinked_count == 1
    assert await bench.listed() == []
