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


async def test_a_sum_that_an_old_mark_could_keep_up_falls_by_nothing_that_the_cycle_says(
    servers: Servers,
) -> None:
    large = {"size_usd": 60_000.0, "collateral_usd": 30_000.0}
    moving, old = await servers.hold(SAFE, **large), await servers.hold(SAFE, size_usd=2_000.0)
    await servers.create()
    await servers.evaluate()
    kinds = (pb.ALERT_TYPE_TOTAL_VALUE, pb.ALERT_TYPE_TOTAL_SIZE)

    async def levels() -> list[tuple[int, int]]:
        found = [await servers.alert(kind) for kind in kinds]
        return [(alert.level, alert.reading_state) for alert in found]

    medium = (pb.LEVEL_MEDIUM, pb.READING_STATE_FRESH)
    assert await levels() == [medium, medium]

    servers.clock.advance(600)  # the other mark is old now
    small = {"size_usd": 1_000.0, "collateral_usd": 100.0, "mark_price_usd": SAFE}
    position = positions_pb.Position(id=moving, **small)
    await servers.positions.UpdatePosition(positions_pb.UpdatePositionRequest(position=position))
    await servers.positions.EnrichPositions(positions_pb.EnrichPositionsRequest())
    totals = pb.TotalsReading(total_size_usd=3_000.0, total_value_usd=340.0, position_count=2)

    async def evaluate() -> list[tuple[int, int]]:
        totals.observed_time.FromDatetime(servers.clock.now())
        await servers.alerts.EvaluateAlerts(pb.EvaluateAlertsRequest(totals=totals))
        return await levels()

    stale = (pb.LEVEL_MEDIUM, pb.READING_STATE_STALE)
    # At the highest price that is taken the other is worth 38,000 USD more; its size stays.
    assert await evaluate() == [stale, medium]
    for _ in range(2):
        await servers.mark(moving, SAFE)
        found = await evaluate()
    assert found == [stale, (pb.LEVEL_NORMAL, pb.READING_STATE_FRESH)]

    for level in (pb.LEVEL_MEDIUM, pb.LEVEL_NORMAL):
        await servers.mark(old, SAFE)
        await servers.mark(moving, SAFE)
        assert (await evaluate())[0] == (level, pb.READING_STATE_FRESH)


async def test_a_second_evaluation_of_the_same_market_tells_nothing(servers: Servers) -> None:
    await servers.hold(HIGH_MARK)
    await servers.create()
    assert (await servers.evaluate()).raised_count > 0
    waiting = (await servers.alerts.GetSummary(pb.GetSummaryRequest())).waiting_count
    again = await servers.evaluate()
    assert (again.raised_count, again.lowered_count, len(again.transitions)) == (0, 0, 0)
    assert (await servers.alerts.GetSummary(pb.GetSummaryRequest())).waiting_count == waiting > 0
