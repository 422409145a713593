"""A venue's mark that stands still, through real servers: its levels hold and rise by the market
price, told once, ended once by real marks; and judged again bit for bit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from tests.contract.monitor.conftest import Servers
from tests.contract.monitor.played_venue import Venue
from tests.fakes.http_provider import HttpProvider
from tests.fakes.peers import FakePeers

pytestmark = pytest.mark.slow

ACCOUNT_ID = "dydx-1-subaccount-0"
DISTANCE, EXPOSURE = alerts_pb2.ALERT_TYPE_ACCOUNT_DISTANCE, alerts_pb2.ALERT_TYPE_WALLET_EXPOSURE
HEAT, TRAVEL = alerts_pb2.ALERT_TYPE_TOTAL_HEAT, alerts_pb2.ALERT_TYPE_AVG_TRAVEL_PERCENT
REACHED = {HEAT: 0.1, TRAVEL: 1_000.0, DISTANCE: 99.0, EXPOSURE: 0.001}
FAR_AWAY = {HEAT: 99.0, TRAVEL: -99.0, DISTANCE: 0.5, EXPOSURE: 90.0}


class Judged:
    """Alerts beside the venue: judged in every cycle, as cyclone does it."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.whole: dict[int, str] = {}
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

    async def judge_whole(self, trigger: Mapping[int, float]) -> None:
        """Alerts of portfolio and account with these limits by their types; edited when they are
        there.
        """
        for kind, limit in trigger.items():
            is_below = kind in (DISTANCE, TRAVEL)
            alert = alerts_pb2.Alert(
                type=kind,  # type: ignore[arg-type]
                condition=alerts_pb2.CONDITION_BELOW if is_below else alerts_pb2.CONDITION_ABOVE,
                account_id=ACCOUNT_ID if kind in (DISTANCE, EXPOSURE) else "",
                trigger_value=limit,
            )
            if kind not in self.whole:
                request = alerts_pb2.CreateAlertRequest(alert=alert)
                self.whole[kind] = (await self.alerts.CreateAlert(request)).id
                continue
            changed = alerts_pb2.UpdateAlertRequest(
                alert=alerts_pb2.Alert(id=self.whole[kind], trigger_value=limit),
                update_mask=FieldMask(paths=["trigger_value"]),
            )
            await self.alerts.UpdateAlert(changed)

    async def levels_of_whole(self) -> list[str]:
        found = []
        for id in self.whole.values():
            alert = await self.alerts.GetAlert(alerts_pb2.GetAlertRequest(id=id))
            level = alerts_pb2.Level.Name(alert.level).removeprefix("LEVEL_")
            is_fresh = alert.reading_state == alerts_pb2.READING_STATE_FRESH
            found.append(f"{level}{'' if is_fresh else ' held'}")
        return found

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


async def test_dust_in_a_market_that_is_dead_holds_neither_its_account_nor_the_portfolio(
    venue: Venue,
) -> None:
    """A short of 3 USD, whose mark never moves again, beside some thousands."""
    venue.hold("SOL")
    monitor = await venue.start()
    judged = Judged(venue)
    await judged.start()
    await venue.follow(monitor, times=2)
    await judged.judge_whole(REACHED)
    dead = venue.marks["SOL"]
    for _ in range(8):
        venue.marks = {name: usd * 1.0001 for name, usd in venue.usd.items()} | {"SOL": dead}
        await venue.look(monitor, moves_percent=0.3)
    asked = positions_pb2.ListPositionsRequest(asset="SOL")
    (dust,) = (await judged.positions.ListPositions(asked)).positions
    assert positions_pb2.FLAG_MARK_FROZEN in dust.flags
    assert await judged.levels_of_whole() == ["HIGH"] * 4
    await judged.judge_whole(FAR_AWAY)
    for _ in range(2):
        venue.marks = {name: usd * 1.0001 for name, usd in venue.usd.items()} | {"SOL": dead}
        await venue.look(monitor, moves_percent=0.3)
    assert await judged.levels_of_whole() == ["NORMAL"] * 4
    again = await judged.replayed(12)
    assert (again.differing_count, again.recording_count) == (0, 12)


async def test_what_is_most_of_an_account_holds_it_and_the_portfolio(venue: Venue) -> None:
    monitor = await venue.start()
    judged = Judged(venue)
    await judged.start()
    await venue.follow(monitor, times=2)
    await judged.judge_whole(REACHED)
    await venue.look(monitor, times=8, moves_percent=-0.3)
    await judged.judge_whole(FAR_AWAY)
    await venue.look(monitor, times=3, moves_percent=-0.3)
    held = await judged.levels_of_whole()
    assert held == ["HIGH held"] * 4
