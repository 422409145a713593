"""Hedges over gRPC, with the real positions server beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from sonic.hedges.v1 import hedges_pb2 as pb
from sonic.hedges.v1 import hedges_pb2_grpc as rpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc

from services.hedges import server as hedges_server
from services.positions import server as positions_server
from shared.clock import PushedClock
from shared.errors import Conflict, InvalidArgument, NotFound, Unavailable
from shared.lifecycle import App
from shared.rpc.client import Channel
from tests.fakes.databases import Databases

START = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


@dataclass
class Bench:
    """Both servers, and what a test says to them."""

    hedges: rpc.HedgesServiceStub
    positions: positions_pb2_grpc.PositionsServiceStub
    positions_app: App
    clock: PushedClock

    async def hold(self, asset: str, side: str, wallet: str = "main", size_usd: float = 1000.0) -> str:
        sign = 1 if side == "LONG" else -1
        position = positions_pb2.Position(
            wallet=wallet,
            asset=asset,
            side=positions_pb2.Side.Value(f"SIDE_{side}"),
            entry_price_usd=100.0,
            mark_price_usd=90.0,
            liquidation_price_usd=100.0 - sign * 50.0,
            size_usd=size_usd,
            collateral_usd=size_usd / 10,
        )
        made = await self.positions.CreatePosition(positions_pb2.CreatePositionRequest(position=position))
        return str(made.id)

    async def link(self, cycle_id: str = "", epoch: int = 0) -> pb.LinkHedgesResponse:
        await self.positions.EnrichPositions(positions_pb2.EnrichPositionsRequest())
        return await self.hedges.LinkHedges(pb.LinkHedgesRequest(cycle_id=cycle_id, epoch=epoch))

    async def listed(self) -> list[pb.Hedge]:
        return list((await self.hedges.ListHedges(pb.ListHedgesRequest())).hedges)


@pytest.fixture
async def bench(databases: Databases) -> AsyncIterator[Bench]:
    clock = PushedClock(START)
    positions_app = positions_server.build(
        positions_server.Config(
            listen_address="127.0.0.1:0",
            database_url=databases.url("positions"),  # type: ignore[arg-type]  # pydantic makes it a secret
            price_address="127.0.0.1:1",
        ),
        clock,
    )
    async with positions_app:
        hedges_app = hedges_server.build(
            hedges_server.Config(
                listen_address="127.0.0.1:0",
                database_url=databases.url("hedges"),  # type: ignore[arg-type]  # pydantic makes it a secret
                positions_address=positions_app.address,
            ),
            clock,
        )
        to_positions = Channel(positions_app.address)
        async with hedges_app:
            to_hedges = Channel(hedges_app.address)
            yield Bench(
                to_hedges.stub(rpc.HedgesServiceStub),
                to_positions.stub(positions_pb2_grpc.PositionsServiceStub),
                positions_app,
                clock,
            )
            await to_hedges.stop()
            await to_positions.stop()


async def test_a_long_and_a_short_of_one_wallet_and_asset_become_a_hedge_with_its_figures(
    bench: Bench,
) -> None:
    long, short = await bench.hold("BTC", "LONG", size_usd=2000), await bench.hold("BTC", "SHORT")
    await bench.hold("ETH", "LONG")
    answer = await bench.link()
    assert (answer.linked_count, answer.hedge_count, answer.position_count) == (1, 1, 3)
    (hedge,) = await bench.listed()
    assert list(hedge.position_ids) == sorted([long, short])
    assert (hedge.wallet, hedge.asset, hedge.hedge_ratio) == ("main", "BTC", 2.0)
    # 20 tokens long, 10 short; the long loses 200, the short wins 100.
    assert hedge.net_delta_tokens == pytest.approx(10)
    assert hedge.net_delta_usd == pytest.approx(900)
    assert hedge.net_pnl_usd == pytest.approx(-100)
    assert hedge.imbalance_usd == pytest.approx((200 - 200) - (100 + 100))


async def test_the_id_stays_while_the_group_persists_and_members_follow(bench: Bench) -> None:
    await bench.hold("BTC", "LONG")
    await bench.hold("BTC", "SHORT")
    await bench.link()
    (before,) = await bench.listed()
    third = await bench.hold("BTC", "SHORT")
    answer = await bench.link()
    (after,) = await bench.listed()
    assert (answer.linked_count, answer.unlinked_count) == (0, 0)
    assert after.id == before.id
    assert third in after.position_ids
    assert after.member_count == 3


async def test_a_group_that_loses_its_only_short_is_unlinked_in_the_same_pass(bench: Bench) -> None:
    await bench.hold("BTC", "LONG")
    short = await bench.hold("BTC", "SHORT")
    await bench.link()
    await bench.positions.DeletePosition(positions_pb2.DeletePositionRequest(id=short))
    answer = await bench.link()
    assert (answer.unlinked_count, answer.hedge_count) == (1, 0)
    assert await bench.listed() == []


async def test_changing_a_side_by_hand_unlinks_the_group(bench: Bench) -> None:
    await bench.hold("BTC", "LONG")
    short = await bench.hold("BTC", "SHORT")
    await bench.link()
    turned = positions_pb2.Position(id=short, side=positions_pb2.SIDE_LONG, liquidation_price_usd=50.0)
    await bench.positions.UpdatePosition(positions_pb2.UpdatePositionRequest(position=turned))
    assert (await bench.link()).unlinked_count == 1


async def test_unlinking_removes_all_and_linking_again_brings_them_back_with_members(bench: Bench) -> None:
    await bench.hold("BTC", "LONG")
    await bench.hold("BTC", "SHORT")
    await bench.link()
    answer = await bench.hedges.UnlinkHedges(pb.UnlinkHedgesRequest())
    assert answer.unlinked_count == 1
    assert await bench.listed() == []
    assert (await bench.link()).linked_count == 1
    (hedge,) = await bench.listed()
    assert hedge.member_count == 2


async def test_the_same_cycle_again_answers_from_its_record(bench: Bench) -> None:
    await bench.hold("BTC", "LONG")
    await bench.hold("BTC", "SHORT")
    first = await bench.link("cycle-1", 3)
    assert first.linked_count == 1
    assert await bench.link("cycle-1", 3) == first


async def test_a_caller_that_lost_its_lease_changes_nothing(bench: Bench) -> None:
    await bench.link("cycle-2", 5)
    await bench.hold("BTC", "LONG")
    await bench.hold("BTC", "SHORT")
    with pytest.raises(Conflict) as refused:
        await bench.link("cycle-1", 4)
    assert refused.value.reason == "STALE_EPOCH"
    assert await bench.listed() == []


async def test_when_positions_cannot_be_read_the_hedges_stay(bench: Bench) -> None:
    await bench.hold("BTC", "LONG")
    await bench.hold("BTC", "SHORT")
    await bench.link()
    await bench.positions_app.stop()
    with pytest.raises(Unavailable) as failed:
        await bench.hedges.LinkHedges(pb.LinkHedgesRequest())
    assert failed.value.reason == "POSITIONS_UNAVAILABLE"
    assert len(await bench.listed()) == 1


async def test_an_unknown_hedge_is_not_found(bench: Bench) -> None:
    with pytest.raises(NotFound) as missing:
        await bench.hedges.GetHedge(pb.GetHedgeRequest(id="hedge-none"))
    assert missing.value.reason == "HEDGE_NOT_FOUND"


async def test_pages_are_complete_and_a_token_of_another_filter_is_refused(bench: Bench) -> None:
    for wallet in ("a", "b", "c"):
        await bench.hold("BTC", "LONG", wallet)
        await bench.hold("BTC", "SHORT", wallet)
    await bench.link()
    found: list[str] = []
    request = pb.ListHedgesRequest(page_size=2)
    page = await bench.hedges.ListHedges(request)
    found += [hedge.wallet for hedge in page.hedges]
    request.page_token = page.next_page_token
    last = await bench.hedges.ListHedges(request)
    found += [hedge.wallet for hedge in last.hedges]
    assert (found, last.next_page_token) == (["a", "b", "c"], "")
    with pytest.raises(InvalidArgument) as refused:
        await bench.hedges.ListHedges(pb.ListHedgesRequest(page_token=page.next_page_token, asset="BTC"))
    assert refused.value.reason == "PAGE_TOKEN_MISMATCH"
