"""What the services say in a bad cycle, with markup of a stranger in every text."""

from __future__ import annotations

from datetime import timedelta

from sonic.alerts.v1 import alerts_pb2
from sonic.hedges.v1 import hedges_pb2
from sonic.monitor.v1 import monitor_pb2
from sonic.positions.v1 import positions_pb2
from sonic.xcom.v1 import xcom_pb2

from shared.clock import SystemClock
from shared.codec import to_timestamp
from tests.fakes.peers import FakePeers, answers

NASTY = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'`&</td></style>javascript:"
LINK = "https://evil.example/steal.png"


def speak(peers: FakePeers) -> None:
    """Every service that a report asks answers with such texts."""
    now = to_timestamp(SystemClock().now())
    soon = to_timestamp(SystemClock().now() + timedelta(minutes=1))
    position = positions_pb2.Position(
        id="p-1",
        wallet=NASTY,
        venue="jupiter",
        asset="SOL",
        side=positions_pb2.SIDE_LONG,
        entry_price_usd=150.0,
        mark_price_usd=101.25,
        risk_liquidation_price_usd=101.5,
        size_usd=12_345.678,
        collateral_usd=1_000.0,
        pnl_usd=-1_999.5,
        travel_percent=-102.5,
        liquidation_distance_percent=-0.25,
        heat_index=100.0,
        status=positions_pb2.STATUS_STALE,
        flags=[positions_pb2.FLAG_MARK_STALE],
        mark_time=now,
        note=LINK,
    )
    unknown = positions_pb2.Position(id="p-2", wallet="w", venue="manual", asset="ETH")
    totals = positions_pb2.Totals(
        position_count=100_000,
        total_value_usd=987.5,
        absent_count={"liquidation_distance_percent": 1},
    )
    alert = alerts_pb2.Alert(
        id="a-1",
        level=alerts_pb2.LEVEL_HIGH,
        type=alerts_pb2.ALERT_TYPE_LIQUIDATION_DISTANCE,
        asset="SOL",
        side="LONG",
        wallet=NASTY,
        why=f"distance -0.25 % is below 2 % {NASTY} {LINK}",
        evaluated_value=-0.25,
        status=alerts_pb2.ALERT_STATUS_ACTIVE,
        notes=NASTY,
    )
    metric = alerts_pb2.MetricSummary(alert_count=300_000)
    entry = alerts_pb2.LedgerEntry(
        sequence=7,
        entry_time=now,
        alert_id="a-1",
        type=alerts_pb2.ALERT_TYPE_LIQUIDATION_DISTANCE,
        actor=NASTY,
        reason="RAISED",
        level_before=alerts_pb2.LEVEL_LOW,
        level_after=alerts_pb2.LEVEL_HIGH,
        value=-0.25,
        subject=NASTY,
        hash="ab12",
    )
    delivery = xcom_pb2.Delivery(
        id="dlv-1",
        channel="email",
        state=xcom_pb2.DELIVERY_STATE_DEAD,
        tries=8,
        last_error=NASTY,
    )
    message = xcom_pb2.Message(
        id="msg-1",
        level=xcom_pb2.LEVEL_HIGH,
        subject=NASTY,
        source="alerts",
        created_time=now,
        deliveries=[delivery],
    )
    run = monitor_pb2.Run(
        monitor=NASTY,
        status=monitor_pb2.RUN_STATUS_ERROR,
        error=NASTY,
        metadata_json='{"x": "<b>"}',
        started_time=now,
    )
    refused = positions_pb2.RefusedRow(
        id=1,
        refused_time=soon,
        wallet=NASTY,
        venue="jupiter",
        reason="NOT_FINITE",
        field=NASTY,
        masked_body='{"size": "NaN", "u": "' + LINK + '"}',
    )
    hedge = hedges_pb2.Hedge(
        id="h-1",
        wallet=NASTY,
        asset="SOL",
        net_delta_usd=-500.0,
        member_count=2,
        note=NASTY,
        stale=True,
    )
    peers.told |= {
        "positions.ListPositions": answers(
            positions_pb2.ListPositionsResponse(positions=[position, unknown])
        ),
        "positions.GetTotals": answers(totals),
        "positions.ListRefusedRows": answers(positions_pb2.ListRefusedRowsResponse(rows=[refused])),
        "alerts.ListAlerts": answers(alerts_pb2.ListAlertsResponse(alerts=[alert])),
        "alerts.GetSummary": answers(alerts_pb2.Summary(metrics=[metric])),
        "alerts.ListLedger": answers(alerts_pb2.ListLedgerResponse(entries=[entry])),
        "alerts.VerifyLedger": answers(
            alerts_pb2.VerifyLedgerResponse(intact=True, entry_count=7, head_hash="ab12")
        ),
        "monitor.ListRuns": answers(monitor_pb2.ListRunsResponse(runs=[run])),
        "xcom.ListMessages": answers(xcom_pb2.ListMessagesResponse(messages=[message])),
        "hedges.ListHedges": answers(hedges_pb2.ListHedgesResponse(hedges=[hedge])),
    }
