"""A service that hangs holds a cycle for its share of the interval, and no longer."""

from __future__ import annotations

from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.price.v1 import price_pb2

from tests.contract.cyclone.conftest import Servers, until
from tests.fakes.naps import Naps
from tests.fakes.peers import Gate, hangs

SUCCEEDED, PARTIAL, FAILED = pb.STEP_STATE_SUCCEEDED, pb.STEP_STATE_PARTIAL, pb.STEP_STATE_FAILED


def _step(cycle: pb.Cycle, name: str) -> pb.Step:
    return next(step for step in cycle.steps if step.name == name)


async def test_a_frozen_service_holds_a_cycle_for_less_than_its_interval_and_the_rest_is_judged(
    servers: Servers,
) -> None:
    for method in ("GetMode", "SyncPositions", "EnrichPositions", "RecordSnapshot"):
        servers.peers.told[f"positions.{method}"] = hangs()
    stub = await servers.start(sonic_cycle_interval_seconds=5)
    async with Naps() as naps:
        cycle = await servers.run(stub)
    assert naps.seconds < 5
    assert _step(cycle, "SYNC_POSITIONS").reason == "DEADLINE_EXCEEDED"
    assert _step(cycle, "SYNC_POSITIONS").message == "no answer from positions within 2 s"
    assert _step(cycle, "ENRICH_POSITIONS").reason == "DEADLINE_EXCEEDED"
    # Once it did not answer, it is asked again only briefly.
    enrich_seconds = _step(cycle, "ENRICH_POSITIONS").duration.ToTimedelta().total_seconds()
    sync_seconds = _step(cycle, "SYNC_POSITIONS").duration.ToTimedelta().total_seconds()
    assert 0.4 < enrich_seconds < 1.5 < sync_seconds < 3
    assert _step(cycle, "EVALUATE_ALERTS").state == PARTIAL
    assert _step(cycle, "RUN_MONITORS").state == SUCCEEDED
    assert cycle.state == pb.CYCLE_STATE_PARTIAL
    (death,) = await until(lambda: servers.peers.requests("alerts.RaiseDeath"))
    assert death.incident == "cycle"
    assert death.summary.startswith("Positions were not judged.")


async def test_the_interval_of_the_schedule_bounds_the_steps_whoever_asked(
    servers: Servers,
) -> None:
    stub = await servers.start()
    change = pb.Schedule()
    change.interval.FromSeconds(5)
    await stub.UpdateSchedule(pb.UpdateScheduleRequest(schedule=change))
    servers.peers.told["hedges.LinkHedges"] = hangs()
    cycle = await servers.run(stub)
    hedges = _step(cycle, "LINK_HEDGES")
    assert hedges.reason == "DEADLINE_EXCEEDED"
    assert hedges.duration.ToTimedelta().total_seconds() < 1.5


async def test_a_slow_service_is_given_up_at_its_limit(servers: Servers) -> None:
    servers.peers.told["hedges.LinkHedges"] = Gate(price_pb2.Price())
    cycle = await servers.run(await servers.start(step_timeout_seconds=0.2))
    hedges = _step(cycle, "LINK_HEDGES")
    assert (hedges.state, hedges.reason) == (FAILED, "DEADLINE_EXCEEDED")
    assert cycle.state == pb.CYCLE_STATE_PARTIAL
