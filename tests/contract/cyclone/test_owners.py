"""Who runs the cycle: take-over after a kill, a paused owner, resuming,
the slots of the schedule."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.positions.v1 import positions_pb2

from shared.clock import PushedClock
from tests.contract.cyclone.conftest import SERVICES, START, Servers, until
from tests.fakes.naps import Naps
from tests.fakes.peers import Gate

_OWNER = "select owner from lease where expires_time > clock_timestamp()"
_RUN = "from services.cyclone.server import main; main()"


class Replica:
    """A cyclone in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@pytest.fixture
async def replica(servers: Servers) -> AsyncIterator[Replica]:
    """Holds the lease of a schedule of 5 s (so the lease lives 1.7 s), and runs requested cycles
    only.
    """
    peers = {f"{name.upper()}_ADDRESS": servers.peers.address for name in SERVICES}
    environ = os.environ | peers | {
        "CYCLONE_DATABASE_URL": servers.url,
        "LISTEN_ADDRESS": "127.0.0.1:0",
        "SONIC_SCHEDULE": "0",
        "SONIC_CYCLE_INTERVAL_SECONDS": "5",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _RUN, env=environ)
    made = Replica(process)
    await until(lambda: _owned_by(servers, made.pid), seconds=50)
    yield made
    await made.stop()


async def _owned_by(servers: Servers, pid: int) -> bool:
    return f":{pid}:" in (await servers.value(_OWNER) or "")


_IS_SYNCING = "select steps @? '$[*] ? (@.name == \"SYNC_POSITIONS\" && @.state == 2)' from cycle"


async def _interrupted(servers: Servers, stub: Any) -> tuple[str, Gate]:
    """A cycle of the replica that hangs in its second step."""
    gate = servers.peers.told["positions.SyncPositions"] = Gate(
        positions_pb2.SyncPositionsResponse()
    )
    started = await stub.StartCycle(pb.StartCycleRequest())
    await asyncio.wait_for(gate.reached.wait(), 45)
    await until(lambda: servers.value(_IS_SYNCING))
    return started.id, gate


@pytest.mark.slow
async def test_a_killed_owner_is_replaced_within_an_interval_and_only_the_interrupted_step_repeats(
    servers: Servers, replica: Replica
) -> None:
    stub = await servers.start()
    id, gate = await _interrupted(servers, stub)
    async with Naps() as naps:
        replica.signal(signal.SIGKILL)
        gate.opened.set()
        cycle = await servers.ended(stub, id)
    assert naps.seconds < 5
    assert cycle.state == pb.CYCLE_STATE_SUCCEEDED
    assert {step.name: step.attempt for step in cycle.steps if step.attempt != 1} == {
        "SYNC_POSITIONS": 2
    }
    (before,) = {request.epoch for request in servers.peers.requests("price.RefreshPrices")}
    synced = [request.epoch for request in servers.peers.requests("positions.SyncPositions")]
    assert synced == [before, cycle.epoch]
    assert before < cycle.epoch
    assert {request.cycle_id for request in servers.peers.requests("positions.SyncPositions")} == {
        id
    }
    # Alerts get the prices that the owner before had asked for.
    assert servers.peers.requests("alerts.EvaluateAlerts")[0].prices


@pytest.mark.slow
async def test_a_paused_owner_is_fenced_when_it_wakes(servers: Servers, replica: Replica) -> None:
    stub = await servers.start()
    id, gate = await _interrupted(servers, stub)
    paused = await servers.value("select epoch from lease")
    replica.signal(signal.SIGSTOP)
    try:
        gate.opened.set()
        assert (await servers.ended(stub, id)).state == pb.CYCLE_STATE_SUCCEEDED
        before = await servers.rows("select * from cycle where id = $1", id)
        calls = len(servers.peers.calls)
    finally:
        replica.signal(signal.SIGCONT)
    # What it wrote late, if anything, it wrote by now: the next cycle has come and gone.
    assert (await servers.run(stub, "NOTIFY")).epoch > paused
    assert not await _owned_by(servers, replica.pid)
    assert await servers.rows("select * from cycle where id = $1", id) == before
    late = [
        name
        for name, request in servers.peers.calls[calls:]
        if getattr(request, "cycle_id", "") == id
    ]
    assert late == []


