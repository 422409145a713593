"""Lists: filters, orders with the absent last, pages that stay steady while the system changes."""

from __future__ import annotations

import pytest
from sonic.positions.v1 import positions_pb2 as pb

from shared import columns
from shared.errors import Conflict, InvalidArgument, NotFound


async def listed(servers, **filters) -> list[pb.Position]:
    return list(
        (await servers.positions.ListPositions(pb.ListPositionsRequest(**filters))).positions
    )


async def walk(servers, **filters) -> list[str]:
    ids, token = [], ""
    while True:
        page = await servers.positions.ListPositions(
            pb.ListPositionsRequest(page_token=token, **filters)
        )
        ids += [one.id for one in page.positions]
        token = page.next_page_token
        if not token:
            return ids


@pytest.fixture
async def full(servers):
    for number, mark in enumerate((90.0, 60.0, None, 75.0, 99.0)):
        await servers.create(
            id=f"p{number}",
            mark_price_usd=mark,
            asset="ETH" if number == 1 else "BTC",
            size_usd=100.0 + number,
        )
    return servers


@pytest.mark.parametrize(
    ("order_by", "ids"),
    [
        ("", ["p0", "p1", "p2", "p3", "p4"]),
        ("id desc", ["p4", "p3", "p2", "p1", "p0"]),
        ("heat_index", ["p4", "p0", "p3", "p1", "p2"]),
        ("heat_index desc", ["p1", "p3", "p0", "p4", "p2"]),
        ("travel_percent", ["p1", "p3", "p0", "p4", "p2"]),
        ("travelPercent desc", ["p4", "p0", "p3", "p1", "p2"]),
        ("size_usd desc", ["p4", "p3", "p2", "p1", "p0"]),
        ("asset", ["p0", "p2", "p3", "p4", "p1"]),
        ("liquidation_distance_percent", ["p1", "p3", "p0", "p4", "p2"]),
        ("worst desc", ["p4", "p0", "p3", "p1", "p2"]),
    ],
)
async def test_each_order_is_kept_over_pages_with_the_absent_last(full, order_by, ids) -> None:
    assert [one.id for one in await listed(full, order_by=order_by)] == ids
    assert await walk(full, order_by=order_by, page_size=2) == ids


async def test_what_cannot_be_judged_is_among_the_worst_first_and_what_is_over_is_not(full) -> None:
    for number in (5, 6, 7):
        await full.create(id=f"p{number}", mark_price_usd=None)
    closing = pb.UpdatePositionRequest(position=pb.Position(id="p7", status=pb.STATUS_CLOSED))
    await full.positions.UpdatePosition(closing)
    held = ["p2", "p5", "p6", "p1", "p3", "p0", "p4"]
    for size in (1, 2, 3, 500):
        assert await walk(full, order_by="worst", page_size=size) == held
        everything = await walk(full, order_by="worst", page_size=size, all_statuses=True)
        assert everything == [*held, "p7"]


@pytest.mark.parametrize("order_by", ["heat_index", "heat_index desc"])
async def test_many_that_share_a_place_are_each_listed_once(servers, order_by: str) -> None:
    for number in range(14):
        mark, asset = 99.0 if number % 7 else 70.0 + number, "BTC" if number else "ETH"
        await servers.create(id=f"p{number:02}", mark_price_usd=mark, asset=asset)
    at_once = [one.id for one in await listed(servers, order_by=order_by)]
    assert sorted(at_once) == [f"p{number:02}" for number in range(14)]
    assert await walk(servers, order_by=order_by, page_size=1) == at_once
    only = [one for one in at_once if one != "p00"]
    assert await walk(servers, order_by=order_by, page_size=2, asset="BTC") == only


async def test_filters_choose(full) -> None:
    assert [one.id for one in await listed(full, asset="eth")] == ["p1"]
    # The same question with another name.
    assert "p1" not in {one.id for one in await listed(full, asset="btc")}
    assert [one.id for one in await listed(full, asset="eth", page_size=1)] == ["p1"]
    assert await listed(full, asset="btc", wallet="manual")
    assert await listed(full, side=pb.SIDE_SHORT) == await listed(full, venue="jupiter") == []
    assert len(await listed(full, wallet="manual")) == 5
    closing = pb.UpdatePositionRequest(position=pb.Position(id="p0", status=pb.STATUS_CLOSED))
    await full.positions.UpdatePosition(closing)
    assert len(await listed(full)) == 4
    assert [one.id for one in await listed(full, status=pb.STATUS_CLOSED)] == ["p0"]
    assert len(await listed(full, all_statuses=True)) == 5


async def test_pages_stay_steady_while_positions_come_and_go(full) -> None:
    first = await full.positions.ListPositions(pb.ListPositionsRequest(page_size=2))
    await full.positions.DeletePosition(pb.DeletePositionRequest(id="p1"))
    await full.create(id="p1a")
    rest = await full.positions.ListPositions(
        pb.ListPositionsRequest(page_size=9, page_token=first.next_page_token)
    )
    assert [one.id for one in rest.positions] == ["p1a", "p2", "p3", "p4"]


async def test_a_token_of_another_question_is_refused(full) -> None:
    token = (
        await full.positions.ListPositions(pb.ListPositionsRequest(page_size=2))
    ).next_page_token
    for asked, reason in (
        (pb.ListPositionsRequest(page_token=token, asset="BTC"), "PAGE_TOKEN_MISMATCH"),
        (pb.ListPositionsRequest(page_token=token, order_by="heat_index"), "PAGE_TOKEN_MISMATCH"),
        (pb.ListPositionsRequest(page_token="nonsense"), "BAD_PAGE_TOKEN"),
        (pb.ListPositionsRequest(order_by="colour"), "UNKNOWN_NAME"),
        (pb.ListPositionsRequest(order_by="id sideways"), "UNKNOWN_NAME"),
    ):
        with pytest.raises(InvalidArgument) as refused:
            await full.positions.ListPositions(asked)
        assert refused.value.reason == reason


