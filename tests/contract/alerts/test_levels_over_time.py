"""Levels of real positions over time: up at once, held when in doubt, down after two fresh
readings.
"""

from __future__ import annotations

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2 as positions_pb

from tests.contract.alerts.conftest import Servers


@pytest.fixture
def servers(without_xcom: Servers) -> Servers:
    return without_xcom


TRAVEL = pb.ALERT_TYPE_TRAVEL_PERCENT
# Entry 100, liquidation 80: travel is 5 % a dollar; HIGH from 90, and left at 90.5.
SAFE, HIGH_MARK = 101.0, 89.0


async def test_a_position_gets_its_alerts_once(servers: Servers) -> None:
    await servers.hold(SAFE)
    first, second = await servers.create(), await servers.create()
    # Heat, travel, distance, profit and seven of the portfolio; no probability without volatility.
    assert (first.created_count, first.alert_count) == (11, 11)
    assert (second.created_count, second.alert_count) == (0, 11)


async def test_danger_rises_at_once_holds_when_stale_and_falls_after_two_fresh_readings(
    servers: Servers,
) -> None:
    id = await servers.hold(SAFE)
    await servers.create()
    await servers.evaluate()
    assert (await servers.alert(TRAVEL, id)).level == pb.LEVEL_NORMAL

    await servers.mark(id, HIGH_MARK)
    answer = await servers.evaluate()
    alert = await servers.alert(TRAVEL, id)
    assert (alert.level, alert.previous_level) == (pb.LEVEL_HIGH, pb.LEVEL_NORMAL)
    assert alert.evaluated_value == pytest.approx(-55)
    assert alert.flip_value == pytest.approx(-47.5)
    assert "HIGH until travel >= -47.5 %" in alert.why
    assert answer.transitions[0].level_after == pb.LEVEL_HIGH
    assert answer.transitions[0].told

    await servers.mark(id, SAFE)
    servers.clock.advance(600)  # the mark is old now
    await servers.positions.EnrichPositions(positions_pb.EnrichPositionsRequest())
    for _ in range(3):
        await servers.evaluate()
        alert = await servers.alert(TRAVEL, id)
        assert alert.level == pb.LEVEL_HIGH
        assert alert.reading_state == pb.READING_STATE_STALE

    await servers.mark(id, SAFE)
    await servers.evaluate()
    assert (await servers.alert(TRAVEL, id)).level == pb.LEVEL_HIGH
    for _ in range(2):
        await servers.evaluate()  # the same observation again
        alert = await servers.alert(TRAVEL, id)
        assert (alert.level, alert.reading_state) == (pb.LEVEL_HIGH, pb.READING_STATE_STALE)
    await servers.mark(id, SAFE)  # the same mark entered again is a new observation
    await servers.evaluate()
    assert (await servers.alert(TRAVEL, id)).level == pb.LEVEL_NORMAL


async def test_a_sum_over_an_old_mark_lowers_nothing_whatever_the_cycle_says(
    servers: Servers,
) -> None:
    moving, old = await servers.hold(SAFE, size_usd=60_000.0), await servers.hold(SAFE)
    await servers.create()
    await servers.evaluate()
    assert (await servers.alert(pb.ALERT_TYPE_TOTAL_SIZE)).level == pb.LEVEL_MEDIUM

    servers.clock.advance(600)  # the other mark is old now
    position = positions_pb.Position(id=moving, size_usd=1_000.0, mark_price_usd=SAFE)
    await servers.positions.UpdatePosition(positions_pb.UpdatePositionRequest(position=position))
    await servers.positions.EnrichPositions(positions_pb.EnrichPositionsRequest())
    totals = pb.TotalsReading(total_size_usd=2_000.0, position_count=2)
    totals.observed_time.FromDatetime(servers.clock.now())
    for _ in range(3):
        await servers.alerts.EvaluateAlerts(pb.EvaluateAlertsRequest(totals=totals))
        alert = await servers.alert(pb.ALERT_TYPE_TOTAL_SIZE)
        assert (alert.level, alert.reading_state) == (pb.LEVEL_MEDIUM, pb.READING_STATE_STALE)

    await servers.mark(old, SAFE)
    for level in (pb.LEVEL_MEDIUM, pb.LEVEL_NORMAL):
        servers.clock.advance(10)
        totals.observed_time.FromDatetime(servers.clock.now())
        await servers.alerts.EvaluateAlerts(pb.EvaluateAlertsRequest(totals=totals))
        assert (await servers.alert(pb.ALERT_TYPE_TOTAL_SIZE)).level == level


async def test_a_second_evaluation_of_the_same_market_tells_nothing(servers: Servers) -> None:
    await servers.hold(HIGH_MARK)
    await servers.create()
    assert (await servers.evaluate()).raised_count > 0
    waiting = (await servers.alerts.GetSummary(pb.GetSummaryRequest())).waiting_count
    again = await servers.evaluate()
    assert (again.raised_count, again.lowered_count, len(again.transitions)) == (0, 0, 0)
    assert (await servers.alerts.GetSummary(pb.GetSummaryRequest())).waiting_count == waiting > 0