@pytest.mark.slow
async def test_an_owner_that_leaves_hands_over_at_once(servers: Servers, replica: Replica) -> None:
    stub = await servers.start()
    id, gate = await _interrupted(servers, stub)
    before = await servers.value("select epoch from lease")
    async with Naps() as naps:
        replica.signal(signal.SIGTERM)
        await until(lambda: servers.value(f"{_OWNER} and epoch > $1", before))
    assert naps.seconds < 1.5
    gate.opened.set()
    assert (await servers.ended(stub, id)).state == pb.CYCLE_STATE_SUCCEEDED


@pytest.mark.slow
async def test_a_cycle_owned_by_another_replica_is_streamed_and_cancelled(
    servers: Servers, replica: Replica
) -> None:
    stub = await servers.start()
    gate = servers.peers.told["positions.SyncPositions"] = Gate(
        positions_pb2.SyncPositionsResponse()
    )
    messages: list[pb.RunCycleResponse] = []
    async for message in stub.RunCycle(pb.RunCycleRequest()):
        messages.append(message)
        if (
            message.changed_step == "SYNC_POSITIONS"
            and message.cycle.steps[1].state == pb.STEP_STATE_RUNNING
        ):
            await asyncio.wait_for(gate.reached.wait(), 45)
            await stub.CancelCycle(pb.CancelCycleRequest(id=message.cycle.id))
    assert messages[-1].changed_step == ""
    assert messages[-1].cycle.state == pb.CYCLE_STATE_CANCELLED
    assert await _owned_by(servers, replica.pid)


async def test_the_first_slot_is_now_and_the_next_one_interval_later(
    servers: Servers, clock: PushedClock
) -> None:
    stub = await servers.start(clock, sonic_schedule=True)
    await until(lambda: servers.value("select count(*) = 1 from cycle where state = 3"))
    cycle = (await stub.ListCycles(pb.ListCyclesRequest())).cycles[0]
    assert cycle.cause == pb.CAUSE_SCHEDULE
    assert cycle.slot_time.ToDatetime() == START.replace(tzinfo=None)
    assert servers.peers.requests("price.RefreshPrices")[0].force is False
    assert await servers.value("select next_time from setting") == START + timedelta(seconds=60)
    await _until_asleep(clock, 60)
    clock.advance(59.9)
    await asyncio.sleep(0)
    assert await servers.value("select count(*) from cycle") == 1
    clock.advance(0.1)
    await until(lambda: servers.value("select count(*) = 2 from cycle where state = 3"))
    assert await servers.value("select missed_count from setting") == 0


async def test_slots_that_pass_during_a_long_cycle_are_counted_and_never_overlap(
    servers: Servers, clock: PushedClock
) -> None:
    gate = servers.peers.told["positions.SyncPositions"] = Gate(
        positions_pb2.SyncPositionsResponse()
    )
    stub = await servers.start(clock, sonic_schedule=True)
    await asyncio.wait_for(gate.reached.wait(), 45)
    clock.advance(60 * 3 + 40)
    assert await servers.value("select count(*) from cycle") == 1
    gate.opened.set()
    await until(lambda: servers.value("select missed_count = 3 from setting"))
    assert await servers.value("select count(*) from cycle") == 1
    schedule = await stub.GetSchedule(pb.GetScheduleRequest())
    assert schedule.next_time.ToDatetime() == START.replace(tzinfo=None) + timedelta(seconds=240)
    events = await stub.ListEvents(pb.ListEventsRequest(severity="WARNING"))
    assert [event.message.split(":")[0] for event in events.events] == ["3 slots missed"]


async def test_after_standing_still_the_past_is_counted_and_one_cycle_runs_now(
    servers: Servers, clock: PushedClock
) -> None:
    await servers.rows(
        "insert into setting values (1, 60, true, $1, 0, 1) returning 1",
        START - timedelta(minutes=10, seconds=40),
    )
    await servers.start(clock, sonic_schedule=True)
    await until(lambda: servers.value("select count(*) = 1 from cycle where state = 3"))
    assert await servers.value("select missed_count from setting") == 11
    assert await servers.value("select slot_time from cycle") == START


async def test_a_clock_that_was_ahead_and_set_right_while_nobody_ran_holds_no_slot_back(
    servers: Servers, clock: PushedClock
) -> None:
    await servers.rows(
        "insert into setting values (1, 60, true, $1, 0, 1) returning 1", START + timedelta(hours=5)
    )
    await servers.rows(
        "update lease set owner = 'killed', expires_time = clock_timestamp() + interval '5 hours'"
        " returning 1"
    )
    stub = await servers.start(clock, sonic_schedule=True)
    await until(lambda: servers.value("select count(*) = 1 from cycle where state = 3"))
    assert await servers.value("select slot_time from cycle") == START
    schedule = await stub.GetSchedule(pb.GetScheduleRequest())
    assert schedule.owner != "killed"
    assert schedule.next_time.ToDatetime() == START.replace(tzinfo=None) + timedelta(seconds=60)
    assert await servers.value("select missed_count from setting") == 0


