"""A pass beside what commits while it waits, and after a database that forgot the last one."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta

import asyncpg
import pytest
from sonic.positions.v1 import positions_pb2 as pb

from shared import columns
from tests.contract.positions.conftest import START

_WAITING = (
    "select count(*) from pg_stat_activity where datname = current_database()"
    " and wait_event_type = 'Lock'"
)


async def enrich(servers, cycle: str = "") -> pb.EnrichPositionsResponse:
    return await servers.positions.EnrichPositions(
        pb.EnrichPositionsRequest(cycle_id=cycle, epoch=1)
    )


async def figures(servers, name: str) -> list[float]:
    stream = servers.columns.ReadColumns(pb.ReadColumnsRequest(columns=[name]))
    return [value async for part in stream for value in columns.decode(part)[name].tolist()]


@pytest.fixture
async def connections(databases):
    opened = [await asyncpg.connect(databases.url("positions")) for _ in range(2)]
    yield opened
    for one in opened:
        await one.close()


async def waiting(connection, count: int) -> None:
    """Until so many statements wait for a lock. To be asked outside a transaction."""
    async with asyncio.timeout(30):
        while await connection.fetchval(_WAITING) < count:
            await asyncio.sleep(0.01)


async def test_an_old_mark_never_bears_the_time_of_an_answer_that_came_while_the_pass_waited(
    servers, connections
) -> None:
    holder, writer = connections
    await servers.create(id="p", mark_price_usd=75.0)
    await writer.execute("update position set in_last_answer = true")
    await writer.execute("update feed set observed_time = $1", START)
    await enrich(servers)
    servers.clock.advance(600)
    held = holder.transaction()
    await held.start()
    await holder.execute("select from service_state for update")
    passing = asyncio.ensure_future(enrich(servers))
    await waiting(writer, 1)
    answered = START + timedelta(seconds=600)
    async with writer.transaction():
        await writer.execute("update position set mark_price_usd = 51")
        await writer.execute("update feed set observed_time = $1", answered)
    await held.rollback()
    await passing
    shown = *await figures(servers, "mark_price_usd"), *await figures(servers, "mark_time_micros")
    assert shown == (51.0, answered.timestamp() * 1e6)


async def test_a_pass_and_an_edit_by_hand_never_wait_for_each_other(servers, connections) -> None:
    holder, writer = connections
    await servers.create(id="p")
    await writer.execute("update position set size_usd = 500")
    held = holder.transaction()
    await held.start()
    await holder.execute("select from input_change for update")
    passing = asyncio.ensure_future(enrich(servers))
    await waiting(writer, 1)
    editing = asyncio.ensure_future(servers.create(id="q"))
    await waiting(writer, 2)
    await held.rollback()
    await passing
    await editing
    assert await figures(servers, "size_usd") == [500.0, 1000.0]


@pytest.mark.parametrize("forgetful", ["the same process", "another process"])
async def test_a_pass_that_a_crash_of_the_database_forgot_hides_none_that_follows(
    open_system, connections, forgetful: str
) -> None:
    connection, _ = connections
    first, second = await open_system(), await open_system()
    await first.create(id="p", size_usd=1000.0)
    before = await connection.fetchrow("select pass_number, enriched_time from service_state")
    first.clock.advance(1)
    await enrich(first)
    assert await figures(first, "size_usd") == [1000.0]
    if forgetful == "the same process":
        assert await figures(second, "size_usd") == [1000.0]
    # As a crash leaves it: the commit of the last pass was not durable.
    await connection.execute(
        "update service_state set pass_number = $1, enriched_time = $2", *before.values()
    )
    await connection.execute("update position set size_usd = 5")
    first.clock.advance(1)
    passing = first if forgetful == "the same process" else second
    assert (await enrich(passing)).totals.total_size_usd == 5
    assert await figures(first, "size_usd") == await figures(second, "size_usd") == [5.0]


async def test_a_pass_never_tells_the_membership_of_one_who_opened_and_is_not_in_it(
    servers, connections
) -> None:
    """Whoever knows the epoch asks no more: such a position would get no alert."""
    _, writer = connections
    await servers.create(id="p")
    async with writer.transaction():
        await writer.execute(
            "insert into position overriding system value select (jsonb_populate_record(p,"
            ' \'{"position_key": 99, "id": "q"}\')).* from position p'
        )
        await writer.execute("update service_state set membership_epoch = membership_epoch + 1")
        passing = asyncio.ensure_future(enrich(servers))
        await waiting(connections[0], 1)
    epoch = (await passing).membership_epoch
    assert epoch == await writer.fetchval("select membership_epoch from service_state")
    assert await figures(servers, "size_usd") == [1000.0, 1000.0]


@pytest.mark.parametrize("price_usd", [math.nan, math.inf])
async def test_a_market_price_that_is_no_number_is_absent(servers, price_usd: float) -> None:
    servers.price.set("BTC", price_usd, volatility=price_usd)
    made = await servers.create()
    assert made.heat_index > 0 and not made.HasField("market_price_usd")
