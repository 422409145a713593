"""A backup taken while a system works, restored into a fresh home: the same rows and ledger."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from sonic.cyclone.v1 import cyclone_pb2, cyclone_pb2_grpc
from typer.testing import CliRunner, Result

from services.cli import database, system
from services.cli.assembly import assembled
from services.cli.backup.archive import read_manifest
from services.cli.backup.take import take
from services.cli.connection import System, connected
from services.cli.plan import Plan
from shared import tokens
from tests.e2e.test_old_homes import KEPT

QUIET = {"SONIC_SCHEDULE": "0"}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backup")


async def run_cycle(found: System) -> None:
    cyclone = await found.stub("cyclone", cyclone_pb2_grpc.CycloneServiceStub)
    async for _ in cyclone.RunCycle(cyclone_pb2.RunCycleRequest()):
        pass


async def content(url: str) -> dict[str, list[tuple[object, ...]]]:
    connection = await asyncpg.connect(url)
    try:
        return {
            what: [tuple(row) for row in await connection.fetch(query)]
            for what, query in KEPT.items()
        }
    finally:
        await connection.close()


async def serving(plan: Plan) -> AsyncIterator[tuple[str, System]]:
    async with database.opened(plan) as opened:
        urls = await database.prepare(opened, plan.home)
        listens = system.free_ports()
        running = system.in_one_process(plan, urls, lambda _: None, listens=listens, extra=QUIET)
        async with running as addresses, connected(addresses) as found:
            yield opened.url, found


@pytest.fixture(scope="module")
async def taken(folder: Path) -> tuple[Path, dict[str, list[tuple[object, ...]]]]:
    """A backup, and what the database held when it was quiet again. Cycles ran beside another one
    that was taken before it.
    """
    plan = Plan(sonic_home=folder / "home")
    async for url, found in serving(plan):
        tokens.create(
            plan.home / tokens.FILE_NAME, "ann", tokens.Scope.READ, datetime.now(UTC), None
        )
        await run_cycle(found)
        busy = asyncio.create_task(_cycles(found))
        beside, manifest = await take(url, plan.home, folder / "beside")
        await busy
        assert manifest.rows["positions.position"] > 0
        assert beside.stat().st_size > 0
        file, _ = await take(url, plan.home, folder / "quiet.tar")
        held = await content(url)
    return file, held


async def _cycles(found: System) -> None:
    for _ in range(3):
        await run_cycle(found)


def sonic(home: Path, *words: str) -> Result:
    env = {"SONIC_HOME": str(home), "DATABASE_URL": None}
    return CliRunner().invoke(assembled(words[0]), list(words), env=env)


async def test_a_fresh_home_has_every_row_again_and_its_ledger_fits(
    taken: tuple[Path, dict[str, list[tuple[object, ...]]]], folder: Path
) -> None:
    file, held = taken
    home = folder / "fresh"
    done = await asyncio.to_thread(sonic, home, "restore", str(file))
    assert done.exit_code == 0, done.output
    assert "The ledger fits" in done.output
    assert tokens.read(home / tokens.FILE_NAME)[0].name == "ann"
    assert stat.S_IMODE((home / "ledger.key").stat().st_mode) == 0o600
    plan = Plan(sonic_home=home)
    async for url, found in serving(plan):
        assert await content(url) == held
        await run_cycle(found)
    again = await asyncio.to_thread(sonic, home, "restore", str(file))
    assert again.exit_code == 1
    assert "HOME_NOT_EMPTY" in again.output
    replaced = await asyncio.to_thread(sonic, home, "restore", str(file), "--replace", "--json")
    assert replaced.exit_code == 0, replaced.output
    told = json.loads(replaced.stdout)
    assert told["ledger_verified"]
    assert told["restored_rows"] == told["rows"]
    assert (Path(told["set_aside"]) / "postgres").exists()


async def test_a_backup_that_was_taken_beside_cycles_is_of_one_moment(
    taken: tuple[Path, dict[str, list[tuple[object, ...]]]], folder: Path
) -> None:
    (file,) = (folder / "beside").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    done = await asyncio.to_thread(sonic, folder / "other", "restore", str(file), "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["restored_rows"] == told["rows"]
    assert told["ledger_verified"]
    head = read_manifest(file).ledger_head
    assert head is not None
    assert head.sequence > 0


@pytest.mark.slow
async def test_a_ledger_that_was_changed_in_the_backups_database_is_found(
    taken: tuple[Path, dict[str, list[tuple[object, ...]]]], folder: Path
) -> None:
    file, _ = taken
    home = folder / "changed"
    assert (await asyncio.to_thread(sonic, home, "restore", str(file))).exit_code == 0
    plan = Plan(sonic_home=home)
    async with database.opened(plan) as opened:
        connection = await asyncpg.connect(opened.url)
        await connection.execute(
            "update alerts.ledger set actor = 'x' where sequence = (select max(sequence)"
            " from alerts.ledger)"
        )
        await connection.close()
        bad, _ = await take(opened.url, home, folder / "bad.tar")
    done = await asyncio.to_thread(sonic, folder / "from-bad", "restore", str(bad))
    assert done.exit_code == 1
    assert "The ledger does not fit" in done.output
