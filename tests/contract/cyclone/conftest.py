"""Cyclone as a real server over a real database, with the services around it faked at the network
edge.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.cyclone.v1 import cyclone_pb2_grpc as rpc

from services.cyclone.server import Config, build
from shared.clock import Clock, PushedClock, SystemClock
from shared.database.pool import Database
from shared.errors import Unavailable
from shared.postgres import EmbeddedPostgres
from shared.rpc.client import Channel
from tests.fakes.databases import Databases, Template, template
from tests.fakes.peers import FakePeers

SERVICES = ("price", "positions", "hedges", "alerts", "monitor", "withdrawals", "xcom")
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REPOSITORY = Path(__file__).parents[3]


async def until(holds: Callable[[], Awaitable[Any] | Any], seconds: float = 45.0) -> Any:
    """Waits until `holds` gives something true, and gives it back."""
    end = time.monotonic() + seconds
    while True:
        found = holds()
        found = await found if asyncio.iscoroutine(found) else found
        if found:
            return found
        assert time.monotonic() < end, "did not come true in time"
        await asyncio.sleep(0.01)


class Servers:
    """A cyclone (or several on one database), its peers and its rows."""

    def __init__(self, databases: Databases, peers: FakePeers, stack: AsyncExitStack) -> None:
        self.url = databases.url("cyclone")
        self.peers = peers
        self._stack = stack
        self._looking = asyncio.Lock()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    def config(self, **changes: Any) -> Config:
        addresses = {f"{name}_address": self.peers.address for name in SERVICES}
        settings = {
            "listen_address": "127.0.0.1:0",
            "database_url": SecretStr(self.url),
            "sonic_schedule": False,
        }
        return Config(**(settings | addresses | changes))

    async def start(
        self, clock: Clock | None = None, **changes: Any
    ) -> rpc.CycloneServiceAsyncStub:
        """A replica that is up, and has had its chance to take the lease."""
        app = build(self.config(**changes), clock or SystemClock())
        await self._stack.enter_async_context(app)
        self.channel = channel = Channel(app.address)
        self._stack.push_async_callback(channel.stop)
        stub: Any = channel.stub(rpc.CycloneServiceStub)
        await until(lambda: self.value("select expires_time > clock_timestamp() from lease"))
        return stub

    async def ended(self, stub: Any, id: str) -> pb.Cycle:
        async def look() -> pb.Cycle | None:
            try:
                cycle: pb.Cycle = await stub.GetCycle(pb.GetCycleRequest(id=id))
            except Unavailable:
                # A test may have cut the connection that this look took.
                return None
            return cycle if cycle.state > pb.CYCLE_STATE_RUNNING else None

        cycle: pb.Cycle = await until(look)
        return cycle

    async def run(self, stub: Any, *steps: str) -> pb.Cycle:
        """One requested cycle to its end."""
        last = [message async for message in stub.RunCycle(pb.RunCycleRequest(steps=steps))][-1]
        assert last.done
        cycle: pb.Cycle = last.cycle
        return cycle

    async def value(self, sql: str, *arguments: object) -> Any:
        rows = await self.rows(sql, *arguments)
        return rows[0][0] if rows else None

    async def rows(self, sql: str, *arguments: object) -> list[Any]:
        """On one connection for all of them: a test may look a hundred times."""
        async with self._looking:
            if self._connection is None:
                self._connection = await asyncpg.connect(self.url)
                self._stack.push_async_callback(self._connection.close)
            return list(await self._connection.fetch(sql, *arguments))


@pytest.fixture(scope="session")
async def cyclone_template(postgres: EmbeddedPostgres) -> AsyncIterator[Template]:
    """Cyclone's schema alone: these tests do not wait for the other services' tables."""
    history = {"cyclone": REPOSITORY / "services" / "cyclone" / "migrations"}
    async with template(postgres.url, history, "template_cyclone") as made:
        yield made


@pytest.fixture
async def databases(cyclone_template: Template) -> AsyncIterator[Databases]:
    async with cyclone_template.copy() as copy:
        yield copy


@pytest.fixture
async def peers() -> AsyncIterator[FakePeers]:
    fake = FakePeers()
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
async def servers(databases: Databases, peers: FakePeers) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        yield Servers(databases, peers, stack)


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    made = Database(databases.url("cyclone"))
    yield made
    await made.stop()


@pytest.fixture
def clock() -> PushedClock:
    return PushedClock(START)
