"""A drill keeps back nothing but the ping outside, and never for longer than its limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from google.protobuf.duration_pb2 import Duration
from pydantic import SecretStr
from sonic.alerts.v1 import alerts_pb2
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.cyclone.v1 import cyclone_pb2_grpc as rpc

from shared.clock import PushedClock
from shared.codec import to_timestamp
from shared.errors import FailedPrecondition, InvalidArgument, NotFound
from tests.contract.cyclone.conftest import START, Servers, until
from tests.fakes.databases import Databases
from tests.fakes.http_provider import HttpProvider
from tests.fakes.peers import answers, hangs

pytestmark = pytest.mark.timeout(180)

HIGH = answers(alerts_pb2.Summary(level=alerts_pb2.LEVEL_HIGH))


@pytest.fixture
async def outside() -> AsyncIterator[HttpProvider]:
    async with HttpProvider() as provider:
        provider.answer("POST /ping/secret", json={})
        yield provider


class Drills:
    """A cyclone with its drills, and how often the outside heard of it."""

    def __init__(self, servers: Servers, outside: HttpProvider, clock: PushedClock) -> None:
        self.servers, self.outside, self.clock = servers, outside, clock

    async def start(self, *, heartbeat: bool = True) -> Drills:
        url = SecretStr(f"{self.outside.url}/ping/secret") if heartbeat else None
        self.cycles: Any = await self.servers.start(self.clock, heartbeat_url=url)
        return self

    async def pings(self, minutes: int, expected: int) -> None:
        """So many cycles, one a minute, make so many pings."""
        before = len(self.outside.requests)
        for _ in range(minutes):
            self.clock.advance(60)
            await self.servers.run(self.cycles)
            await self._decided()
        await until(lambda: len(self.outside.requests) - before >= expected, 30)
        assert len(self.outside.requests) - before == expected

    async def _decided(self) -> None:
        """The ping of the last cycle is sent or kept back. Cycles are run one after the other: when
        another has ended, what came after the last has begun.
        """
        await self.servers.run(self.cycles, "NOTIFY")
        await until(lambda: "ping" not in {task.get_name() for task in asyncio.all_tasks()})


@pytest.fixture
async def drilled(
    servers: Servers, outside: HttpProvider, clock: PushedClock
) -> tuple[Drills, Any]:
    made = await Drills(servers, outside, clock).start()
    return made, servers.channel.stub(rpc.DrillsServiceStub)


async def test_no_ping_goes_out_until_it_is_answered_and_everything_else_goes_on(
    drilled: tuple[Drills, Any],
) -> None:
    made, stub = drilled
    await made.pings(1, 1)
    drill = await stub.PlanDrill(pb.PlanDrillRequest(limit=Duration(seconds=1800)))
    assert (drill.state, len(drill.code)) == (pb.DRILL_STATE_PLANNED, 8)
    await made.pings(3, 0)
    assert len(made.servers.peers.requests("alerts.EvaluateAlerts")) == 4
    with pytest.raises(InvalidArgument, match="WRONG_CODE"):
        await stub.AnswerDrill(pb.AnswerDrillRequest(code="00000000"))
    made.clock.advance(240)
    answered = await stub.AnswerDrill(pb.AnswerDrillRequest(code=drill.code.upper()))
    assert answered.state == pb.DRILL_STATE_ANSWERED
    # The first ping was kept back two cycles and four minutes ago.
    assert answered.told_after.seconds == 360
    await made.pings(1, 1)
    listed = (await stub.ListDrills(pb.ListDrillsRequest())).drills
    assert [(one.id, one.code, one.told_after.seconds) for one in listed] == [(drill.id, "", 360)]
    with pytest.raises(FailedPrecondition, match="DRILL_NOT_RUNNING"):
        await stub.AnswerDrill(pb.AnswerDrillRequest(code=drill.code))


async def test_it_ends_by_itself_after_its_limit_also_when_nobody_looked(
    drilled: tuple[Drills, Any],
) -> None:
    made, stub = drilled
    await stub.PlanDrill(pb.PlanDrillRequest(limit=Duration(seconds=300)))
    await made.pings(2, 0)
    made.clock.advance(300)
    await made.pings(2, 2)
    (drill,) = (await stub.ListDrills(pb.ListDrillsRequest())).drills
    assert (drill.state, drill.HasField("told_after")) == (pb.DRILL_STATE_TIMED_OUT, False)


@pytest.mark.slow
@pytest.mark.parametrize("standing", [HIGH, hangs()], ids=["high", "unknown"])
async def test_it_ends_as_soon_as_anything_stands_at_high_or_may(
    drilled: tuple[Drills, Any], standing: Any
) -> None:
    made, stub = drilled
    await stub.PlanDrill(pb.PlanDrillRequest())
    await made.pings(2, 0)
    made.servers.peers.told["alerts.GetSummary"] = standing
    await made.servers.run(made.cycles)
    await until(lambda: _state_is(stub, pb.DRILL_STATE_HIGH_STANDS), 30)
    del made.servers.peers.told["alerts.GetSummary"]
    await until(lambda: len(made.outside.requests) >= 1, 30)


async def _state_is(stub: Any, state: int) -> bool:
    (drill,) = (await stub.ListDrills(pb.ListDrillsRequest())).drills
    return bool(drill.state == state)


async def test_a_planned_day_changes_nothing_before_and_can_be_taken_back(
    drilled: tuple[Drills, Any],
) -> None:
    made, stub = drilled
    later = to_timestamp(START.replace(day=START.day + 3))
    drill = await stub.PlanDrill(pb.PlanDrillRequest(start_time=later))
    with pytest.raises(FailedPrecondition, match="DRILL_PLANNED"):
        await stub.PlanDrill(pb.PlanDrillRequest())
    await made.pings(1, 1)
    cancelled = await stub.CancelDrill(pb.CancelDrillRequest(id=drill.id))
    assert cancelled.state == pb.DRILL_STATE_CANCELLED
    with pytest.raises(NotFound, match="DRILL_NOT_FOUND"):
        await stub.CancelDrill(pb.CancelDrillRequest(id=drill.id))


async def test_a_database_that_does_not_show_the_drills_keeps_no_ping_back(
    drilled: tuple[Drills, Any], databases: Databases
) -> None:
    drills, _ = drilled
    owner = await asyncpg.connect(databases.owner_url("cyclone"))
    try:
        await owner.execute("revoke select on drill from cyclone")
        await drills.pings(2, 2)
    finally:
        await owner.close()


async def test_without_an_outside_there_is_no_drill(
    servers: Servers, outside: HttpProvider, clock: PushedClock
) -> None:
    await Drills(servers, outside, clock).start(heartbeat=False)
    with pytest.raises(FailedPrecondition, match="NO_HEARTBEAT"):
        await servers.channel.stub(rpc.DrillsServiceStub).PlanDrill(pb.PlanDrillRequest())
