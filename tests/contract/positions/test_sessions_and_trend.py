"""Sessions, the strategy, the trend and entries by hand over gRPC."""

from __future__ import annotations

from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from sonic.positions.v1 import positions_pb2 as pb

from shared.errors import FailedPrecondition, InvalidArgument, NotFound


async def mark(servers, price_usd: float, *, seconds: float = 60) -> None:
    """The one position goes to a price; a snapshot is taken a minute later."""
    servers.clock.advance(seconds)
    changed = pb.Position(id="one", mark_price_usd=price_usd)
    await servers.positions.UpdatePosition(pb.UpdatePositionRequest(position=changed))
    await servers.portfolio.RecordSnapshot(pb.RecordSnapshotRequest())


@pytest.fixture
async def held(servers):
    """One position worth 100 at 100 that gains 10 USD with each USD of price."""
    await servers.create(id="one", mark_price_usd=100.0)
    return servers


async def test_a_session_is_judged_by_value_and_keeps_its_figures_when_it_has_ended(held) -> None:
    opened = await held.sessions.StartSession(pb.StartSessionRequest(name="friday", note="careful"))
    assert (opened.status, opened.start_value_usd, opened.performance_usd) == (1, 100.0, 0.0)
    for price in (110.0, 96.0, 104.0):
        await mark(held, price)
    running = await held.sessions.GetSession(pb.GetSessionRequest(id=opened.id))
    assert (running.value_usd, running.performance_usd, running.return_percent) == (
        140.0,
        40.0,
        40.0,
    )
    assert (running.max_drawdown_usd, running.max_drawdown_percent) == (140.0, 70.0)
    ended = await held.sessions.EndSession(pb.EndSessionRequest(id=opened.id))
    assert (
        ended.status == pb.SESSION_STATUS_ENDED
        and ended.ended_time.seconds > opened.started_time.seconds
    )
    await mark(held, 60.0)
    assert await held.sessions.GetSession(pb.GetSessionRequest(id=opened.id)) == ended
    with pytest.raises(FailedPrecondition, match="SESSION_ENDED"):
        await held.sessions.EndSession(pb.EndSessionRequest(id=opened.id))


async def test_at_most_one_session_is_open(held) -> None:
    first = await held.sessions.StartSession(pb.StartSessionRequest())
    with pytest.raises(FailedPrecondition, match="SESSION_OPEN"):
        await held.sessions.StartSession(pb.StartSessionRequest())
    await held.sessions.EndSession(pb.EndSessionRequest(id=first.id))
    held.clock.advance(1)
    second = await held.sessions.StartSession(pb.StartSessionRequest(name="second"))
    listed = await held.sessions.ListSessions(pb.ListSessionsRequest(page_size=1))
    assert [one.id for one in listed.sessions] == [second.id]
    rest = pb.ListSessionsRequest(page_size=1, page_token=listed.next_page_token)
    assert [one.id for one in (await held.sessions.ListSessions(rest)).sessions] == [first.id]
    ended = pb.ListSessionsRequest(status=pb.SESSION_STATUS_ENDED, order_by="started_time")
    assert [one.id for one in (await held.sessions.ListSessions(ended)).sessions] == [first.id]
    for call, request in (
        ("GetSession", pb.GetSessionRequest),
        ("EndSession", pb.EndSessionRequest),
    ):
        with pytest.raises(NotFound, match="SESSION_NOT_FOUND"):
            await getattr(held.sessions, call)(request(id="no"))


async def test_the_strategy_is_measured_from_its_start_value(held) -> None:
    empty = await held.sessions.GetStrategy(pb.GetStrategyRequest())
    assert not empty.HasField("performance_usd") and empty.value_usd == 100.0
    wanted = pb.Strategy(start_value_usd=80, description="hold and hedge")
    set_ = await held.sessions.UpdateStrategy(pb.UpdateStrategyRequest(strategy=wanted))
    assert (set_.performance_usd, set_.return_percent, set_.description) == (
        20.0,
        25.0,
        "hold and hedge",
    )
    only = pb.UpdateStrategyRequest(strategy=pb.Strategy(description="new"))
    assert (await held.sessions.UpdateStrategy(only)).start_value_usd == 80
    taken = pb.UpdateStrategyRequest()
    taken.strategy.SetInParent()
    taken.update_mask.paths.append("start_value_usd")
    assert not (await held.sessions.UpdateStrategy(taken)).HasField("start_value_usd")
    for bad in (
        pb.Strategy(start_value_usd=-1),
        pb.Strategy(start_value_usd=float("inf")),
        pb.Strategy(description="0x" + "ab" * 32),
    ):
        with pytest.raises(InvalidArgument):
            await held.sessions.UpdateStrategy(pb.UpdateStrategyRequest(strategy=bad))