async def test_snapshots_are_recorded_once_a_cycle_and_listed_newest_first(servers, stamp) -> None:
    await servers.create()
    first = await servers.portfolio.RecordSnapshot(pb.RecordSnapshotRequest(cycle_id="c1", epoch=1))
    assert first.totals.total_size_usd == 1000.0 and first.totals.avg_travel_percent == -50.0
    await servers.create()
    assert (
        await servers.portfolio.RecordSnapshot(pb.RecordSnapshotRequest(cycle_id="c1", epoch=1))
        == first
    )
    await servers.portfolio.RecordSnapshot(pb.RecordSnapshotRequest(cycle_id="c2", epoch=2))
    with pytest.raises(Conflict) as stale:
        await servers.portfolio.RecordSnapshot(pb.RecordSnapshotRequest(cycle_id="c3", epoch=1))
    assert stale.value.reason == "STALE_EPOCH"
    for _ in range(2):
        servers.clock.advance(60)
        await servers.portfolio.RecordSnapshot(pb.RecordSnapshotRequest())
    page = await servers.portfolio.ListSnapshots(pb.ListSnapshotsRequest(page_size=3))
    rest = await servers.portfolio.ListSnapshots(
        pb.ListSnapshotsRequest(page_size=3, page_token=page.next_page_token)
    )
    times = [one.snapshot_time.seconds for one in [*page.snapshots, *rest.snapshots]]
    assert times == sorted(times, reverse=True) and rest.snapshots[0] == first
    recent = pb.ListSnapshotsRequest(start_time=stamp(servers.clock.now()))
    assert len((await servers.portfolio.ListSnapshots(recent)).snapshots) == 1
    with pytest.raises(InvalidArgument, match="NOT_CONFIRMED"):
        await servers.portfolio.ClearData(pb.ClearDataRequest())
    assert (
        await servers.portfolio.ClearData(pb.ClearDataRequest(confirm="clear"))
    ).deleted_count == 4


async def test_an_import_reports_bad_rows_and_keeps_good_ones(servers) -> None:
    text = "asset,side,entry_price_usd,size_usd,collateral_usd,wallet\n"
    text += "BTC,long,100,1000,100,\nETH,long,-1,1,1,\n"
    request = pb.ImportPositionsRequest(
        format=pb.FILE_FORMAT_CSV, content=text.encode(), wallet="paper"
    )
    stolen = pb.ImportPositionsRequest(
        format=pb.FILE_FORMAT_CSV, content=text.encode(), wallet="9f3c" * 16
    )
    with pytest.raises(InvalidArgument, match="PRIVATE_KEY_REFUSED: wallet"):
        await servers.positions.ImportPositions(stolen)
    request.dry_run = True
    tried = await servers.positions.ImportPositions(request)
    assert (tried.created_count, tried.refused_count) == (1, 1) and tried.refusals[0].line == 3
    assert not await listed(servers)
    request.dry_run = False
    assert (await servers.positions.ImportPositions(request)).created_count == 1
    (kept,) = await listed(servers, wallet="paper")
    assert kept.venue == "manual" and kept.leverage_ratio == 10.0
    with pytest.raises(InvalidArgument, match="BAD_FILE"):
        await servers.positions.ImportPositions(
            pb.ImportPositionsRequest(format=pb.FILE_FORMAT_JSON, content=b"not json")
        )


async def test_a_wallet_or_venue_that_is_not_there_is_said_and_no_empty_list(servers) -> None:
    await servers.create(id="a", wallet="cold")
    with pytest.raises(NotFound, match="WALLET_NOT_FOUND"):
        await servers.positions.ListPositions(pb.ListPositionsRequest(wallet="cool"))
    with pytest.raises(NotFound, match="WALLET_NOT_FOUND"):
        await servers.files.ExportPositions(
            pb.ExportPositionsRequest(wallet="cool", format=pb.FILE_FORMAT_CSV)
        )
    with pytest.raises(NotFound, match="WALLET_NOT_FOUND"):
        await anext(
            aiter(servers.positions.WatchPositions(pb.WatchPositionsRequest(wallet="cool")))
        )
    with pytest.raises(InvalidArgument, match="UNKNOWN_NAME"):
        await servers.positions.ListPositions(pb.ListPositionsRequest(venue="pigeon"))
    held = await servers.positions.ListPositions(
        pb.ListPositionsRequest(wallet="cold", venue="Manual")
    )
    assert [one.id for one in held.positions] == ["a"]
    none = await servers.positions.ListPositions(
        pb.ListPositionsRequest(wallet="cold", asset="SOL")
    )
    assert not none.positions


async def test_columns_of_some_positions_come_in_the_order_of_all(full) -> None:
    async def read(keys) -> tuple[list[int], list[str], int]:
        request = pb.ReadColumnsRequest(columns=["position_id"], position_keys=keys)
        (part,) = [part async for part in full.columns.ReadColumns(request)]
        decoded = columns.decode(part)["position_key"].tolist()
        return decoded, list(part.position_id), part.total_count

    keys, ids, count = await read([])
    assert (ids, count) == (["p0", "p1", "p2", "p3", "p4"], 5)
    assert await read([keys[3], keys[1], 999_999, keys[1]]) == ([keys[1], keys[3]], ["p1", "p3"], 2)
    assert await read([999_999]) == ([], [], 0)
