"""Connections are lent in turn, come back clean or not at all, and rest no longer than needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared.database import lending
from shared.database.address import plain
from shared.database.lending import Lending
from shared.database.pool import Database
from shared.errors import Unavailable
from tests.fakes.databases import Databases

pytestmark = pytest.mark.usefixtures("connections_close")
NAME = "lending-test"


@pytest.fixture
async def lent(samples: Databases) -> AsyncIterator[Lending]:
    """Two connections at most."""

    async def connect() -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(
            plain(samples.url("alpha")), server_settings={"application_name": NAME}
        )

    made = Lending(connect, most=2, wait_seconds=30.0)
    yield made
    await made.close(5.0)


async def servers_count(samples: Databases) -> int:
    """Processes of the server that work for these connections."""
    administrator = await asyncpg.connect(samples.admin_url)
    try:
        query = "select count(*) from pg_stat_activity where application_name = $1"
        return int(await administrator.fetchval(query, NAME))
    finally:
        await administrator.close()


async def until_servers(samples: Databases, count: int) -> None:
    async with asyncio.timeout(30):
        while await servers_count(samples) != count:
            await asyncio.sleep(0.02)


@pytest.mark.slow
async def test_who_waits_longest_is_next_and_who_leaves_keeps_nothing(lent: Lending) -> None:
    first, second = await lent.lend(), await lent.lend()
    assert lent.used_count == 2
    order: list[str] = []

    async def wait(name: str) -> None:
        loan = await lent.lend()
        order.append(name)
        lent.give_back(loan)

    waiting = [asyncio.create_task(wait(name)) for name in ("a", "left", "b")]
    await asyncio.sleep(0)
    waiting[1].cancel()
    lent.give_back(first)
    await asyncio.gather(*waiting, return_exceptions=True)
    assert order == ["a", "b"]
    lent.give_back(second)
    assert lent.used_count == 0


async def test_what_is_given_to_somebody_who_leaves_in_that_moment_goes_to_the_next(
    lent: Lending,
) -> None:
    first, second = await lent.lend(), await lent.lend()
    leaves, stays = (asyncio.create_task(lent.lend()) for _ in range(2))
    await asyncio.sleep(0)
    lent.give_back(first)
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    assert (await stays).driver is first.driver
    lent.give_back(first)
    lent.give_back(second)
    assert lent.used_count == 0


async def test_a_place_that_could_not_be_filled_is_the_next_ones(samples: Databases) -> None:
    goes = asyncio.Event()

    async def connect() -> asyncpg.Connection[asyncpg.Record]:
        await goes.wait()
        raise OSError("nobody there")

    made = Lending(connect, most=1, wait_seconds=30.0)
    asking = [asyncio.create_task(made.lend()) for _ in range(3)]
    await asyncio.sleep(0)
    goes.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(one) for one in found] == [OSError] * 3
    assert made.used_count == 0
    await made.close(1.0)


async def test_a_statement_that_nobody_waits_for_is_ended_before_its_connection_is_lent_again(
    samples: Databases,
) -> None:
    database = Database(samples.url("alpha"), pool_size=1, application_name=NAME)
    slow = asyncio.create_task(database.fetch("select pg_sleep(600)"))
    async with asyncio.timeout(30):
        while not database.used_count:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert [tuple(row) for row in await database.fetch("select 1")] == [(1,)]
    assert await servers_count(samples) == 1
    await database.stop()


async def test_a_transaction_that_was_left_open_is_over_before_the_next(lent: Lending) -> None:
    loan = await lent.lend()
    await loan.driver.execute("begin; insert into sample (wide) values (7)")
    lent.give_back(loan, is_clean=False)
    other, again = await lent.lend(), await lent.lend()
    assert again.driver is loan.driver and other.driver is not loan.driver
    assert not again.driver.is_in_transaction()
    assert await again.driver.fetchval("select count(*) from sample") == 0
    lent.give_back(again)
    lent.give_back(other)


async def test_a_connection_that_died_while_it_rested_is_replaced(
    lent: Lending, samples: Databases
) -> None:
    loan = await lent.lend()
    lent.give_back(loan)
    administrator = await asyncpg.connect(samples.admin_url)
    kill = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1"
    await administrator.execute(kill, NAME)
    await administrator.close()
    async with asyncio.timeout(30):
        while not loan.driver.is_closed():
            await asyncio.sleep(0.01)
    other = await lent.lend()
    assert await other.driver.fetchval("select 1") == 1
    assert lent.used_count == 1
    lent.give_back(other)


async def test_who_rests_too_long_or_was_lent_too_often_is_closed(
    lent: Lending, samples: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lending, "_REST_SECONDS", 0.05)
    loans = [await lent.lend() for _ in range(2)]
    for loan in loans:
        lent.give_back(loan)
    await until_servers(samples, 0)
    # The server knows a moment before we do.
    async with asyncio.timeout(30):
        while lent.used_count:
            await asyncio.sleep(0.02)
    monkeypatch.setattr(lending, "_REST_SECONDS", 300.0)
    monkeypatch.setattr(lending, "_MOST_LOANS", 2)
    first = await lent.lend()
    lent.give_back(first)
    assert (await lent.lend()).driver is first.driver
    lent.give_back(first)
    await until_servers(samples, 0)


async def test_a_close_waits_for_who_works_and_no_longer_than_it_says(
    samples: Databases,
) -> None:
    database = Database(samples.url("alpha"), pool_size=2, application_name=NAME)
    began = asyncio.Event()

    async def work() -> None:
        async with database.transaction() as transaction:
            await transaction.driver.execute("select 1")
            began.set()
            await transaction.driver.execute("select pg_sleep(0.3)")

    task = asyncio.create_task(work())
    await began.wait()
    await database.stop()
    await task
    await until_servers(samples, 0)
    forever = asyncio.create_task(database.fetch("select pg_sleep(600)"))
    other, waits = (asyncio.create_task(database.fetch("select pg_sleep(600)")) for _ in range(2))
    async with asyncio.timeout(30):
        while await servers_count(samples) < 2:
            await asyncio.sleep(0.01)
        await database.stop()
        for one in (forever, other, waits):
            with pytest.raises(Unavailable):
                await one