async def test_a_trend_has_at_most_the_points_asked_for_and_loses_no_extreme(held) -> None:
    for price in (110.0, 90.0, 120.0, 100.0, 105.0, 95.0):
        await mark(held, price, seconds=3600)
    whole = await held.portfolio.ListTrend(pb.ListTrendRequest())
    assert [point.snapshot.totals.total_value_usd for point in whole.points] == [
        200,
        0,
        300,
        100,
        150,
        50,
    ]
    assert (whole.snapshot_count, whole.value_change_usd, whole.value_change_percent) == (
        6,
        -150.0,
        -75.0,
    )
    few = await held.portfolio.ListTrend(
        pb.ListTrendRequest(window=Duration(seconds=6 * 3600), point_count=2)
    )
    assert [point.snapshot.totals.total_value_usd for point in few.points] == [300, 50]
    assert [(point.lowest_value_usd, point.highest_value_usd) for point in few.points] == [
        (0, 300),
        (50, 150),
    ]
    assert [point.snapshot_count for point in few.points] == [3, 3]
    short = await held.portfolio.ListTrend(pb.ListTrendRequest(window=Duration(seconds=60)))
    assert len(short.points) == 1
    before = pb.ListTrendRequest()
    before.end_time.FromDatetime(held.clock.now() - timedelta(days=9))
    nothing = await held.portfolio.ListTrend(before)
    assert not nothing.points and not nothing.HasField("value_change_usd")
    with pytest.raises(InvalidArgument, match="INVALID_FIELD"):
        await held.portfolio.ListTrend(pb.ListTrendRequest(window=Duration(seconds=-1)))


async def test_an_entry_by_hand_is_a_snapshot_that_can_be_taken_back(held, stamp) -> None:
    await held.portfolio.RecordSnapshot(pb.RecordSnapshotRequest())
    entry = pb.Snapshot(
        totals=pb.Totals(total_value_usd=5000, total_collateral_usd=10), note="before Sonic"
    )
    entry.snapshot_time.CopyFrom(stamp(held.clock.now() - timedelta(days=2)))
    made = await held.portfolio.CreateSnapshot(pb.CreateSnapshotRequest(snapshot=entry))
    assert made.manual and made.note == "before Sonic" and made.totals.total_value_usd == 5000
    only = pb.ListSnapshotsRequest(manual_only=True)
    assert list((await held.portfolio.ListSnapshots(only)).snapshots) == [made]
    oldest = pb.ListSnapshotsRequest(order_by="snapshot_time", page_size=1)
    assert list((await held.portfolio.ListSnapshots(oldest)).snapshots) == [made]
    await held.portfolio.DeleteSnapshot(pb.DeleteSnapshotRequest(id=made.id))
    with pytest.raises(NotFound, match="SNAPSHOT_NOT_FOUND"):
        await held.portfolio.DeleteSnapshot(pb.DeleteSnapshotRequest(id=made.id))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"total_value_usd": float("nan")}, "NOT_FINITE"),
        ({"total_value_usd": 1, "avg_heat_index": float("inf")}, "NOT_FINITE"),
        ({"total_value_usd": 1, "total_size_usd": -1}, "INVALID_FIELD"),
        ({"total_value_usd": 1, "position_count": -1}, "INVALID_FIELD"),
        ({"total_value_usd": 1, "avg_leverage_ratio": -2}, "avg_leverage_ratio"),
        ({"total_value_usd": 1, "avg_heat_index": -1}, "avg_heat_index"),
        ({"total_value_usd": 1, "avg_heat_index": 101}, "avg_heat_index"),
        ({}, "total_value_usd"),
        ({"total_size_usd": 5}, "total_value_usd"),
    ],
)
async def test_an_entry_that_is_no_number_is_refused(servers, fields, reason) -> None:
    entry = pb.Snapshot(totals=pb.Totals(**fields))
    with pytest.raises(InvalidArgument) as refused:
        await servers.portfolio.CreateSnapshot(pb.CreateSnapshotRequest(snapshot=entry))
    assert reason in f"{refused.value.reason} {refused.value.fields}"


async def test_an_entry_that_is_zero_by_its_own_word_is_taken(servers) -> None:
    entry = pb.Snapshot(totals=pb.Totals(total_value_usd=0))
    made = await servers.portfolio.CreateSnapshot(pb.CreateSnapshotRequest(snapshot=entry))
    assert made.totals.HasField("total_value_usd")


async def test_an_entry_of_tomorrow_is_refused(servers, stamp) -> None:
    tomorrow = stamp(servers.clock.now() + timedelta(days=1))
    entry = pb.Snapshot(snapshot_time=tomorrow, totals=pb.Totals(total_value_usd=1))
    with pytest.raises(InvalidArgument, match="future"):
        await servers.portfolio.CreateSnapshot(pb.CreateSnapshotRequest(snapshot=entry))
