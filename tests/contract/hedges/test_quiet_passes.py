"""Passes that find the groups they left: one statement, which yields to whoever was faster."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from sonic.hedges.v1 import hedges_pb2 as pb
from sonic.hedges.v1 import hedges_pb2_grpc as rpc
from sonic.positions.v1 import positions_pb2

from services.hedges.store.linking import LOCK_WORD
from shared.errors import Conflict
from shared.rpc.client import Channel
from tests.contract.hedges.conftest import Bench, hedges_of
from tests.fakes.databases import Databases


async def marked(bench: Bench, id: str, mark_price_usd: float) -> None:
    position = positions_pb2.Position(id=id, mark_price_usd=mark_price_usd)
    await bench.positions.UpdatePosition(positions_pb2.UpdatePositionRequest(position=position))


async def test_a_later_pass_writes_the_figures_that_moved_and_leaves_the_rest_alone(
    bench: Bench,
) -> None:
    hedge_id, long, _ = await bench.pair()
    other = (await bench.hold("ETH", "LONG"), await bench.hold("ETH", "SHORT"))
    await bench.link()
    before = {hedge.asset: hedge for hedge in await bench.listed()}
    await marked(bench, long, 115.0)
    answer = await bench.link()
    after = {hedge.asset: hedge for hedge in await bench.listed()}
    assert (answer.linked_count, answer.unlinked_count, answer.hedge_count) == (0, 0, 2)
    assert after["BTC"].id == hedge_id
    # 10 tokens of the long gained 10 each.
    assert after["BTC"].net_pnl_usd == pytest.approx(before["BTC"].net_pnl_usd + 100)
    assert after["ETH"] == before["ETH"]
    assert set(after["ETH"].position_ids) == set(other)


async def test_a_quiet_step_is_done_once_and_refuses_a_caller_without_a_lease(bench: Bench) -> None:
    _, long, _ = await bench.pair()
    first = await bench.link("cycle-7", 7)
    assert first.hedge_count == 1
    await marked(bench, long, 115.0)
    before = await bench.listed()
    assert await bench.link("cycle-7", 7) == first
    assert await bench.listed() == before
    with pytest.raises(Conflict) as refused:
        await bench.link("cycle-6", 6)
    assert refused.value.reason == "STALE_EPOCH"
    assert await bench.listed() == before


async def test_what_another_process_unlinked_comes_back_under_an_id_of_its_own(
    bench: Bench, databases: Databases
) -> None:
    hedge_id, long, short = await bench.pair()
    await bench.link()
    async with hedges_of(databases, bench.positions_app, bench.clock) as other:
        to_other = Channel(other.address)
        stub: rpc.HedgesServiceStub = to_other.stub(rpc.HedgesServiceStub)
        await stub.UnlinkHedges(pb.UnlinkHedgesRequest())
        await to_other.stop()
    assert (await bench.link()).linked_count == 1
    (hedge,) = await bench.listed()
    assert hedge.id != hedge_id
    assert set(hedge.position_ids) == {long, short}


async def test_members_another_process_wrote_are_not_taken_for_ours(
    bench: Bench, databases: Databases
) -> None:
    """This process knows two members, another wrote three, one is gone again: two groups of one
    look.
    """
    hedge_id, long, short = await bench.pair()
    await bench.link()
    third = await bench.hold("BTC", "SHORT")
    async with hedges_of(databases, bench.positions_app, bench.clock) as other:
        to_other = Channel(other.address)
        stub: rpc.HedgesServiceStub = to_other.stub(rpc.HedgesServiceStub)
        await stub.LinkHedges(pb.LinkHedgesRequest())
        await to_other.stop()
    (between,) = await bench.listed()
    assert third in between.position_ids
    await bench.drop(third)
    await bench.link()
    (hedge,) = await bench.listed()
    assert (hedge.id, set(hedge.position_ids)) == (hedge_id, {long, short})


async def test_a_pass_waits_for_one_that_holds_the_grouping(
    bench: Bench, databases: Databases
) -> None:
    _, long, _ = await bench.pair()
    await bench.link()
    await marked(bench, long, 115.0)
    holder = await asyncpg.connect(databases.url("hedges"))
    try:
        async with holder.transaction():
            await holder.execute(f"select pg_advisory_xact_lock(hashtext('{LOCK_WORD}'))")
            passing = asyncio.ensure_future(bench.link())
            done, _ = await asyncio.wait({passing}, timeout=0.5)
            assert not done
        assert (await passing).hedge_count == 1
    finally:
        await holder.close()
    (hedge,) = await bench.listed()
    assert hedge.net_pnl_usd == pytest.approx(150 + 1000 / 110 * 5)