async def test_a_shorter_interval_counts_from_now_and_off_is_off(
    servers: Servers, clock: PushedClock
) -> None:
    stub = await servers.start(clock, sonic_schedule=True)
    await until(lambda: servers.value("select count(*) = 1 from cycle where state = 3"))
    schedule = pb.Schedule()
    schedule.interval.FromSeconds(7)
    changed = await stub.UpdateSchedule(pb.UpdateScheduleRequest(schedule=schedule))
    assert changed.next_time.ToDatetime() == START.replace(tzinfo=None) + timedelta(seconds=7)
    await _until_asleep(clock, 7)
    clock.advance(7)
    await until(lambda: servers.value("select count(*) = 2 from cycle where state = 3"))
    off = pb.UpdateScheduleRequest(
        schedule=pb.Schedule(enabled=False), update_mask={"paths": ["enabled"]}
    )
    assert not (await stub.UpdateSchedule(off)).enabled
    await _until_asleep(clock, 60)  # it is off, and looks now and then
    clock.advance(3_600)
    assert (await servers.run(stub, "NOTIFY")).state == pb.CYCLE_STATE_SUCCEEDED
    assert await servers.value("select count(*) from cycle where cause = 1") == 2
    on = pb.UpdateScheduleRequest(
        schedule=pb.Schedule(enabled=True), update_mask={"paths": ["enabled"]}
    )
    assert (await stub.UpdateSchedule(on)).enabled
    await until(
        lambda: servers.value("select count(*) = 3 from cycle where cause = 1 and state = 3")
    )
    assert await servers.value("select missed_count from setting") == 0


@pytest.mark.parametrize("step", [timedelta(hours=1), timedelta(hours=-1)])
async def test_a_wall_clock_that_is_set_moves_no_slot(
    servers: Servers, clock: PushedClock, step: timedelta
) -> None:
    await servers.start(clock, sonic_schedule=True)
    await until(lambda: servers.value("select count(*) = 1 from cycle where state = 3"))
    await _until_asleep(clock, 60)
    clock.set_time(clock.now() + step)
    clock.advance(60)
    await until(lambda: servers.value("select count(*) = 2 from cycle where state = 3"))
    assert await servers.value("select missed_count from setting") == 0
    assert await servers.value(
        "select slot_time from cycle order by id desc limit 1"
    ) == START + step + timedelta(seconds=60)


async def test_without_a_schedule_a_process_runs_requests_only(
    servers: Servers, clock: PushedClock
) -> None:
    stub = await servers.start(clock)
    assert not (await stub.GetSchedule(pb.GetScheduleRequest())).enabled
    await servers.run(stub, "NOTIFY")
    assert await servers.value("select count(*) from cycle where cause = 1") == 0


async def _until_asleep(clock: PushedClock, seconds: float) -> None:
    """The owner waits for its next slot; others wait beside it, for other times."""
    await until(lambda: seconds in [round(left, 3) for left in clock.sleeping_seconds])


async def test_a_database_that_drops_every_connection_in_a_cycle_leaves_it_whole(
    servers: Servers,
) -> None:
    gate = servers.peers.told["positions.SyncPositions"] = Gate(
        positions_pb2.SyncPositionsResponse()
    )
    stub = await servers.start()
    started = await stub.StartCycle(pb.StartCycleRequest())
    await asyncio.wait_for(gate.reached.wait(), 45)
    dropped = await servers.rows(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and usename = current_user and pid <> pg_backend_pid()"
    )
    assert dropped
    gate.opened.set()
    cycle = await servers.ended(stub, started.id)
    assert cycle.state == pb.CYCLE_STATE_SUCCEEDED
    assert (
        len(
            await servers.rows(
                "select 1 from event where source = 'cycle' and message like 'SUCCEEDED%'"
            )
        )
        == 1
    )
    async with Naps() as naps:
        again = await stub.StartCycle(pb.StartCycleRequest(steps=["NOTIFY"]))
        assert (await servers.ended(stub, again.id)).state == pb.CYCLE_STATE_SUCCEEDED
    assert naps.seconds < 3
