"""A venue's mark that stands still, through real servers: its levels hold and rise by the market
price, told once, ended once by real marks; and judged again bit for bit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from tests.contract.monitor.conftest import Servers
from tests.contract.monitor.played_venue import Venue
from tests.fakes.http_provider import HttpProvider
from tests.fakes.peers import FakePeers


class Judged:
    """Alerts beside the venue: judged in every cycle, as cyclone does it."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        venue.judging = self._judge

    async def start(self) -> None:
        servers = self.venue.servers
        addresses = {
            f"{name}_address": servers.apps[name].address for name in ("positions", "xcom")
        }
        await servers.start("alerts", **addresses)
        self.alerts = await servers.stub("alerts", alerts_pb2_grpc.AlertsServiceStub)
        self.recorder = await servers.stub("alerts", alerts_pb2_grpc.RecorderServiceStub)
        self.positions = await servers.stub("positions", positions_pb2_grpc.PositionsServiceStub)

    async def _judge(self, step: dict[str, Any]) -> None:
        await self.alerts.CreateAlerts(alerts_pb2.CreateAlertsRequest(**step))
        await self.alerts.EvaluateAlerts(alerts_pb2.EvaluateAlertsRequest(**step))
        await self.alerts.FlushOutbox(alerts_pb2.FlushOutboxRequest(**step))

    async def held(self) -> positions_pb2.Position:
        """The long of BTC."""
        asked = positions_pb2.ListPositionsRequest(asset="BTC")
        (found,) = (await self.positions.ListPositions(asked)).positions
        return found

    async def watch(self, nearer_percent: float) -> None:
        """An alert that is HIGH when the distance is so much less than now."""
        position = await self.held()
        limit = position.liquidation_distance_percent - nearer_percent
        alert = alerts_pb2.Alert(
            type=alerts_pb2.ALERT_TYPE_LIQUIDATION_DISTANCE,
            condition=alerts_pb2.CONDITION_BELOW,
            position_id=position.id,
            trigger_value=limit,
        )
        made = await self.alerts.CreateAlert(alerts_pb2.CreateAlertRequest(alert=alert))
        self.id = made.id

    async def alert(self) -> alerts_pb2.Alert:
        found: alerts_pb2.Alert = await self.alerts.GetAlert(alerts_pb2.GetAlertRequest(id=self.id))
        return found

    async def messages(self, count: int) -> list[xcom_pb2.Message]:
        """Of this alert, oldest first, once there are so many."""
        stub = await self.venue.servers.stub("xcom", xcom_pb2_grpc.XComServiceStub)
        asked = xcom_pb2.ListMessagesRequest(source="alerts", page_size=100)
        end = time.monotonic() + 30
        while True:
            listed = (await stub.ListMessages(asked)).messages
            mine = [one for one in reversed(listed) if self.id in str(one)]
            if len(mine) >= count:
                assert len(mine) == count, [one.subject for one in mine]
                return mine
            assert time.monotonic() < end, [one.subject for one in listed]
            await asyncio.sleep(0.02)

    async def replayed(self, count: int) -> alerts_pb2.Replayed:
        """All recordings judged again, once so many are written."""
        asked = alerts_pb2.ListRecordingsRequest()
        end = time.monotonic() + 30
        while (await self.recorder.ListRecordings(asked)).recording_count < count:
            assert time.monotonic() < end
            await asyncio.sleep(0.02)
        request = alerts_pb2.ReplayRequest()
        request.start_time.FromSeconds(1)
        found: alerts_pb2.Replayed = await self.recorder.Replay(request)
        return found


@pytest.fixture
async def venue(servers: Servers) -> AsyncIterator[Venue]:
    prices = FakePeers()
    await prices.start()
    async with HttpProvider() as indexer:
        yield Venue(servers, indexer, prices)
    await prices.stop()


async def test_the_market_price_raises_a_level_that_a_frozen_mark_and_a_thaw_do_not_lower(
    venue: Venue,
) -> None:
    monitor = await venue.start()
    judged = Judged(venue)
    await judged.start()
    await venue.follow(monitor, times=2)
    await judged.watch(nearer_percent=0.5)
    assert (await judged.alert()).level == alerts_pb2.LEVEL_NORMAL
    # The mark stands still, the market falls on.
    assert await venue.look(monitor, times=8, moves_percent=-0.3) == "DEGRADED"
    position, alert = await judged.held(), await judged.alert()
    assert positions_pb2.FLAG_MARK_FROZEN in position.flags
    estimated = position.estimated_liquidation_distance_percent
    price, liquidation = venue.usd["BTC"], position.risk_liquidation_price_usd
    assert estimated == pytest.approx(100 * (price - liquidation) / price)
    assert estimated < position.liquidation_distance_percent - 0.5
    assert position.HasField("mark_frozen_since_time")
    assert alert.level == alerts_pb2.LEVEL_HIGH
    assert alert.reading_state == alerts_pb2.READING_STATE_STALE
    assert alert.evaluated_value == pytest.approx(position.liquidation_distance_percent)
    assert alert.estimated_value == pytest.approx(estimated)
    assert alert.mark_frozen_since_time == position.mark_frozen_since_time
    assert "by market price, ESTIMATED; the venue's mark is that of 2" in alert.why
    (told,) = await judged.messages(1)
    assert "ESTIMATED by market price" in told.subject
    assert "the venue's mark is that of 2" in told.body
    # The market comes back, the mark still stands: what was raised stays.
    await venue.look(monitor, times=4, moves_percent=+1.5)
    assert (await judged.alert()).level == alerts_pb2.LEVEL_HIGH
    # A restart of alerts forgets nothing of it.
    await judged.venue.servers.apps["alerts"].stop()
    await judged.start()
    assert (await judged.alert()).mark_frozen_since_time == alert.mark_frozen_since_time
    # It moves again: one mark alone lowers nothing, two do.
    await venue.follow(monitor, times=1)
    alert, position = await judged.alert(), await judged.held()
    assert positions_pb2.FLAG_MARK_FROZEN not in position.flags
    assert not position.HasField("estimated_liquidation_distance_percent")
    assert not alert.HasField("estimated_value")
    assert alert.level == alerts_pb2.LEVEL_HIGH
    await venue.follow(monitor, times=1)
    assert (await judged.alert()).level == alerts_pb2.LEVEL_NORMAL
    _, ended = await judged.messages(2)
    assert "RESOLVED" in ended.subject
    again = await judged.replayed(16)
    assert (again.differing_count, again.differing_message_count) == (0, 0)
    assert again.recording_count == 16


async def test_a_frozen_mark_lowers_no_level_that_stood_before(venue: Venue) -> None:
    monitor = await venue.start()
    judged = Judged(venue)
    await judged.start()
    await venue.follow(monitor, times=2)
    await judged.watch(nearer_percent=-0.1)
    await venue.follow(monitor, times=1)
    assert (await judged.alert()).level == alerts_pb2.LEVEL_HIGH
    # Far above the limit by the market, with the mark where it was.
    await venue.look(monitor, times=6, moves_percent=+1.0)
    alert = await judged.alert()
    assert alert.level == alerts_pb2.LEVEL_HIGH
    assert alert.estimated_value > alert.evaluated_value
    await judged.messages(1)
