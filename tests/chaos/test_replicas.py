"""Two processes of every server, one of them killed at a random moment of each of eight cycles:
every level and message is what a person would reckon, none is lost and none is told twice.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sonic.cyclone.v1 import cyclone_pb2, cyclone_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc

from services.cli.certificates import operators
from services.cli.connection import System, connected
from services.cli.plan import SERVICES, SERVICES_FOLDER
from shared.database import migrations, roles
from shared.errors import SonicError
from shared.names import new_id
from shared.postgres import EmbeddedPostgres
from shared.rpc.client import Channel, idempotent
from tests.chaos.replicas import Replicas, replicas
from tests.chaos.test_kills import until_ended, watch_a_wallet
from tests.e2e.reckoning import Judge, readings
from tests.e2e.test_five_cycles import (
    changes_are_in_the_ledger,
    cycle,
    invent,
    levels_are_right,
    messages_are_right,
    state,
)
from tests.e2e.world import World, base58_address, world
from tests.fakes.databases import Databases, password

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SEED = int(os.environ.get("SONIC_REPLICAS_SEED", random.SystemRandom().randrange(10**6)))
# The longest that a cycle of this size takes here, and more.
KILL_WITHIN_SECONDS = 0.6
# Down comes a level after two looks at a mark.
LOOKS = 3
PATIENCE_SECONDS = 150.0


@pytest.fixture
async def databases(home: Path) -> AsyncIterator[Databases]:
    """A server of its own: sixteen pools are more than the tests' own has room for."""
    folder = home / "database"
    folder.mkdir(mode=0o711)
    settings = {"fsync": "off", "max_connections": "200"}
    server = EmbeddedPostgres(folder, settings=settings)
    await asyncio.to_thread(server.start)
    logins = {one: password(one) for name in SERVICES for one in (name, roles.owner(name))}
    await roles.initialise(server.url, tuple(SERVICES), logins, scram_rounds=1)
    for name in SERVICES:
        await migrations.upgrade(server.url, name, SERVICES_FOLDER / name / "migrations")
    yield Databases(server.url, tuple(SERVICES))
    await asyncio.to_thread(server.stop)


@dataclass
class Reader:
    """Somebody who reads all the while, from whichever replica."""

    replicas: Replicas
    read_count: int = 0

    async def read(self) -> None:
        channel = Channel(
            self.replicas.addresses["positions"],
            retry=idempotent(positions_pb2.DESCRIPTOR),
            identity=operators(self.replicas.tls_folder),
            peer="positions",
        )
        stub = channel.stub(positions_pb2_grpc.PositionsServiceStub)
        try:
            while True:
                await stub.ListPositions(positions_pb2.ListPositionsRequest(), timeout=30)
                self.read_count += 1
                await asyncio.sleep(0.05)
        finally:
            await channel.stop()


async def test_replicas_share_the_work_and_any_of_them_may_die_at_any_moment(
    databases: Databases, home: Path
) -> None:
    print(f"SONIC_REPLICAS_SEED={SEED}")  # shown when the test fails, to run it again
    chance = random.Random(SEED)
    async with world(SEED) as outside:
        outside.marks, outside.held = invent(chance)
        settings = outside.environment() | {"SONIC_SCHEDULE": "0", "ALERTS_LEDGER_KEY": "k" * 64}
        async with (
            replicas(databases, home, settings) as running,
            connected(running.addresses, operators(running.tls_folder)) as servers,
        ):
            await watch_a_wallet(servers, base58_address(chance))
            reader = Reader(running)
            reading = asyncio.create_task(reader.read())
            judge = Judge()
            try:
                await rounds(running, servers, outside, judge, chance)
                assert not reading.done(), reading.result()
            finally:
                reading.cancel()
                with suppress(asyncio.CancelledError):
                    await reading
            assert reader.read_count > 20
            await changes_are_in_the_ledger(servers, judge)
            await everything_arrived_once(outside)


async def rounds(
    running: Replicas, servers: System, outside: World, judge: Judge, chance: random.Random
) -> None:
    """Calm first; then each server loses a replica while the mark goes over an edge."""
    calm, victim = outside.marks["SOL"], outside.held[0]
    worse = victim.entry - 0.45 * (victim.entry - victim.liquidation)
    marks = [victim.liquidation * 0.98, calm, worse, calm]
    await looked_at(servers, outside, judge)
    shared = [running.answered_count("positions", number, "ListPositions") for number in (0, 1)]
    assert min(shared) > 0, f"one replica answers alone: {shared}"
    order = list(SERVICES)
    chance.shuffle(order)
    for number, name in enumerate(order):
        outside.marks["SOL"] = round(marks[number % len(marks)], 4)
        outside.publish()
        replica = chance.randrange(2)
        stub = await servers.stub("cyclone", cyclone_pb2_grpc.CycloneServiceStub)
        request = cyclone_pb2.StartCycleRequest(request_id=new_id("req"))
        started = await eventually(lambda s=stub, r=request: s.StartCycle(r, timeout=10))
        await asyncio.sleep(chance.uniform(0, KILL_WITHIN_SECONDS))
        await running.kill(name, replica)
        await running.start(name, replica)
        await until_ended(servers, started.id)
        await running.until_ready(name, replica)
        await looked_at(servers, outside, judge)


async def looked_at(servers: System, outside: World, judge: Judge) -> None:
    """Whole cycles at this mark until nothing changes any more, by the rules and in the system."""
    whole = 0
    async with asyncio.timeout(PATIENCE_SECONDS):
        while whole < LOOKS:
            outside.publish()
            with suppress(SonicError):
                whole += state(await cycle(servers)) == "SUCCEEDED"
    for _ in range(LOOKS):
        judge.look(readings(outside.held, outside.marks))
    await levels_are_right(servers, judge)
    await eventually(lambda: messages_are_right(servers, judge))


async def eventually(ask: Callable[[], Awaitable[Any]]) -> Any:
    """The answer, once there is one that is no failure; the last failure when there is none."""
    end = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        try:
            return await ask()
        except (SonicError, AssertionError):
            if asyncio.get_running_loop().time() > end:
                raise
            await asyncio.sleep(0.2)


async def everything_arrived_once(outside: World) -> None:
    """At the webhook: what was sent again, because its sender died before it could note it, has
    the same key; and one (alert, incident, level) has one key.
    """
    asked = outside.webhook.asked("POST /hook")
    keys = Counter(request.headers["idempotency-key"] for request in asked)
    # xcom is killed once in this test.
    assert sum(count - 1 for count in keys.values()) <= 1, keys.most_common(3)
    bodies = zip(asked, outside.heard(), strict=True)
    facts = {
        request.headers["idempotency-key"]: body["facts"]
        for request, body in bodies
        if body["source"] == "alerts"
    }
    told = Counter((one["alert_id"], one["incident_id"], one["level"]) for one in facts.values())
    assert told and max(told.values()) == 1, told.most_common(3)
