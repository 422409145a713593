"""The pool: one transaction a call, and the database's failures in our own words."""

from __future__ import annotations

import asyncio
import socket
import traceback
from collections.abc import AsyncIterator

import asyncpg
import pytest
from asyncpg.transaction import Transaction as DriverTransaction

from shared.database.address import as_role, database_name, plain, with_database
from shared.database.pool import Database, Isolation
from shared.database.statement import Statement
from shared.database.transaction import Transaction
from shared.errors import Conflict, InvalidArgument, Unavailable
from shared.postgres import EmbeddedPostgres
from tests.fakes.databases import Databases

pytestmark = pytest.mark.usefixtures("connections_close")
_ADD = Statement("insert into sample (wide) values (:wide)")
_COUNT = Statement("select count(*) from sample")


class Store:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def add(self, wide: int) -> None:
        assert await self._transaction.execute(_ADD, wide=wide) == 1

    async def count(self) -> int:
        return int(await self._transaction.scalar(_COUNT))


async def _add_and_fail(database: Database, wide: int, isolation: Isolation | None = None) -> None:
    async with database.open(Store, isolation=isolation)() as store:
        await store.add(wide)
        raise RuntimeError("no")


@pytest.fixture
async def database(samples: Databases) -> AsyncIterator[Database]:
    made = Database(samples.url("alpha"), pool_size=2, application_name="alpha-test")
    await made.start()
    yield made
    await made.stop()


async def test_a_block_that_ends_is_committed_and_one_that_raises_is_not(
    database: Database,
) -> None:
    opened = database.open(Store)
    async with opened() as store:
        await store.add(1)
    with pytest.raises(RuntimeError, match="no"):
        await _add_and_fail(database, 2)
    async with opened() as store:
        assert await store.count() == 1


async def test_a_cancelled_block_is_rolled_back_and_its_connection_reused(
    database: Database,
) -> None:
    async def endless() -> None:
        async with database.open(Store)() as store:
            await store.add(1)
            await asyncio.sleep(60)

    for _ in range(4):
        task = asyncio.create_task(endless())
        await asyncio.sleep(0.03)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with database.open(Store)() as store:
        assert await store.count() == 0


async def test_a_call_cancelled_while_it_begins_leaves_no_transaction_behind(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, start = asyncio.Event(), DriverTransaction.start

    async def start_and_stall(transaction: DriverTransaction) -> None:
        await start(transaction)
        began.set()
        await asyncio.sleep(60)

    async def read() -> int:
        async with database.transaction("REPEATABLE READ") as transaction:
            return int(await transaction.driver.fetchval("select 1"))

    assert await read() == 1
    with monkeypatch.context() as patched:
        patched.setattr(DriverTransaction, "start", start_and_stall)
        task = asyncio.create_task(read())
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with database.open(Store)() as store:
        assert await store.count() == 0
    assert await read() == 1


async def test_the_drivers_connection_is_inside_the_transaction(database: Database) -> None:
    async def undone() -> None:
        async with database.transaction() as transaction:
            await transaction.driver.execute("insert into sample (wide) values (1)")
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await undone()
    async with database.open(Store)() as store:
        assert await store.count() == 0


async def test_one_moment_is_read_over_several_statements(database: Database) -> None:
    async with database.open(Store, isolation="REPEATABLE READ")() as reader:
        assert await reader.count() == 0
        async with database.open(Store)() as writer:
            await writer.add(1)
        assert await reader.count() == 0
    async with database.open(Store)() as store:
        assert await store.count() == 1


async def test_autocommit_commits_each_statement_and_lasts_no_longer_than_its_block(
    database: Database,
) -> None:
    steps: list[tuple[Isolation | None, int]] = [("AUTOCOMMIT", 1), (None, 1)]
    for isolation, kept in steps:
        with pytest.raises(RuntimeError, match="no"):
            await _add_and_fail(database, 1, isolation)
        async with database.open(Store)() as store:
            assert await store.count() == kept


async def test_a_serialisation_failure_is_a_conflict(database: Database) -> None:
    async def interleaved() -> None:
        async with database.open(Store, isolation="SERIALIZABLE")() as first:
            await first.count()
            async with database.open(Store, isolation="SERIALIZABLE")() as second:
                await second.count()
                await second.add(1)
            await first.add(1)

    with pytest.raises(Conflict) as caught:
        await interleaved()
    assert caught.value.reason == "SERIALIZATION_FAILURE"


async def test_a_violated_constraint_is_left_to_the_store(database: Database) -> None:
    with pytest.raises(asyncpg.NotNullViolationError):
        async with database.transaction() as transaction:
            await transaction.execute(Statement("insert into sample (wide) values (null)"))


async def test_a_lost_connection_is_unavailable_once_and_then_replaced(
    database: Database, samples: Databases
) -> None:
    administrator = await asyncpg.connect(samples.admin_url)
    kill = (
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name ="
        " 'alpha-test'"
    )

    async def cut_off() -> None:
        async with database.open(Store)() as store:
            await administrator.execute(kill)
            await store.count()

    with pytest.raises(Unavailable) as caught:
        await cut_off()
    assert caught.value.reason == "DATABASE_UNAVAILABLE"
    assert caught.value.retry_after is not None
    await database.ping()
    await administrator.execute(kill)
    await asyncio.sleep(0.1)
    await database.ping()
    await administrator.close()


async def test_a_database_that_is_not_there_is_unavailable_and_starts_all_the_same() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        database = Database(f"postgresql://nobody:x@127.0.0.1:{taken.getsockname()[1]}/none")
        await database.start()
        with pytest.raises(Unavailable):
            await database.ping()
        await database.stop()


async def test_a_used_up_pool_makes_others_wait_their_turn(database: Database) -> None:
    async def one() -> None:
        async with database.transaction() as transaction:
            await transaction.execute(Statement("select pg_sleep(0.02)"))

    await asyncio.gather(*(one() for _ in range(12)))


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
async def test_every_usual_form_of_url_connects(samples: Databases, scheme: str) -> None:
    rest = samples.url("alpha").partition("://")[2].partition("?")[0]
    database = Database(f"{scheme}://{rest}?sslmode=prefer&channel_binding=prefer")
    await database.ping()
    await database.stop()


@pytest.mark.parametrize(
    "url",
    [
        *("", "mysql://a@b/c", "postgresql://a@b", "localhost:5432/x"),
        *("postgresql://a:b@c:port/x", "postgresql://a:b@[::1/x", "postgresql://a:b@c:1:2/x"),
        "postgresql://a:p\uff03ss@c/x",
    ],
)
def test_what_is_no_database_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidArgument, match="looks like") as refused:
        plain(url)
    assert refused.value.__cause__ is None


