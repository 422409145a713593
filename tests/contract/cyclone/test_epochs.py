"""Epochs of the lease: moments by the database's clock, which only grow, and pass one that nobody
took.
"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.positions.v1 import positions_pb2

from shared.database.fence import AHEAD, LATEST_EPOCH, NOW_EPOCH, EpochAhead, StaleEpoch, Step
from shared.database.pool import Database
from shared.errors import Conflict, FailedPrecondition, SonicError
from tests.contract.cyclone.conftest import START, Servers, until
from tests.contract.cyclone.test_fence import MINUTE, Stores
from tests.fakes.peers import Context, answers, refuses

_AHEAD = int(AHEAD.total_seconds() * 1000)
_LET_GO = "update lease set epoch = {epoch}, owner = '', expires_time = '-infinity' returning epoch"
SYNC = "positions.SyncPositions"


@pytest.fixture
def stores(database: Database) -> Stores:
    return Stores(database)


async def _now(servers: Servers) -> int:
    return int(await servers.value(f"select {NOW_EPOCH}"))


# Of before epochs were moments, of an hour ago, within what is believed and beyond it.
_SEEN = st.one_of(
    st.integers(0, 10_000),
    st.integers(-3_600_000, _AHEAD - 2_000).map(lambda offset: f"{NOW_EPOCH} + {offset}"),
    st.integers(_AHEAD + 60_000, 10**15).map(lambda offset: f"{NOW_EPOCH} + {offset}"),
    st.sampled_from([2**62, 2**63 - 1]),
)


@pytest.mark.slow
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(seen=_SEEN)
async def test_a_take_over_is_of_this_moment_and_above_every_epoch_that_can_be_true(
    stores: Stores, servers: Servers, seen: int | str
) -> None:
    async with stores.lease() as store:
        await store.ensure(MINUTE, START)
    connection = await asyncpg.connect(servers.url)
    try:
        before = await connection.fetchval(f"select {NOW_EPOCH}")
        stored = await connection.fetchval(_LET_GO.format(epoch=seen))
        epoch = await stores.taken("next")
        latest = await connection.fetchval(f"select {LATEST_EPOCH}")
    finally:
        await connection.close()
    assert before <= epoch <= latest
    assert epoch > stored or stored > before + _AHEAD


async def test_take_overs_in_one_millisecond_still_differ(stores: Stores) -> None:
    epochs = []
    for number in range(20):
        epochs.append(await stores.taken(f"owner-{number}"))
        await stores.lost(epochs[-1])
    assert epochs == sorted(set(epochs))


async def test_an_owner_goes_beyond_an_epoch_that_was_seen_and_nobody_else_does(
    stores: Stores, servers: Servers
) -> None:
    epoch = await stores.taken("first")
    seen = await _now(servers) + _AHEAD - 60_000
    async with stores.lease() as store:
        assert await store.exceed(epoch, "second", seen) is None
        assert await store.exceed(epoch - 1, "first", seen) is None
        assert await store.exceed(epoch, "first", seen) == seen + 1
        # What was not true cannot lift it out of reach.
        far = await store.exceed(seen + 1, "first", 2**63 - 1)
        assert far == seen + 2
        assert await store.renew(far, "first") is not None


def _refused_below(seen: int, answer: Message) -> Any:
    """As a service whose fence has seen an epoch."""

    async def behave(request: Any, context: Context) -> Message:
        if request.epoch < seen:
            await refuses(StaleEpoch(Step("STEP", request.cycle_id, request.epoch), seen))(
                request, context
            )
        return answer

    return behave


async def _fence_events(stub: Any) -> list[str]:
    events = (await stub.ListEvents(pb.ListEventsRequest(severity="WARNING"))).events
    return [event.message for event in events if event.source == "fence"]


async def test_a_forged_epoch_is_passed_in_the_same_cycle_and_told_once(servers: Servers) -> None:
    stub = await servers.start()
    for _ in range(3):
        forged = await servers.value(f"select {LATEST_EPOCH} - 1000")
        servers.peers.told[SYNC] = _refused_below(forged, positions_pb2.SyncPositionsResponse())
        cycle = await servers.run(stub)
        assert cycle.state == pb.CYCLE_STATE_SUCCEEDED
        assert {step.name: step.attempt for step in cycle.steps if step.attempt != 1} == {
            "SYNC_POSITIONS": 2
        }
        assert cycle.epoch == forged + 1
        # Every later step carries the new one.
        assert servers.peers.requests("alerts.EvaluateAlerts")[-1].epoch == cycle.epoch
    (told,) = await _fence_events(stub)
    assert "positions refused SYNC_POSITIONS" in told


async def test_the_lease_stays_with_an_owner_that_took_a_new_epoch(servers: Servers) -> None:
    stub = await servers.start(sonic_cycle_interval_seconds=5)
    owner = await servers.value("select owner from lease")
    forged = await _now(servers) + 60_000
    servers.peers.told[SYNC] = _refused_below(forged, positions_pb2.SyncPositionsResponse())
    await servers.run(stub)
    before = await servers.value("select expires_time from lease")
    await until(lambda: servers.value("select expires_time > $1 from lease", before))
    assert await servers.value("select owner from lease") == owner
    assert await servers.value("select epoch from lease") == forged + 1


async def test_an_epoch_from_a_clock_that_was_wrong_is_given_up(servers: Servers) -> None:
    """The clock was set back since the lease was taken: this moment is what a service takes now."""
    stub = await servers.start()
    wrong = await servers.value("select epoch from lease")

    async def behave(request: Any, context: Context) -> Message:
        if request.epoch > wrong:
            return positions_pb2.SyncPositionsResponse()
        return await refuses(EpochAhead(Step("STEP", "c", request.epoch), wrong - 1))(
            request, context
        )

    servers.peers.told[SYNC] = behave
    assert (await servers.run(stub)).state == pb.CYCLE_STATE_SUCCEEDED
    (told,) = await _fence_events(stub)
    assert "clock" in told


@pytest.mark.parametrize(
    "kind", [Conflict("STALE_EPOCH", "old"), FailedPrecondition("EPOCH_AHEAD", "far")]
)
@pytest.mark.parametrize("seen", ["", "-5", "soon", "9" * 30])
async def test_a_refusal_that_lasts_is_asked_twice_and_told_with_its_reason(
    servers: Servers, kind: SonicError, seen: str
) -> None:
    stub = await servers.start()
    error = type(kind)(kind.reason, kind.message, metadata={"seen_epoch": seen})
    servers.peers.told[SYNC] = refuses(error)
    cycle = await servers.run(stub)
    step = next(step for step in cycle.steps if step.name == "SYNC_POSITIONS")
    assert (step.attempt, step.reason, step.state) == (2, kind.reason, pb.STEP_STATE_FAILED)
    servers.peers.told[SYNC] = answers(positions_pb2.SyncPositionsResponse())
    assert (await servers.run(stub)).state == pb.CYCLE_STATE_SUCCEEDED


async def test_who_lost_the_lease_does_not_get_past_the_fence(
    servers: Servers, stores: Stores
) -> None:
    stub = await servers.start()
    taken = asyncio.Event()

    async def behave(request: Any, context: Context) -> Message:
        if taken.is_set():
            return positions_pb2.SyncPositionsResponse()
        seen = request.epoch + 1
        # Somebody else took over while the call was under way, and still holds it.
        await servers.rows(
            "update lease set epoch = $1, owner = 'other', expires_time = clock_timestamp() +"
            " interval '1 s'"
            " returning 1",
            seen,
        )
        taken.set()
        return await refuses(StaleEpoch(Step("STEP", "c", request.epoch), seen))(request, context)

    servers.peers.told[SYNC] = behave
    cycle = await servers.run(stub)
    assert await _fence_events(stub) == []
    # It was resumed under the next lease, which runs the step again.
    assert cycle.state == pb.CYCLE_STATE_SUCCEEDED
    epochs = [request.epoch for request in servers.peers.requests(SYNC)]
    assert epochs == sorted(set(epochs))
    assert len(epochs) == 2


async def test_a_lease_of_before_epochs_were_moments_goes_on(servers: Servers) -> None:
    await servers.rows("update lease set epoch = 17 returning 1")
    cycle = await servers.run(await servers.start())
    assert cycle.epoch > 17
    assert abs(cycle.epoch - await _now(servers)) < 60_000


async def test_a_lease_that_says_the_far_future_is_taken_at_this_moment(servers: Servers) -> None:
    await servers.rows(f"update lease set epoch = {2**62} returning 1")
    cycle = await servers.run(await servers.start())
    assert abs(cycle.epoch - await _now(servers)) < 60_000
    assert cycle.state == pb.CYCLE_STATE_SUCCEEDED
