"""The four positions of the fixtures, in both shapes: one HIGH, one webhook, one mail, and never
again.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.cli.connection import System
from tests.e2e.conftest import OpenSystem
from tests.e2e.test_five_cycles import alerts, cycle, state, until
from tests.e2e.world import WEBHOOK_SECRET, world

pytestmark = pytest.mark.slow

FIXTURES = Path(__file__).parents[1] / "fixtures"
GOLDEN = json.loads((FIXTURES / "golden" / "canonical_positions.json").read_text())
WALLET = "HskfdWhZTfsEL2he8iqJmXmbHdj5vr5xBooRnUfQs5PY"
MARKS = {"BTC": 97_412.50, "ETH": 3_381.20, "SOL": 182.40}


async def only_travel_is_judged(servers: System) -> None:
    stub = await servers.stub("alerts", alerts_pb2_grpc.ThresholdsServiceStub)
    listed = await stub.ListThresholds(alerts_pb2.ListThresholdsRequest(page_size=500))
    for threshold in listed.thresholds:
        if threshold.type != alerts_pb2.ALERT_TYPE_TRAVEL_PERCENT:
            changed = alerts_pb2.Threshold(id=threshold.id, enabled=False, etag=threshold.etag)
            mask = FieldMask(paths=["enabled"])
            await stub.UpdateThreshold(
                alerts_pb2.UpdateThresholdRequest(threshold=changed, update_mask=mask)
            )


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_the_sol_long_is_told_once_and_never_again(
    open_system: OpenSystem, version: str
) -> None:
    async with world(seed=0) as outside:
        outside.marks = MARKS
        outside.publish()
        body = json.loads((FIXTURES / f"jupiter_perps_positions_{version}.json").read_text())
        outside.providers.answer(f"GET /jup/{version}/positions", json=body)
        settings = outside.environment() | {"JUPITER_API_VERSION": version}
        async with open_system(settings) as servers:
            await only_travel_is_judged(servers)
            wallets = await servers.stub("positions", positions_pb2_grpc.WalletsServiceStub)
            wallet = positions_pb2.Wallet(
                name="main", chain=positions_pb2.CHAIN_SOLANA, public_address=WALLET, active=True
            )
            await wallets.CreateWallet(positions_pb2.CreateWalletRequest(wallet=wallet))
            first = await cycle(servers)
            assert state(first) == "SUCCEEDED", first
            await the_stored_positions_are_the_golden_ones(
                servers, within=0.01 if version == "v1" else 1e-6
            )
            found = await alerts(servers)
            levels = {
                one.asset: alerts_pb2.Level.Name(one.level)
                for (kind, _), one in found.items()
                if kind == "TRAVEL_PERCENT" and one.side == "LONG"
            }
            assert levels == {"BTC": "LEVEL_NORMAL", "SOL": "LEVEL_HIGH"}
            # The first look at the wallet is told too, once, by mail.
            await until(lambda: len(outside.mailbox.mails) > 1 and bool(outside.heard()))
            assert state(await cycle(servers)) == "SUCCEEDED"
            await nothing_waits(servers)
            assert len(outside.heard()) == 1
            by_level = {
                str(one.message["Subject"]).split(":")[0]: one.text for one in outside.mailbox.mails
            }
            assert by_level.keys() == {"HIGH", "FIRST LOOK"}
            assert "watched from now on" in by_level["FIRST LOOK"]
            assert "somebody else" not in by_level["FIRST LOOK"]
            text = by_level["HIGH"]
            for words in ("SOL", "long", "182.4", "177.7", "2.5", "What to do"):
                assert words in text
            assert WALLET not in text + json.dumps(outside.heard())
            assert (
                outside.webhook.asked("POST /hook")[0]
                .headers["x-sonic-signature"]
                .startswith("v1=")
            )
            assert WEBHOOK_SECRET not in text + json.dumps(outside.heard())


async def the_stored_positions_are_the_golden_ones(servers: System, within: float) -> None:
    stub = await servers.stub("positions", positions_pb2_grpc.PositionsServiceStub)
    listed = await stub.ListPositions(positions_pb2.ListPositionsRequest())
    stored = {one.id: one for one in listed.positions}
    assert set(stored) == {golden["position_id"] for golden in GOLDEN}
    for golden in GOLDEN:
        one = stored[golden["position_id"]]
        assert one.asset == golden["asset"]
        assert positions_pb2.Side.Name(one.side) == f"SIDE_{golden['side'].upper()}"
        for field, name in (
            ("size_usd", "size_usd"),
            ("collateral_usd", "collateral_usd"),
            ("entry_price_usd", "entry"),
            ("mark_price_usd", "mark"),
            ("liquidation_price_usd", "liquidation"),
            ("leverage_ratio", "leverage"),
            ("pnl_after_fees_usd", "pnl_after_fees_usd"),
            ("venue_value_usd", "value_usd"),
        ):
            assert getattr(one, field) == pytest.approx(float(golden[name]), abs=within), field
        assert one.travel_percent == pytest.approx(float(golden["travel_percent"]), abs=0.06)
        assert one.liquidation_distance_percent == pytest.approx(
            float(golden["distance_to_liquidation_pct"]), abs=0.006
        )


async def nothing_waits(servers: System) -> None:
    stub = await servers.stub("xcom", xcom_pb2_grpc.XComServiceStub)
    listed = await stub.ListDeliveries(
        xcom_pb2.ListDeliveriesRequest(state=xcom_pb2.DELIVERY_STATE_QUEUED, page_size=10)
    )
    assert not listed.deliveries
