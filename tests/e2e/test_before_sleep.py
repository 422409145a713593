"""Before sleep, asked of a whole system: calm, then with what would warn switched off."""

from __future__ import annotations

import random

import pytest
from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.cyclone.v1 import cyclone_pb2_grpc as rpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc

from services.cli.connection import System
from tests.e2e.conftest import OpenSystem
from tests.e2e.world import Held, base58_address, world

pytestmark = pytest.mark.slow

MARK = 150.0
_WARNING = (
    alerts_pb2.ALERT_TYPE_LIQUIDATION_DISTANCE,
    alerts_pb2.ALERT_TYPE_LIQUIDATION_PROBABILITY,
    alerts_pb2.ALERT_TYPE_TRAVEL_PERCENT,
    alerts_pb2.ALERT_TYPE_HEAT_INDEX,
)


async def asked(servers: System) -> dict[str, tuple[str, str]]:
    stub = await servers.stub("cyclone", rpc.SleepServiceStub)
    answer = await stub.CanISleep(pb.CanISleepRequest(), timeout=30)
    return {
        pb.SleepPart.Name(one.part).removeprefix("SLEEP_PART_"): (
            pb.SleepVerdict.Name(one.verdict).removeprefix("SLEEP_VERDICT_"),
            one.message,
        )
        for one in answer.reasons
    }


async def switch_off(servers: System, *types: int) -> None:
    stub = await servers.stub("alerts", alerts_pb2_grpc.ThresholdsServiceStub)
    listed = await stub.ListThresholds(alerts_pb2.ListThresholdsRequest(page_size=500))
    for one in listed.thresholds:
        if one.type in types:
            request = alerts_pb2.UpdateThresholdRequest(
                threshold=alerts_pb2.Threshold(id=one.id, enabled=False)
            )
            request.update_mask.paths.append("enabled")
            await stub.UpdateThreshold(request)


async def test_a_calm_book_is_judged_and_one_whose_limits_are_off_is_not(
    open_system: OpenSystem,
) -> None:
    chance = random.Random(3)
    async with world(3) as outside:
        outside.marks = {"BTC": 90_000.0, "ETH": 3_000.0, "SOL": MARK}
        outside.held = [
            Held(base58_address(chance), "SOL", "long", MARK, 1_000.0, 500.0, 76.35),
        ]
        outside.publish()
        async with open_system(outside.environment()) as servers:
            assert (await asked(servers))["POSITIONS"][0] == "AMBER", "nothing is watched yet"
            assert (await asked(servers))["ALERTS"][0] == "RED", "nothing was judged yet"
            wallets = await servers.stub("positions", positions_pb2_grpc.WalletsServiceStub)
            wallet = positions_pb2.Wallet(
                name="main",
                chain=positions_pb2.CHAIN_SOLANA,
                public_address=base58_address(chance),
            )
            await wallets.CreateWallet(positions_pb2.CreateWalletRequest(wallet=wallet))
            assert (await asked(servers))["POSITIONS"] == ("RED", "Not watched: main")
            cycles = await servers.stub("cyclone", rpc.CycloneServiceStub)
            async for _ in cycles.RunCycle(pb.RunCycleRequest(), timeout=60):
                pass
            calm = await asked(servers)
            for part in ("LIQUIDATION", "POSITIONS", "ALERTS", "HELD", "PRICES"):
                assert calm[part][0] == "GREEN", calm
            await switch_off(servers, alerts_pb2.ALERT_TYPE_LIQUIDATION_DISTANCE)
            assert (await asked(servers))["ALERTS"] == (
                "AMBER",
                "No limit judges the distance of SOL LONG in main",
            )
            await switch_off(servers, *_WARNING)
            assert (await asked(servers))["ALERTS"] == ("RED", "No limit judges: SOL LONG in main")
