"""What happened to groups, over gRPC."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sonic.hedges.v1 import hedges_pb2 as pb
from sonic.positions.v1 import positions_pb2

from shared.codec import to_timestamp
from shared.errors import InvalidArgument
from tests.contract.hedges.conftest import START, Bench


async def told(bench: Bench, **wanted: object) -> list[pb.LinkChange]:
    request = pb.ListLinkHistoryRequest(**wanted)
    return list((await bench.hedges.ListLinkHistory(request)).changes)


async def test_a_life_of_a_hedge_is_told_with_time_cycle_and_reason(bench: Bench) -> None:
    long, short = await bench.hold("BTC", "LONG"), await bench.hold("BTC", "SHORT")
    await bench.link("cycle-1", 1)
    (hedge,) = await bench.listed()
    bench.clock.advance(60)
    other = await bench.hold("BTC", "SHORT")
    await bench.link("cycle-2", 1)
    await bench.drop(short)
    await bench.link("cycle-3", 1)
    await bench.drop(long)
    await bench.link()
    changes = await told(bench)
    assert {change.hedge_id for change in changes} == {hedge.id}
    assert [(change.kind, change.reason, change.cycle_id) for change in reversed(changes)] == [
        (pb.LINK_CHANGE_KIND_LINKED, pb.LINK_CHANGE_REASON_BOTH_SIDES_HELD, "cycle-1"),
        (pb.LINK_CHANGE_KIND_MEMBERS_CHANGED, pb.LINK_CHANGE_REASON_MEMBERS_JOINED, "cycle-2"),
        (pb.LINK_CHANGE_KIND_MEMBERS_CHANGED, pb.LINK_CHANGE_REASON_MEMBERS_LEFT, "cycle-3"),
        (pb.LINK_CHANGE_KIND_UNLINKED, pb.LINK_CHANGE_REASON_NO_LONG_LEFT, ""),
    ]
    ended, left, joined, linked = changes
    assert list(linked.position_ids) == list(linked.joined_position_ids) == sorted([long, short])
    assert list(joined.joined_position_ids) == [other]
    assert list(joined.position_ids) == sorted([long, short, other])
    assert list(left.left_position_ids) == [short]
    assert list(ended.left_position_ids) == list(ended.position_ids) == sorted([long, other])
    assert linked.change_time.ToSeconds() == int(START.timestamp())
    assert joined.change_time.ToSeconds() == int(START.timestamp()) + 60


async def test_one_that_leaves_while_another_joins_is_a_replacement(bench: Bench) -> None:
    await bench.hold("BTC", "LONG")
    short = await bench.hold("BTC", "SHORT")
    await bench.link()
    await bench.drop(short)
    await bench.hold("BTC", "SHORT")
    await bench.link()
    assert (await told(bench))[0].reason == pb.LINK_CHANGE_REASON_MEMBERS_REPLACED


async def test_a_pass_that_changes_no_group_writes_no_history(bench: Bench) -> None:
    await bench.pair()
    for _ in range(3):
        bench.clock.advance(60)
        await bench.link()
    assert len(await told(bench)) == 1


async def test_a_side_changed_by_hand_is_a_reason_too(bench: Bench) -> None:
    _, long, _ = await bench.pair()
    turned = positions_pb2.Position(
        id=long, side=positions_pb2.SIDE_SHORT, liquidation_price_usd=200.0
    )
    await bench.positions.UpdatePosition(positions_pb2.UpdatePositionRequest(position=turned))
    await bench.link()
    assert (await told(bench))[0].reason == pb.LINK_CHANGE_REASON_NO_LONG_LEFT


async def test_all_gone_and_unlinked_by_hand_are_told_apart(bench: Bench) -> None:
    _, long, short = await bench.pair()
    await bench.hedges.UnlinkHedges(pb.UnlinkHedgesRequest())
    await bench.link()
    await bench.drop(long)
    await bench.drop(short)
    await bench.link()
    reasons = [change.reason for change in await told(bench, kind=pb.LINK_CHANGE_KIND_UNLINKED)]
    assert reasons == [pb.LINK_CHANGE_REASON_NOTHING_LEFT, pb.LINK_CHANGE_REASON_UNLINKED_BY_HAND]


async def test_history_is_filtered_and_paged_newest_first(bench: Bench) -> None:
    for wallet in ("a", "b", "c"):
        await bench.hold("BTC", "LONG", wallet)
        await bench.hold("BTC", "SHORT", wallet)
        await bench.link()
        bench.clock.advance(60)
    page = await bench.hedges.ListLinkHistory(pb.ListLinkHistoryRequest(page_size=2))
    rest = await bench.hedges.ListLinkHistory(
        pb.ListLinkHistoryRequest(page_size=2, page_token=page.next_page_token)
    )
    assert [change.wallet for change in [*page.changes, *rest.changes]] == ["c", "b", "a"]
    assert [change.wallet for change in await told(bench, wallet="b", asset="btc")] == ["b"]
    assert [change.wallet for change in await told(bench, hedge_id=page.changes[0].hedge_id)] == [
        "c"
    ]
    start, end = (to_timestamp(START + timedelta(seconds=seconds)) for seconds in (60, 120))
    assert [change.wallet for change in await told(bench, start_time=start, end_time=end)] == ["b"]
    with pytest.raises(InvalidArgument) as refused:
        await told(bench, page_token=page.next_page_token, wallet="b")
    assert refused.value.reason == "PAGE_TOKEN_MISMATCH"


async def test_history_older_than_its_time_goes_with_the_next_change(bench: Bench) -> None:
    await bench.pair()
    bench.clock.advance(timedelta(days=91).total_seconds())
    await bench.hold("BTC", "SHORT")
    await bench.link()
    assert [change.kind for change in await told(bench)] == [pb.LINK_CHANGE_KIND_MEMBERS_CHANGED]
