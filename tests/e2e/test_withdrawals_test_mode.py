"""Test mode of withdrawals: a schema of its own for reads and writes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from sonic.withdrawals.v1 import withdrawals_pb2 as pb
from sonic.withdrawals.v1 import withdrawals_pb2_grpc as rpc
from typer.testing import CliRunner

from services.cli import database
from services.cli.assembly import assembled
from services.cli.plan import Plan
from services.withdrawals import server
from shared.rpc.client import Channel
from tests.fakes.databases import Databases

_COUNT = "select (select count(*) from {0}.decision) + (select count(*) from {0}.sample)"


async def evaluated(url: str, *, is_test: bool) -> int:
    """One evaluation of a server on this URL; how many decisions it knows then."""
    config = server.Config(listen_address="127.0.0.1:0", database_url=url, withdrawals_test=is_test)
    async with server.build(config) as app:
        channel = Channel(app.address)
        advisor = channel.stub(rpc.AdvisorServiceStub)
        await advisor.Evaluate(pb.EvaluateRequest())
        listed = await advisor.ListDecisions(pb.ListDecisionsRequest())
        await channel.stop()
    return len(listed.decisions)


@pytest.mark.slow
async def test_test_mode_leaves_the_normal_schema_alone(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = database.Opened(databases.admin_url, None)
    monkeypatch.setenv("SONIC_HOME", str(tmp_path))
    for service in Plan().addresses:
        if service != "withdrawals":
            monkeypatch.setenv(f"{service.upper()}_DATABASE_URL", databases.url(service))
    administrator = await asyncpg.connect(databases.admin_url)
    try:
        assert await evaluated(databases.url("withdrawals"), is_test=False) == 1
        before = await administrator.fetchval(_COUNT.format("withdrawals"))
        assert before > 1
        monkeypatch.setenv("WITHDRAWALS_TEST", "1")
        urls = await database.prepare(opened, tmp_path)
        # It sees nothing of the other's decisions, and leaves none there.
        assert await evaluated(urls["withdrawals"], is_test=True) == 1
        assert await administrator.fetchval(_COUNT.format("withdrawals")) == before
        assert await administrator.fetchval(_COUNT.format("withdrawals_test")) == before
        monkeypatch.delenv("WITHDRAWALS_TEST")
        # So does the command line, beside a running system or without one.
        monkeypatch.setenv("DATABASE_URL", databases.admin_url)
        words = ["withdrawals", "evaluate", "--test"]
        done = await asyncio.to_thread(CliRunner().invoke, assembled("withdrawals"), words)
        assert done.exit_code == 0, done.output
        assert done.stdout.startswith("djed: decision=")
        count = "select count(*) from {0}.decision"
        assert await administrator.fetchval(count.format("withdrawals")) == 1
        # The same advice again is the same row; the simulated market may have moved meanwhile.
        said = "select count(distinct body::json ->> 'summary') from withdrawals_test.decision"
        rows = await administrator.fetchval(count.format("withdrawals_test"))
        assert 1 <= rows == await administrator.fetchval(said)
        with pytest.raises(ValueError, match="must name the role withdrawals_test"):
            await evaluated(databases.url("withdrawals"), is_test=True)
    finally:
        await administrator.execute(
            "drop schema if exists withdrawals_test cascade;"
            " drop owned by withdrawals_test, withdrawals_test_owner;"
            " drop role withdrawals_test; drop role withdrawals_test_owner"
        )
        await administrator.close()
