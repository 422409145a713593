"""Linking over gRPC, with the real positions server beside it."""

from __future__ import annotations

import pytest
from sonic.hedges.v1 import hedges_pb2 as pb
from sonic.positions.v1 import positions_pb2

from shared.errors import Conflict, InvalidArgument, NotFound, Unavailable
from tests.contract.hedges.conftest import Bench


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
    turned = positions_pb2.Position(
        id=short, side=positions_pb2.SIDE_LONG, liquidation_price_usd=50.0
    )
    await bench.positions.UpdatePosition(positions_pb2.UpdatePositionRequest(position=turned))
    assert (await bench.link()).unlinked_count == 1


async def test_unlinking_removes_all_and_linking_again_brings_them_back_with_members(
    bench: Bench,
) -> None:
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
        await bench.hedges.ListHedges(
            pb.ListHedgesRequest(page_token=page.next_page_token, asset="BTC")
        )
    assert refused.value.reason == "PAGE_TOKEN_MISMATCH"
