"""Filters that name what is not there are refused: an empty list would say that nothing is wrong
with it.
"""

from __future__ import annotations

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2

from shared.errors import SonicError
from tests.contract.alerts.conftest import Servers


async def _reason(call: object) -> str:
    with pytest.raises(SonicError) as refused:
        await call  # type: ignore[misc]
    return refused.value.reason


async def test_a_position_or_an_alert_that_never_was_is_said(without_xcom: Servers) -> None:
    servers = without_xcom
    lists = servers.alerts.ListAlerts(pb.ListAlertsRequest(position_id="nope"))
    assert await _reason(lists) == "POSITION_NOT_FOUND"
    watch = servers.attention.WatchAlerts(pb.WatchAlertsRequest(position_id="nope"))
    assert await _reason(anext(aiter(watch))) == "POSITION_NOT_FOUND"
    for id in ("nope", "alert-99", "rule-99"):
        ledger = servers.ledger.ListLedger(pb.ListLedgerRequest(alert_id=id))
        assert await _reason(ledger) == "ALERT_NOT_FOUND"
        counted = servers.attention.GetStatistics(pb.GetStatisticsRequest(alert_id=id))
        assert await _reason(counted) == "ALERT_NOT_FOUND"


async def test_what_is_held_closed_or_was_there_once_is_an_empty_list(
    without_xcom: Servers,
) -> None:
    servers = without_xcom
    held = await servers.hold(110.0)
    # Nobody made alerts yet.
    assert not (await servers.alerts.ListAlerts(pb.ListAlertsRequest(position_id=held))).alerts
    await servers.create()
    heat = await servers.alert(pb.ALERT_TYPE_HEAT_INDEX, held)
    assert not (await servers.ledger.ListLedger(pb.ListLedgerRequest(alert_id=heat.id))).entries
    closed = positions_pb2.Position(id=held, status=positions_pb2.STATUS_CLOSED)
    await servers.positions.UpdatePosition(positions_pb2.UpdatePositionRequest(position=closed))
    await servers.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest())
    assert not (await servers.alerts.ListAlerts(pb.ListAlertsRequest(position_id=held))).alerts
    # The alert is gone, the record knows it.
    with pytest.raises(SonicError, match="ALERT_NOT_FOUND"):
        await servers.alerts.GetAlert(pb.GetAlertRequest(id=heat.id))
    (entry,) = (await servers.ledger.ListLedger(pb.ListLedgerRequest(alert_id=heat.id))).entries
    assert entry.reason == "DELETED"
    empty = await servers.ledger.ListLedger(
        pb.ListLedgerRequest(alert_id=heat.id, cycle_id="cycle-9")
    )
    assert not empty.entries
