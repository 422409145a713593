"""Filters that name what is not there are refused: an empty list would say that nothing is wrong
with it.
"""

from __future__ import annotations

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2

from shared.errors import SonicError
from tests.contract.alerts.conftest import House


async def _reason(call: object) -> str:
    with pytest.raises(SonicError) as refused:
        await call  # type: ignore[misc]
    return refused.value.reason


async def test_a_position_or_an_alert_that_never_was_is_said(deaf_house: House) -> None:
    house = deaf_house
    lists = house.alerts.ListAlerts(pb.ListAlertsRequest(position_id="nope"))
    assert await _reason(lists) == "POSITION_NOT_FOUND"
    watch = house.attention.WatchAlerts(pb.WatchAlertsRequest(position_id="nope"))
    assert await _reason(anext(aiter(watch))) == "POSITION_NOT_FOUND"
    for id in ("nope", "alert-99", "rule-99"):
        ledger = house.ledger.ListLedger(pb.ListLedgerRequest(alert_id=id))
        assert await _reason(ledger) == "ALERT_NOT_FOUND"
        counted = house.attention.GetStatistics(pb.GetStatisticsRequest(alert_id=id))
        assert await _reason(counted) == "ALERT_NOT_FOUND"


async def test_what_is_held_closed_or_was_there_once_is_an_empty_list(deaf_house: House) -> None:
    house = deaf_house
    held = await house.hold(110.0)
    # Nobody made alerts yet.
    assert not (await house.alerts.ListAlerts(pb.ListAlertsRequest(position_id=held))).alerts
    await house.create()
    heat = await house.alert(pb.ALERT_TYPE_HEAT_INDEX, held)
    assert not (await house.ledger.ListLedger(pb.ListLedgerRequest(alert_id=heat.id))).entries
    closed = positions_pb2.Position(id=held, status=positions_pb2.STATUS_CLOSED)
    await house.positions.UpdatePosition(positions_pb2.UpdatePositionRequest(position=closed))
    await house.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest())
    assert not (await house.alerts.ListAlerts(pb.ListAlertsRequest(position_id=held))).alerts
    # The alert is gone, the record knows it.
    with pytest.raises(SonicError, match="ALERT_NOT_FOUND"):
        await house.alerts.GetAlert(pb.GetAlertRequest(id=heat.id))
    (entry,) = (await house.ledger.ListLedger(pb.ListLedgerRequest(alert_id=heat.id))).entries
    assert entry.reason == "DELETED"
    empty = await house.ledger.ListLedger(
        pb.ListLedgerRequest(alert_id=heat.id, cycle_id="cycle-9")
    )
    assert not empty.entries
