"""`sonic report` over a system that runs: text, one file, JSON, the newest or any cycle."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sonic.cyclone.v1 import cyclone_pb2, cyclone_pb2_grpc
from typer.testing import CliRunner

from services.cli import system
from services.cli.assembly import assembled
from services.cli.connection import System, connected
from services.cli.plan import SERVICES, Plan
from services.gateway import server as gateway
from shared import log
from tests.contract.gateway.conftest import client, config
from tests.fakes.databases import Databases

Sonic = Callable[..., Any]


@pytest.fixture
async def found(databases: Databases, tmp_path: Path) -> AsyncIterator[System]:
    log.configure("sonic", "CRITICAL", json=False)
    async with AsyncExitStack() as stack:
        addresses = await stack.enter_async_context(
            system.in_one_process(
                Plan(sonic_home=tmp_path),
                {name: databases.url(name) for name in SERVICES},
                lambda _: None,
                listens=system.free_ports(),
                extra={"SONIC_SCHEDULE": "0"},
            )
        )
        yield await stack.enter_async_context(connected(addresses))


async def _cycle(found: System) -> cyclone_pb2.Cycle:
    stub = await found.stub("cyclone", cyclone_pb2_grpc.CycloneServiceStub)
    last = cyclone_pb2.Cycle()
    async for progress in stub.RunCycle(cyclone_pb2.RunCycleRequest(), timeout=60):
        last = progress.cycle
    return last


@pytest.fixture
def sonic(found: System, monkeypatch: pytest.MonkeyPatch) -> Sonic:
    """Runs a command against the system of the test."""
    for module in ("connection", "report"):
        monkeypatch.setattr(
            f"services.cli.{module}.connected", lambda *_: connected(found.addresses)
        )

    async def run(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, assembled(words[0]), list(words))

    return run


@pytest.mark.slow
async def test_the_report_is_text_json_and_a_file_of_the_newest_cycle(
    found: System, sonic: Sonic, tmp_path: Path
) -> None:
    first, second = await _cycle(found), await _cycle(found)
    plain = await sonic("report")
    assert plain.exit_code == 0, plain.output
    assert "Since the cycle before" in plain.output
    told = json.loads((await sonic("report", "--json")).stdout)
    assert told["cycle_id"] == second.id
    # Of a system that runs every part is there.
    unread = [one for one in told["sections"] if one["basis"] == "REPORT_BASIS_NOT_READ"]
    assert not unread
    by_name = {one["name"]: one for one in told["sections"]}
    assert by_name["totals"]["basis"] == "REPORT_BASIS_CYCLE"
    assert by_name["positions"]["rows"][0]["liquidation_distance_percent"] is not None
    assert by_name["chain"]["rows"][0]["verdict"] == "INTACT"
    assert by_name["monitors"]["rows"]
    assert {"name": "total value", "unit": "usd"}.items() <= by_name["totals"]["rows"][0].items()
    file = tmp_path / "report.html"
    written = await sonic("cycles", "report", first.id, "--output", str(file))
    assert written.exit_code == 0, written.output
    assert first.id in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (await sonic("report", "--json", "--open")).exit_code == 1


@pytest.mark.slow
async def test_over_http_a_browser_gets_the_file_and_a_program_the_data(found: System) -> None:
    cycle = await _cycle(found)
    front = gateway.build(config(dict(found.addresses)))
    async with front as app, client(app) as web:
        path = f"/v1/cycles/{cycle.id}:report"
        data = await web.get(path)
        assert data.json()["cycle_id"] == cycle.id
        assert data.json()["html"] == ""
        page = await web.get(path, headers={"Accept": "text/html,application/xml;q=0.9"})
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert page.headers["x-content-type-options"] == "nosniff"
        assert cycle.id in page.headers["content-disposition"]
        assert page.text.startswith("<!doctype html>")
        assert (await web.get(f"{path}?format=html")).text.startswith("<!doctype html>")
        latest = await web.get("/v1/cycles/latest:report?format=data")
        assert latest.json()["cycle_id"] == cycle.id
        assert (await web.get("/v1/cycles/cycle-x:report")).status_code == 404
        document = (await web.get("/openapi.json")).json()
        answers = document["paths"]["/v1/cycles/{cycle_id}:report"]["get"]["responses"]["200"]
        assert set(answers["content"]) == {"application/json", "text/html"}
