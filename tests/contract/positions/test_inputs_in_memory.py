"""Inputs of a pass stay in memory; whatever writes a position, the next pass sees it."""

from __future__ import annotations

import asyncpg
import pytest
from sonic.positions.v1 import positions_pb2 as pb

from shared import columns

_COPIED = (
    "feed_key, asset_key, side, status, in_last_answer, flag_bits, entry_price_usd,"
    " liquidation_price_usd, own_liquidation_price_usd, mark_price_usd, collateral_usd,"
    " pnl_after_fees_usd, venue_value_usd, open_fee_usd, close_fee_usd, borrow_fee_usd,"
    " adl_index, mark_time,"
    " first_seen_time, last_seen_time, updated_time, note"
)
_MORE = (
    f"insert into position (position_key, id, size_usd, {_COPIED}) overriding system value"
    f" select 1000 + n, 'm' || n, n, {_COPIED} from position, generate_series(1, {{}}) n"
    " where id = 'p0'"
)


async def enrich(servers, cycle: str) -> pb.EnrichPositionsResponse:
    return await servers.positions.EnrichPositions(
        pb.EnrichPositionsRequest(cycle_id=cycle, epoch=1)
    )


async def sizes(servers) -> list[float]:
    stream = servers.columns.ReadColumns(pb.ReadColumnsRequest(columns=["size_usd"]))
    return [size async for part in stream for size in columns.decode(part)["size_usd"].tolist()]


@pytest.fixture
async def three(servers):
    for number in range(3):
        await servers.create(id=f"p{number}", size_usd=1000.0 + number)
    await enrich(servers, "c0")
    return servers


@pytest.fixture
async def connection(databases):
    opened = await asyncpg.connect(databases.url("positions"))
    yield opened
    await opened.close()


async def test_a_pass_over_what_nobody_wrote_keeps_the_version_and_leaves_no_change(
    three, connection
) -> None:
    version = await connection.fetchval("select inputs_version from service_state")
    await enrich(three, "c1")
    assert await connection.fetchval("select inputs_version from service_state") == version != 0
    assert await connection.fetchval("select count(*) from input_change") == 0
    assert await sizes(three) == [1000.0, 1001.0, 1002.0]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("update position set size_usd = 5 where id = 'p1'", [1000.0, 5.0, 1002.0]),
        ("update position set status = 3 where id = 'p0'", [1001.0, 1002.0]),
        ("delete from position where id = 'p2'", [1000.0, 1001.0]),
        ("delete from position", []),
        (_MORE.format(2), [1000.0, 1001.0, 1002.0, 1.0, 2.0]),
    ],
)
async def test_a_write_of_any_writer_is_seen_by_the_next_pass(
    three, connection, sql: str, expected: list[float]
) -> None:
    await connection.execute(sql)
    await enrich(three, "c1")
    assert await sizes(three) == expected
    assert await connection.fetchval("select count(*) from input_change") == 0
    await enrich(three, "c2")
    assert await sizes(three) == expected


async def test_more_rows_than_are_listed_are_all_read_again(three, connection) -> None:
    await connection.execute(_MORE.format(1001))
    assert await connection.fetchval("select position_keys is null from input_change")
    await enrich(three, "c1")
    assert await sizes(three) == [1000.0, 1001.0, 1002.0, *map(float, range(1, 1002))]


async def test_what_was_rolled_back_is_in_no_pass(three, connection) -> None:
    change = connection.transaction()
    await change.start()
    await connection.execute("update position set size_usd = 5")
    await change.rollback()
    await enrich(three, "c1")
    assert await sizes(three) == [1000.0, 1001.0, 1002.0]


async def test_two_processes_take_turns_and_neither_misses_the_others_changes(open_system) -> None:
    first = await open_system()
    await first.create(id="p", size_usd=1000.0)
    second = await open_system()
    for turn in range(1, 4):
        for servers, other in ((first, second), (second, first)):
            size = float(turn * 10 + (servers is first))
            await servers.positions.UpdatePosition(
                pb.UpdatePositionRequest(position=pb.Position(id="p", size_usd=size))
            )
            await enrich(other, f"c{turn}{servers is first}")
            assert await sizes(first) == await sizes(second) == [size]


async def test_a_sync_counts_what_is_held_with_what_was_written_since_the_last_pass(
    three, connection
) -> None:
    async def counted(cycle: str) -> tuple[int, int]:
        request = pb.SyncPositionsRequest(cycle_id=cycle, epoch=1)
        done = await three.positions.SyncPositions(request)
        return done.active_count, done.stale_count

    active, stale = await counted("s0")
    await enrich(three, "s0")
    await connection.execute("update position set status = 2 where id = 'p1'")
    await connection.execute("delete from position where id = 'p2'")
    assert await counted("s1") == (active - 2, stale + 1)
    await enrich(three, "s1")
    assert await counted("s2") == (active - 2, stale + 1)
    await connection.execute(_MORE.format(1001))
    assert await counted("s3") == (active + 999, stale + 1)
