"""What is watched and counted: the present first, then changes; the ledger's sums."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from google.protobuf.duration_pb2 import Duration
from sonic.alerts.v1 import alerts_pb2 as pb

from shared.errors import InvalidArgument
from tests.contract.alerts.conftest import Servers

TRAVEL = pb.ALERT_TYPE_TRAVEL_PERCENT
SAFE, LOW_MARK, HIGH_MARK = 101.0, 95.0, 89.0


@pytest.fixture
async def servers(without_xcom: Servers) -> Servers:
    await without_xcom.only(TRAVEL)
    await without_xcom.hold(SAFE)
    await without_xcom.create()
    await without_xcom.evaluate()
    return without_xcom


async def _next(stream: AsyncIterator[pb.WatchAlertsResponse]) -> pb.WatchAlertsResponse:
    async with asyncio.timeout(45):
        return await anext(stream)


async def test_the_present_comes_first_and_then_what_changes(servers: Servers) -> None:
    stream = aiter(servers.attention.WatchAlerts(pb.WatchAlertsRequest()))
    (present,) = (await _next(stream)).alerts
    assert present.level == pb.LEVEL_NORMAL
    await servers.evaluate()  # nothing changes, nothing is sent
    await servers.at(present.position_id, HIGH_MARK)
    (raised,) = (await _next(stream)).alerts
    assert (raised.id, raised.level) == (present.id, pb.LEVEL_HIGH)
    await servers.attention.AcknowledgeAlert(pb.AcknowledgeAlertRequest(id=present.id))
    assert (await _next(stream)).alerts[0].status == pb.ALERT_STATUS_ACKNOWLEDGED
    await servers.alerts.DeleteAlert(pb.DeleteAlertRequest(id=present.id))
    assert list((await _next(stream)).removed_ids) == [present.id]


async def test_a_filter_says_who_comes_and_who_leaves(servers: Servers) -> None:
    stream = aiter(servers.attention.WatchAlerts(pb.WatchAlertsRequest(min_level=pb.LEVEL_MEDIUM)))
    assert not (await _next(stream)).alerts
    id = (await servers.alert(TRAVEL)).position_id
    await servers.at(id, HIGH_MARK)
    assert (await _next(stream)).alerts[0].level == pb.LEVEL_HIGH
    await servers.at(id, SAFE, SAFE)
    assert (await _next(stream)).removed_ids


async def test_changes_of_another_replica_are_seen(servers: Servers) -> None:
    stream = aiter(servers.attention.WatchAlerts(pb.WatchAlertsRequest()))
    (present,) = (await _next(stream)).alerts
    await servers.start_alerts("second")
    await servers.at(present.position_id, HIGH_MARK)
    news = asyncio.ensure_future(_next(stream))
    # Another process is looked at now and then; a look that has just begun is not pushed.
    while not news.done():
        servers.clock.advance(2)
        await asyncio.sleep(0.02)
    assert (await news).alerts[0].level == pb.LEVEL_HIGH


@pytest.mark.slow
async def test_statistics_count_what_the_ledger_holds(servers: Servers) -> None:
    alert = await servers.alert(TRAVEL)
    await servers.at(alert.position_id, LOW_MARK)
    await servers.attention.AcknowledgeAlert(pb.AcknowledgeAlertRequest(id=alert.id))
    await servers.at(alert.position_id, HIGH_MARK, SAFE, SAFE)  # 30 s after the first rise
    await servers.at(alert.position_id, LOW_MARK)
    request = pb.GetStatisticsRequest(alert_id=alert.id)
    (row,) = (await servers.attention.GetStatistics(request)).statistics
    assert (row.type, row.fired_count, row.repeated_count) == (TRAVEL, 2, 1)
    assert (row.acknowledged_count, row.ended_count) == (1, 1)
    assert row.median_duration.seconds == 30
    with pytest.raises(InvalidArgument):
        await servers.attention.GetStatistics(pb.GetStatisticsRequest(window=Duration(seconds=0)))
    servers.clock.advance(60)
    late = await servers.attention.GetStatistics(
        pb.GetStatisticsRequest(window=Duration(seconds=1))
    )
    assert not late.statistics