def test_a_database_url_may_name_several_servers() -> None:
    url = "postgresql://a:b@one:5432,[::1]:5433,two/x"
    assert plain(url) == url


def test_urls_are_rewritten_part_by_part() -> None:
    url = "postgres://admin:p%40ss@[::1]:5433/one?sslmode=require"
    assert (
        as_role(url, "alpha", "a/b@c")
        == "postgresql://alpha:a%2Fb%40c@[::1]:5433/one?sslmode=require"
    )
    assert with_database(url, "two") == "postgresql://admin:p%40ss@[::1]:5433/two?sslmode=require"
    assert database_name(url) == "one"


ADDRESS = "HskfdWhZTfsEL2he8iqJmXmbHdj5vr5xBooRnUfQs5PY"
SECRETIVE = "create temporary table secretive (address text unique, size int) on commit drop"


@pytest.mark.parametrize(
    "statement",
    [
        "insert into secretive values (:address), (:address)",
        "insert into secretive (size) values (:address)",
        "insert into secretive values (null, cast(cast(:address as text) as int))",
    ],
    ids=["constraint", "argument of another type", "cast"],
)
async def test_a_statement_that_fails_says_nothing_of_its_values(
    database: Database, statement: str
) -> None:
    async def fail() -> None:
        async with database.transaction() as transaction:
            await transaction.execute(Statement(SECRETIVE))
            await transaction.execute(Statement(statement), address=ADDRESS)

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as raised:
        await fail()
    said = "".join(traceback.format_exception(raised.value)) + repr(raised.value)
    assert ADDRESS not in said and "insert into secretive" in said


async def test_a_read_by_the_driver_says_nothing_of_its_values_either(database: Database) -> None:
    with pytest.raises(asyncpg.PostgresError) as raised:
        await database.fetch("select cast($1::text as int)", ADDRESS)
    assert ADDRESS not in "".join(traceback.format_exception(raised.value)) + repr(raised.value)


async def test_postgres_logs_no_detail_and_no_statement_of_what_failed(
    postgres: EmbeddedPostgres,
) -> None:
    names = ("log_error_verbosity", "log_min_error_statement")
    connection = await asyncpg.connect(postgres.url)
    try:
        assert [await connection.fetchval(f"show {name}") for name in names] == ["terse", "panic"]
    finally:
        await connection.close()


async def test_a_host_that_vanishes_is_noticed_in_half_a_minute(database: Database) -> None:
    """By the kernel, on every connection: the options are looked at, no cable is pulled."""
    async with database.transaction() as transaction:
        transport = transaction.driver._transport  # type: ignore[union-attr]
        found = transport.get_extra_info("socket")
        assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        idle, gap, count = (
            found.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        assert idle + gap * count <= 30
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 30_000
