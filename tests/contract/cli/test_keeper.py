"""The embedded database killed, hung or broken while the system runs: restarted, said, told to
people once.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from services.cli.children import Health
from services.cli.keeper import Keeper, Sign, look
from shared.clock import PushedClock
from shared.database.pool import Database
from shared.errors import SonicError
from shared.postgres import EmbeddedPostgres
from tests.contract.cli.conftest import pushed


class Told:
    """What people were told."""

    def __init__(self) -> None:
        self.subjects: list[str] = []
        self.bodies: list[str] = []

    def raised(self, subject: str, body: str) -> str:
        self.subjects.append(subject)
        self.bodies.append(body)
        return f"incident {len(self.subjects)}"

    def over(self, incident: str, subject: str, body: str) -> None:
        assert incident == f"incident {len(self.subjects)}"
        self.raised(subject, body)


LOST = "Sonic has no database: nothing is judged"
BACK = "The database of Sonic is back"


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
def owned() -> Iterator[EmbeddedPostgres]:
    parent = Path(tempfile.mkdtemp(prefix="sonic-keeper-"))
    parent.chmod(0o711)
    made = EmbeddedPostgres(parent / "home", settings={"fsync": "off"})
    yield made
    made.destroy()
    shutil.rmtree(parent)


@pytest.fixture
def server(owned: EmbeddedPostgres) -> EmbeddedPostgres:
    """Running, whatever the test before did."""
    if not owned.running:
        owned.stop()
    owned.start()
    return owned


@asynccontextmanager
async def kept(
    server: EmbeddedPostgres, said: list[str], told: Told, clock: PushedClock
) -> AsyncIterator[None]:
    keeper = Keeper(lambda: look(server.url, 2.0), server, said.append, told, clock, Health(10, 3))
    task = asyncio.create_task(keeper.run())
    yield
    task.cancel()
    await asyncio.wait({task})


def came_back(said: list[str], count: int) -> bool:
    return sum("is back" in line for line in said) == count


def postmaster(server: EmbeddedPostgres) -> psutil.Process:
    assert server._server is not None
    return psutil.Process(server._server.pid)


@pytest.mark.slow
async def test_a_killed_postgres_is_started_again_on_its_port_and_the_pools_recover(
    server: EmbeddedPostgres, said: list[str], told: Told, clock: PushedClock
) -> None:
    database, url = Database(server.url), server.url
    await database.fetch("create table kept (value int)")
    await database.fetch("insert into kept values (42)")
    await database.ping()
    async with kept(server, said, told, clock):
        postmaster(server).kill()
        await pushed(clock, lambda: any("is back" in line for line in said))
        assert said[0] == "postgres died (signal SIGKILL); again in 0.5 s"
        assert server.url == url
        assert (await database.fetch("select value from kept"))[0][0] == 42
        await database.ping()
        await database.stop()
    assert told.subjects == []


async def test_a_postgres_that_hangs_is_replaced_after_three_checks(
    server: EmbeddedPostgres, said: list[str], told: Told, clock: PushedClock
) -> None:
    first = postmaster(server)
    signs = iter([Sign.SILENT, Sign.SILENT, Sign.SILENT])

    async def stopped() -> Sign:
        return next(signs, Sign.ANSWERS)

    first.suspend()
    keeper = Keeper(stopped, server, said.append, told, clock, Health(10, 3))
    task = asyncio.create_task(keeper.run())
    await pushed(clock, lambda: any("is back" in line for line in said), step_seconds=1)
    assert said[0] == "postgres does not answer: 3 health checks in a row; again in 0.5 s"
    assert not first.is_running() or first.status() == psutil.STATUS_ZOMBIE
    assert await look(server.url, 5.0) is Sign.ANSWERS
    task.cancel()


async def test_a_suspended_server_is_seen_as_silent(server: EmbeddedPostgres) -> None:
    process = postmaster(server)
    process.suspend()
    assert await look(server.url, 0.3) is Sign.SILENT
    process.resume()
    assert await look(server.url, 5.0) is Sign.ANSWERS
    assert (
        await look("postgresql://stranger:x@" + server.url.partition("@")[2], 5.0) is Sign.ANSWERS
    )


async def test_one_that_cannot_start_is_told_once_and_its_return_too(
    server: EmbeddedPostgres, said: list[str], told: Told, clock: PushedClock
) -> None:
    control = server._home.data / "global" / "pg_control"
    async with kept(server, said, told, clock):
        control.rename(control.with_suffix(".away"))
        postmaster(server).kill()
        await pushed(clock, lambda: sum("cannot start" in line for line in said) >= 2)
        assert told.subjects == [LOST]
        assert "pg_control" in told.bodies[0]
        assert len(told.bodies[0].splitlines()) == 1
        control.with_suffix(".away").rename(control)
        await pushed(clock, lambda: any("is back" in line for line in said))
        await pushed(clock, lambda: told.subjects == [LOST, BACK], step_seconds=10)


async def test_one_that_dies_again_and_again_is_told_though_it_starts_each_time(
    server: EmbeddedPostgres, said: list[str], told: Told, clock: PushedClock
) -> None:
    async with kept(server, said, told, clock):
        for count in (1, 2, 3):
            postmaster(server).kill()
            await pushed(clock, partial(came_back, said, count))
        assert told.subjects == [LOST]
        assert "died 3 times" in told.bodies[0]


async def test_data_that_are_gone_are_not_replaced_by_an_empty_database(
    server: EmbeddedPostgres,
) -> None:
    data = server._home.data
    data.rename(data.with_name("kept"))
    with pytest.raises(SonicError, match="is gone") as refused:
        server.restart()
    assert refused.value.reason == "DATA_MISSING"
    assert not data.exists()
    data.with_name("kept").rename(data)
    server.restart()
    assert await look(server.url, 5.0) is Sign.ANSWERS


async def test_a_server_of_somebody_else_is_told_when_it_is_silent_and_never_touched(
    said: list[str], told: Told, clock: PushedClock
) -> None:
    signs = [Sign.ANSWERS, Sign.SILENT, Sign.SILENT, Sign.SILENT, Sign.SILENT, Sign.ANSWERS]
    left = iter(signs)

    async def one() -> Sign:
        return next(left, Sign.ANSWERS)

    task = asyncio.create_task(Keeper(one, None, said.append, told, clock, Health(10, 3)).run())
    await pushed(clock, lambda: len(told.subjects) == 2, step_seconds=1)
    assert told.subjects == [LOST, BACK]
    assert said == ["postgres does not answer: 3 health checks in a row"]
    task.cancel()


async def test_a_stop_does_not_wait_for_a_start_that_takes_long(server: EmbeddedPostgres) -> None:
    starting = asyncio.create_task(asyncio.to_thread(server.restart))
    await asyncio.sleep(0)
    async with asyncio.timeout(15):
        await asyncio.to_thread(server.stop)
        await asyncio.wait({starting})
    assert not server.running
