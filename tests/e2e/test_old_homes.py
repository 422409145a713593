"""Homes that earlier versions made open, keep their rows, cycle, and their ledger verifies.

Each fixture is the database of a home as that version left it after three cycles of the demo.
"""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path

import asyncpg
import pytest
from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.cyclone.v1 import cyclone_pb2, cyclone_pb2_grpc

from services.cli import system
from services.cli.connection import connected
from services.cli.plan import SERVICES, Plan
from services.cyclone.domain.cycle import Step
from shared.database import migrations, roles
from shared.database.address import as_role, with_database
from shared.postgres import EmbeddedPostgres
from tests.fakes.databases import found, password

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[2]
HOMES = sorted((ROOT / "tests/fixtures/homes").glob("*.sql.gz"))
# Of the homes of the fixtures; it guards nothing.
LEDGER_KEY = "0" * 64
KEPT = {
    "rows of the ledger": "select sequence, encode(hash, 'hex') from alerts.ledger order by 1",
    "alerts": "select alert_key, kind, subject_key from alerts.alert order by 1",
    "thresholds": "select id, low, medium, high from alerts.threshold order by 1",
    "positions": "select id, size_usd, entry_price_usd from positions.position order by 1",
    "wallets": "select name from positions.wallet order by 1",
    "history": "select asset, price_time, price_usd from price.price_history order by 1, 2",
    "messages": "select id, subject from xcom.message order by 1",
    "deliveries": "select id, channel from xcom.delivery order by 1",
    "runs": "select id, monitor from monitor.run order by 1",
    "hedges": "select count(*) from hedges.hedge",
    "cycles": "select id, state from cyclone.cycle order by 1",
}
# Rows of their own once, part of the row of their cycle now.
STEPS_ONCE = "select cycle_id, to_jsonb(step) from cyclone.step order by cycle_id, place"
STEPS_NOW = """
select id, step from cyclone.cycle,
    jsonb_array_elements(steps) with ordinality as listed (step, place) order by id, place
"""
SHOWN = [field.name for field in fields(Step)]


@pytest.fixture(params=HOMES, ids=lambda path: path.name.removesuffix(".sql.gz"))
async def home_url(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres
) -> AsyncIterator[str]:
    """The database of an old home, as its version left it."""
    name = f"old_{uuid.uuid4().hex[:8]}"
    administrator = await asyncpg.connect(postgres.url)
    await administrator.execute(f"create database {name}")
    url = with_database(postgres.url, name)
    services = tuple(found(ROOT / "services"))
    everybody = [role for service in services for role in (service, roles.owner(service))]
    await roles.initialise(
        url, services, {role: password(role) for role in everybody}, scram_rounds=1
    )
    connection = await asyncpg.connect(url)
    await connection.execute(gzip.decompress(request.param.read_bytes()).decode())
    await connection.close()
    yield url
    await administrator.execute(f"drop database {name} with (force)")
    await administrator.close()


async def rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    connection = await asyncpg.connect(url)
    try:
        return {
            what: [tuple(row) for row in await connection.fetch(query)]
            for what, query in KEPT.items()
        }
    finally:
        await connection.close()


async def steps(url: str, query: str) -> list[tuple[object, ...]]:
    """Of all cycles, as people are shown them."""
    connection = await asyncpg.connect(url)
    try:
        found = [(row[0], json.loads(row[1])) for row in await connection.fetch(query)]
    finally:
        await connection.close()
    return [(id, {name: step[name] for name in SHOWN}) for id, step in found]


async def test_a_home_of_an_earlier_version_opens_and_keeps_what_it_holds(
    home_url: str, tmp_path: Path
) -> None:
    before, steps_before = await rows(home_url), await steps(home_url, STEPS_ONCE)
    assert before["rows of the ledger"] and before["messages"] and before["positions"]
    await migrations.upgrade_all(home_url, found(ROOT / "services"))
    kept, known = await rows(home_url), {row[0] for row in before["thresholds"]}
    # A later release brings limits of types that this one did not know.
    kept["thresholds"] = [row for row in kept["thresholds"] if row[0] in known]
    assert kept == before
    assert await steps(home_url, STEPS_NOW) == steps_before != []
    urls = {name: as_role(home_url, name, password(name)) for name in SERVICES}
    serving = system.in_one_process(
        Plan(sonic_home=tmp_path),
        urls,
        lambda _: None,
        listens=system.free_ports(),
        extra={"SONIC_SCHEDULE": "0", "ALERTS_LEDGER_KEY": LEDGER_KEY},
    )
    async with serving as addresses, connected(addresses) as running:
        cyclone = await running.stub("cyclone", cyclone_pb2_grpc.CycloneServiceStub)
        # The steps of a longer interval may take longer: the machine may be a busy one.
        schedule = cyclone_pb2.Schedule()
        schedule.interval.FromSeconds(200)
        mask = {"paths": ["interval"]}
        await cyclone.UpdateSchedule(
            cyclone_pb2.UpdateScheduleRequest(schedule=schedule, update_mask=mask)
        )
        # What a busy machine does not hand over in the first cycle goes out with the next.
        for _ in range(3):
            last = cyclone_pb2.Cycle()
            async for progress in cyclone.RunCycle(cyclone_pb2.RunCycleRequest(), timeout=150):
                last = progress.cycle
            if last.state == cyclone_pb2.CYCLE_STATE_SUCCEEDED:
                break
        assert last.state == cyclone_pb2.CYCLE_STATE_SUCCEEDED, last.message
        ledger = await running.stub("alerts", alerts_pb2_grpc.LedgerServiceStub)
        verified = await ledger.VerifyLedger(alerts_pb2.VerifyLedgerRequest())
    after = (await rows(home_url))["rows of the ledger"]
    assert after[: len(before["rows of the ledger"])] == before["rows of the ledger"]
    assert verified.intact, verified.problem
