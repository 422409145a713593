"""What streams tell pulls the next look forward: at most one cycle in five seconds, the schedule
stays as it is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from pydantic import SecretStr
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.positions.v1 import positions_pb2
from sonic.price.v1 import price_pb2
from structlog.testing import capture_logs

from shared.clock import PushedClock
from shared.codec import to_timestamp
from tests.contract.cyclone.conftest import START, Servers, until
from tests.fakes.databases import Databases
from tests.fakes.http_provider import HttpProvider
from tests.fakes.peers import FakePeers, Gate, aborts
from tests.fakes.pushing import push

OPEN = positions_pb2.STREAM_STATE_CONNECTED


class FakeStreams:
    """What positions and price tell; everybody who watches hears what comes from then on."""

    def __init__(self) -> None:
        self.watchers: list[asyncio.Queue[Message | None]] = []
        self.watched_count = 0
        self.is_refusing = False
        self.is_breaking = False

    async def positions(self, _request: object, context: Any) -> AsyncIterator[Message]:
        self.watched_count += 1
        if self.is_refusing:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "down")
        queue: asyncio.Queue[Message | None] = asyncio.Queue()
        self.watchers.append(queue)
        try:
            yield news()
            while (message := await queue.get()) is not None:
                yield message
            if self.is_breaking:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "renewed")
        finally:
            self.watchers.remove(queue)

    async def price(self, _request: object, _context: Any) -> AsyncIterator[Message]:
        yield price_pb2.WatchStreamsResponse()
        await asyncio.Event().wait()

    def tell(self, *events: str, state: int = OPEN, reason: str = "") -> None:
        for queue in self.watchers:
            queue.put_nowait(news(*events, state=state, reason=reason))

    def hang_up(self) -> None:
        for queue in self.watchers:
            queue.put_nowait(None)


def news(*events: str, state: int = OPEN, reason: str = "") -> Message:
    stream = positions_pb2.Stream(name="hyperliquid", state=state, reason=reason)  # type: ignore[arg-type]  # a number
    stream.since_time.CopyFrom(to_timestamp(START))
    return positions_pb2.WatchStreamsResponse(streams=[stream], events=events)


class Stand(Servers):
    """A cyclone on pushed time, with streams that a test speaks for."""

    def __init__(self, databases: Databases, peers: FakePeers, stack: AsyncExitStack) -> None:
        super().__init__(databases, peers, stack)
        self.streams = FakeStreams()
        self.clock = PushedClock(START)

    async def open(self, **changes: Any) -> Any:
        settings = {"sonic_schedule": True, "sonic_streams": True} | changes
        return await self.start(self.clock, **settings)

    async def cycles(self) -> list[tuple[int, datetime]]:
        found = await self.rows(
            "select cause, started_time from cycle where state > 2 order by started_time"
        )
        return [(row["cause"], row["started_time"]) for row in found]

    async def ended_count(self, count: int, cause: int = 3) -> None:
        async def are_there() -> bool:
            return sum(one == cause for one, _ in await self.cycles()) == count

        await until(are_there)

    async def sleeping(self) -> None:
        """Until it waits for the next moment, so that pushing it on goes unseen by nobody."""
        await until(lambda: self.clock.sleeping_count > 0)

    async def first_slot(self) -> None:
        """The first cycle, which the schedule begins, and six seconds after it."""
        await self.ended_count(1, cause=1)
        await until(lambda: bool(self.streams.watchers))
        await self.pass_on(6.0)

    async def pass_on(self, seconds: float) -> None:
        await self.sleeping()
        await push(self.clock, seconds)


@pytest.fixture
async def stand(databases: Databases) -> AsyncIterator[Stand]:
    peers = FakePeers()
    async with AsyncExitStack() as stack:
        made = Stand(databases, peers, stack)
        peers.streams["positions.WatchStreams"] = made.streams.positions
        peers.streams["price.WatchStreams"] = made.streams.price
        await peers.start()
        stack.push_async_callback(peers.stop)
        yield made


@pytest.mark.slow
async def test_what_a_stream_tells_begins_a_cycle_and_the_schedule_stays(stand: Stand) -> None:
    stub = await stand.open()
    await stand.first_slot()
    before = await stub.GetSchedule(pb.GetScheduleRequest())
    stand.streams.tell("hyperliquid fill")
    await stand.ended_count(1)
    (pulled, slot) = (await stub.ListCycles(pb.ListCyclesRequest())).cycles
    assert (pulled.cause, slot.cause) == (pb.CAUSE_STREAM, pb.CAUSE_SCHEDULE)
    assert pulled.state == slot.state and not pulled.HasField("slot_time")
    assert [step.name for step in pulled.steps] == [step.name for step in slot.steps]
    assert (await stub.GetSchedule(pb.GetScheduleRequest())).next_time == before.next_time
    request = pb.ListEventsRequest(cycle_id=pulled.id, source="stream")
    (line,) = (await stub.ListEvents(request)).events
    assert line.message == "pulled forward by hyperliquid fill"
    await stand.pass_on(54.0)
    await stand.ended_count(2, cause=1)


@pytest.mark.slow
async def test_a_flood_begins_a_cycle_in_five_seconds_and_none_beside_another(
    stand: Stand,
) -> None:
    await stand.open()
    await stand.first_slot()
    for second in range(60):
        for place in range(20):
            stand.streams.tell(f"hyperliquid kind {(second * 20 + place) % 30}")
        await asyncio.sleep(0.02)
        await stand.pass_on(1.0)
    await stand.ended_count(2, cause=1)
    causes, times = zip(*await stand.cycles(), strict=True)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(gaps) >= timedelta(seconds=5)
    assert 6 <= causes.count(3) <= 12
    # Nobody begins one while another runs.
    overlaps = (
        "select count(*) from cycle a join cycle b on a.id < b.id"
        " and a.started_time < b.ended_time and b.started_time < a.ended_time"
    )
    assert await stand.value(overlaps) == 0


async def test_what_is_told_while_a_cycle_runs_begins_one_after_it(stand: Stand) -> None:
    await stand.open()
    await stand.first_slot()
    gate = Gate(price_pb2.RefreshPricesResponse())
    stand.peers.told["price.RefreshPrices"] = gate
    stand.streams.tell("hyperliquid fill")
    await until(gate.reached.is_set)
    stand.streams.tell("hyperliquid liquidation")
    await asyncio.sleep(0.3)
    assert await stand.value("select count(*) from cycle where cause = 3") == 1
    gate.opened.set()
    await stand.ended_count(1)
    await asyncio.sleep(0.3)
    assert await stand.value("select count(*) from cycle where cause = 3") == 1
    await stand.pass_on(5.0)
    await stand.ended_count(2)
    told = "select message from event where source = 'stream' and cycle_id <> '' order by id"
    assert [row["message"] for row in await stand.rows(told)] == [
        "pulled forward by hyperliquid fill",
        "pulled forward by hyperliquid liquidation",
    ]


async def test_a_paused_schedule_stays_paused(stand: Stand) -> None:
    stub = await stand.open()
    await stand.first_slot()
    off = pb.UpdateScheduleRequest(schedule=pb.Schedule(), update_mask=FieldMask(paths=["enabled"]))
    await stub.UpdateSchedule(off)
    stand.streams.tell("hyperliquid fill")
    await asyncio.sleep(0.3)
    await stand.pass_on(30.0)
    assert await stand.value("select count(*) from cycle where cause = 3") == 0
    on = pb.UpdateScheduleRequest(
        schedule=pb.Schedule(enabled=True), update_mask=FieldMask(paths=["enabled"])
    )
    await stub.UpdateSchedule(on)
    await stand.ended_count(2, cause=1)
    assert await stand.value("select count(*) from cycle where cause = 3") == 0


@pytest.mark.slow
async def test_how_streams_stand_is_shown_and_one_that_is_down_is_no_death(stand: Stand) -> None:
    stub = await stand.open()
    await stand.first_slot()

    async def shown() -> list[tuple[str, int, str]]:
        answer = await stub.ListStreams(pb.ListStreamsRequest())
        assert answer.enabled
        return [(one.name, one.state, one.reason) for one in answer.streams]

    async def stands(state: int, reason: str) -> None:
        async def so() -> bool:
            return await shown() == [("hyperliquid", state, reason)]

        await until(so)

    await stands(pb.STREAM_STATE_CONNECTED, "")
    stand.streams.tell(state=positions_pb2.STREAM_STATE_RECONNECTING, reason="CLOSED")
    await stands(pb.STREAM_STATE_RECONNECTING, "CLOSED")
    stand.streams.tell()
    await stands(pb.STREAM_STATE_CONNECTED, "")
    stand.streams.is_refusing = True
    stand.streams.hang_up()
    await stands(pb.STREAM_STATE_RECONNECTING, "SERVICE_UNAVAILABLE")
    stand.streams.is_refusing = False
    await stands(pb.STREAM_STATE_CONNECTED, "")
    stand.streams.tell("hyperliquid fill")
    await stand.ended_count(1)
    first, *_, last = stand.peers.requests("monitor.RunMonitors")
    assert first.HasField("streams")
    (handed,) = last.streams.streams
    assert (handed.name, handed.state, handed.reason) == ("hyperliquid", "CONNECTED", "")
    assert handed.HasField("since_time")
    assert await stand.value("select count(*) from incident where open") == 0
    assert await stand.value("select count(*) from event where severity <> 'INFO'") == 0


async def test_a_database_that_does_not_keep_how_streams_stand_ends_no_following(
    stand: Stand, databases: Databases
) -> None:
    await stand.open()
    await stand.first_slot()
    owner = await asyncpg.connect(databases.owner_url("cyclone"))
    try:
        await owner.execute("revoke insert, update, delete on stream from cyclone")
        stand.streams.is_refusing = True
        stand.streams.hang_up()
        with capture_logs() as lines:
            await until(lambda: [line for line in lines if line["event"] == "streams not kept"])
        stand.streams.is_refusing = False
        await until(lambda: bool(stand.streams.watchers))
    finally:
        await owner.close()


async def test_connections_that_are_renewed_are_no_trouble(stand: Stand) -> None:
    stub = await stand.open()
    await stand.first_slot()
    stand.streams.is_breaking = True
    for count in range(2, 5):
        stand.streams.hang_up()
        await until(lambda count=count: stand.streams.watched_count == count)  # type: ignore[misc]
        await until(lambda: bool(stand.streams.watchers))
    (one,) = (await stub.ListStreams(pb.ListStreamsRequest())).streams
    assert one.state == pb.STREAM_STATE_CONNECTED
    lines = await stand.rows("select message from event where source = 'stream'")
    assert [row["message"] for row in lines] == ["hyperliquid is open"]


@pytest.mark.slow
async def test_a_service_that_is_away_for_two_pulled_cycles_is_not_yet_down(stand: Stand) -> None:
    await stand.open()
    await stand.first_slot()
    stand.peers.told["monitor.RunMonitors"] = aborts(grpc.StatusCode.UNAVAILABLE)
    for count, rest_seconds in ((1, 10.0), (2, 20.0), (3, 6.0)):
        stand.streams.tell("hyperliquid fill")
        await stand.ended_count(count)
        await stand.pass_on(rest_seconds)
    assert await stand.value("select count(*) from incident where open") == 0


async def test_after_a_pulled_cycle_in_vain_the_next_waits_longer(stand: Stand) -> None:
    await stand.open()
    await stand.first_slot()
    stand.peers.told["positions.SyncPositions"] = aborts(grpc.StatusCode.UNAVAILABLE)
    stand.streams.tell("hyperliquid fill")
    await stand.ended_count(1)
    stand.streams.tell("hyperliquid mark")
    await stand.pass_on(6.0)
    await asyncio.sleep(0.3)
    assert await stand.value("select count(*) from cycle where cause = 3") == 1
    await stand.pass_on(4.0)
    await stand.ended_count(2)


async def test_a_slot_that_a_pulled_cycle_ran_over_is_run_at_once(stand: Stand) -> None:
    stub = await stand.open()
    await stand.first_slot()
    gate = Gate(price_pb2.RefreshPricesResponse())
    stand.peers.told["price.RefreshPrices"] = gate
    stand.streams.tell("hyperliquid fill")
    await until(gate.reached.is_set)
    await push(stand.clock, 90.0)
    gate.opened.set()
    await stand.ended_count(2, cause=1)
    known = await stub.GetSchedule(pb.GetScheduleRequest())
    assert known.missed_count == 0
    assert known.next_time.ToDatetime(UTC) == START + timedelta(minutes=2)


async def test_the_outside_hears_of_a_pulled_cycle_when_it_has_not_for_half_an_interval(
    stand: Stand,
) -> None:
    async with HttpProvider() as outside:
        outside.answer("POST /ping", json={})
        await stand.open(heartbeat_url=SecretStr(f"{outside.url}/ping"))
        await stand.first_slot()
        await until(lambda: len(outside.requests) == 1)
        stand.streams.tell("hyperliquid fill")
        await stand.ended_count(1)
        # It waits for the slot: time pushed before would be the length of its cycle.
        await until(lambda: 54.0 in stand.clock.sleeping_seconds)
        await stand.pass_on(31.0)
        stand.streams.tell("hyperliquid fill")
        await stand.ended_count(2)
        await until(lambda: len(outside.requests) >= 2)
        heard = [json.loads(request.body)["cycle_id"] for request in outside.requests]
        ids = [row["id"] for row in await stand.rows("select id from cycle order by started_time")]
        assert heard == [ids[0], ids[2]]


async def test_without_the_setting_nobody_is_followed(stand: Stand) -> None:
    stub = await stand.open(sonic_streams=False)
    await stand.ended_count(1, cause=1)
    assert not stand.streams.watched_count
    answer = await stub.ListStreams(pb.ListStreamsRequest())
    assert not answer.enabled and not answer.streams
    (asked,) = stand.peers.requests("monitor.RunMonitors")
    assert not asked.HasField("streams")
