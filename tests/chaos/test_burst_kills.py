"""A crash of thousands of positions, and a server killed while it is told: each change once."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from pathlib import Path

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.cli.certificates import operators
from services.cli.connection import System
from shared.errors import SonicError
from tests.bench import cycles
from tests.bench.judging import ALONE
from tests.chaos.conftest import Up, system_of, up
from tests.chaos.test_kills import until_serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
COUNT = 4_000
DISTANCE = pb.ALERT_TYPE_LIQUIDATION_DISTANCE
# From the call of the evaluation on: while it judges, while it commits, while it is handed over.
DELAYS_SECONDS = (0.02, 0.06, 0.12, 0.2, 0.3)


@pytest.mark.parametrize("victim", ["alerts", "xcom"])
async def test_each_change_of_a_burst_is_told_once_whoever_is_killed_and_when(
    home: Path, victim: str
) -> None:
    async with up(home, {}) as running:
        await cycles.fill(running.addresses, COUNT, tls=operators(home / "tls"))
        async with system_of(running) as servers:
            await _only_distances(servers, 0.01)
            for delay_seconds in DELAYS_SECONDS:
                await _only_distances(servers, 0.01)
                await cycles.one(servers, ALONE)
                await _only_distances(servers, 99.0)
                raising = asyncio.create_task(_evaluated(servers))
                await asyncio.sleep(delay_seconds)
                running.kill(victim, signal.SIGKILL)
                await raising
                await until_serving(running, victim)
                await _evaluated(servers)
                await _all_handed_over(running, servers)
                assert await _told(servers) == await _raised(servers)
                await _forget(servers)


async def _only_distances(servers: System, percent: float) -> None:
    """HIGH at this distance, and nothing else is judged."""
    stub = await servers.stub("alerts", rpc.ThresholdsServiceStub)
    listed = await stub.ListThresholds(pb.ListThresholdsRequest(page_size=500))
    for known in listed.thresholds:
        if known.type != DISTANCE and known.enabled:
            off = pb.UpdateThresholdRequest(threshold=pb.Threshold(id=known.id, enabled=False))
            off.update_mask.paths.append("enabled")
            await stub.UpdateThreshold(off)
    threshold = pb.Threshold(
        type=DISTANCE, condition=pb.CONDITION_BELOW, alert_class=pb.ALERT_CLASS_POSITION,
        enabled=True, low=percent, medium=percent, high=percent,
    )  # fmt: skip
    await stub.UpdateThreshold(pb.UpdateThresholdRequest(threshold=threshold, allow_missing=True))


async def _evaluated(servers: System) -> None:
    """An evaluation that may be cut off."""
    stub = await servers.stub("alerts", rpc.AlertsServiceStub)
    try:
        await stub.EvaluateAlerts(pb.EvaluateAlertsRequest(), timeout=30)
    except SonicError:
        return


async def _all_handed_over(running: Up, servers: System) -> None:
    stub = await servers.stub("alerts", rpc.AlertsServiceStub)
    async with asyncio.timeout(60):
        while True:
            try:
                flushed = await stub.FlushOutbox(pb.FlushOutboxRequest(), timeout=10)
                if not flushed.waiting_count:
                    return
            except SonicError:
                await until_serving(running, "xcom")
            await asyncio.sleep(0.1)


async def _told(servers: System) -> Counter[str]:
    """Incidents that messages told of, alone or in a digest."""
    xcom = await servers.stub("xcom", xcom_pb2_grpc.XComServiceStub)
    request = xcom_pb2.ListMessagesRequest(page_size=500, source="alerts")
    told = Counter[str]()
    for message in (await xcom.ListMessages(request)).messages:
        if digest_id := message.facts.get("digest_id"):
            told.update(await _incidents(servers, digest_id=digest_id))
        else:
            told[message.facts["incident_id"]] += 1
    return told


async def _raised(servers: System) -> Counter[str]:
    """Incidents of which the ledger says that they began with alerts that are there."""
    stub = await servers.stub("alerts", rpc.AlertsServiceStub)
    request, found = pb.ListAlertsRequest(page_size=500, min_level=pb.LEVEL_HIGH), Counter[str]()
    while True:
        page = await stub.ListAlerts(request)
        found.update(one.incident_id for one in page.alerts)
        if not page.next_page_token:
            assert found.total() > 100
            return found
        request.page_token = page.next_page_token


async def _incidents(servers: System, digest_id: str) -> list[str]:
    stub = await servers.stub("alerts", rpc.LedgerServiceStub)
    request, found = pb.ListLedgerRequest(page_size=500, digest_id=digest_id), []
    while True:
        page = await stub.ListLedger(request)
        found += [json.loads(one.inputs_json)["incident_id"] for one in page.entries]
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def _forget(servers: System) -> None:
    """No alert and no message is left."""
    alerts = await servers.stub("alerts", rpc.AlertsServiceStub)
    await alerts.ClearData(pb.ClearDataRequest(confirm="clear"), timeout=60)
    xcom = await servers.stub("xcom", xcom_pb2_grpc.XComServiceStub)
    async with asyncio.timeout(60):
        while (await xcom.ListMessages(xcom_pb2.ListMessagesRequest(source="alerts"))).messages:
            await xcom.ClearData(xcom_pb2.ClearDataRequest(confirm="clear"), timeout=60)
            await asyncio.sleep(0.1)
