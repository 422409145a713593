"""Bytes of every service, measured every hour, and what the command line makes of them."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from sonic.monitor.v1 import monitor_pb2 as pb

from services.cli.connection import System
from services.cli.storage import Storage, storage
from tests.contract.monitor.conftest import QUIET, Servers, runs_of
from tests.fakes.databases import Databases


async def _told(servers: Servers) -> Storage | None:
    async with AsyncExitStack() as stack:
        found = System({"monitor": servers.apps["monitor"].address}, stack)
        return await storage(found, servers.clock.now())


async def test_what_every_service_keeps_is_measured_without_reading_it(
    servers: Servers, databases: Databases
) -> None:
    stub = await servers.monitor(**QUIET)
    run = await stub.RunMonitor(pb.RunMonitorRequest(name="storage", force=True))
    assert run.status == pb.RUN_STATUS_SUCCESS
    found = json.loads(run.metadata_json)["bytes"]
    assert set(found) == set(databases.services)
    assert min(found.values()) > 0


async def test_a_month_is_unknown_for_a_day_and_then_at_the_pace_of_the_last_days(
    servers: Servers,
) -> None:
    stub = await servers.monitor(**QUIET, disk_mon_enabled=False, latency_mon_enabled=False)

    async def measured() -> list[pb.Run]:
        return await runs_of(stub, "storage")

    await servers.push(measured)
    young = await _told(servers)
    assert young is not None
    assert young.month_by_service is None
    # What a day brings: a column of a monitor's own ledger, wide enough to be seen.
    await servers.execute(
        "insert into run"
        " (monitor, started_time, duration_seconds, status, metadata, error, cycle_id)"
        " select 'x', now(), 0, 1, '{}', repeat(md5(n::text), 40), ''"
        " from generate_series(1, 2000) n"
    )
    servers.clock.advance(timedelta(days=1, hours=1).total_seconds())

    async def again() -> bool:
        return len(await measured()) > 1

    await servers.push(again)
    known = await _told(servers)
    assert known is not None
    assert known.month_by_service is not None
    grown = known.by_service["monitor"] - young.by_service["monitor"]
    assert grown > 1_000_000
    added = known.month_by_service["monitor"] - known.by_service["monitor"]
    assert added == pytest.approx(grown * 30 * 24 / 25, rel=0.01)
    assert known.month_by_service["alerts"] == known.by_service["alerts"]
