"""A full disk: a typed error, not ready until a write succeeds again, by a real server on a small
disk.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from shared.database import migrations
from shared.database.failures import meaning_of
from shared.database.migrations import migrated
from shared.database.pool import Database
from shared.errors import Unavailable
from shared.postgres import EmbeddedPostgres
from tests.fakes.databases import Databases


def test_no_room_on_the_disk_is_a_reason_of_its_own() -> None:
    meaning = meaning_of(asyncpg.DiskFullError("could not extend file"))
    assert isinstance(meaning, Unavailable)
    assert meaning.reason == "DATABASE_FULL"
    assert "make room" in meaning.message


async def test_readiness_fails_from_the_first_refused_write_until_a_write_succeeds(
    databases: Databases,
) -> None:
    """The server's own error is raised by a function: every database here can be made to say it."""
    history = Path(__file__).parents[3] / "services" / "price" / "migrations"
    database = Database(databases.url("price"))
    ready = migrated(database, history)
    await ready()
    for write in (database.fetch, _executed(database)):
        with pytest.raises(Unavailable) as full:
            await write("do $$ begin raise exception 'no room' using errcode = '53100'; end $$")
        assert full.value.reason == "DATABASE_FULL"
        # There is room again: the probe finds out.
        await ready()
    await database.stop()


def _executed(database: Database):  # type: ignore[no-untyped-def]  # a coroutine function like fetch
    async def execute(sql: str) -> None:
        async with database.transaction() as connection:
            await connection.driver.execute(sql)

    return execute


@pytest.fixture
def small_disk() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="sonic-full-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=150m,mode=711", "none", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("only root may make a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a small disk")
async def test_a_disk_that_is_really_full_is_seen_by_the_probe_and_its_room_too(
    small_disk: Path,
) -> None:
    with EmbeddedPostgres(small_disk / "home", settings={"fsync": "off"}) as server:
        database = Database(server.url)
        await database.fetch("create table kept (filler text)")
        free = os.statvfs(small_disk)
        filler = small_disk / "filler"
        filler.write_bytes(b"\0" * (free.f_bavail * free.f_frsize))
        with pytest.raises(Unavailable) as full:
            await database.fetch(
                "insert into kept select md5(n::text) from generate_series(1, 20000) n"
            )
        assert full.value.reason == "DATABASE_FULL"
        await database.ping()
        with pytest.raises(Unavailable, match="disk is full"):
            await database.has_room()
        filler.unlink()
        await database.has_room()
        await database.fetch("insert into kept values ('x')")
        await database.stop()


async def test_a_migration_without_room_says_so_and_is_done_when_there_is(
    samples: Databases, histories: dict[str, Path], tmp_path: Path
) -> None:
    history = shutil.copytree(histories["alpha"], tmp_path / "alpha")
    full = "do $$ begin raise exception 'no room' using errcode = '53100'; end $$"
    file = history / "versions" / "0002_full.py"
    file.write_text(
        "from alembic import op\nrevision = '0002'\ndown_revision = '0001'\n"
        f'def upgrade():\n    op.execute("{full}")\n'
    )
    with pytest.raises(Unavailable) as refused:
        await migrations.upgrade(samples.admin_url, "alpha", history)
    assert refused.value.reason == "DATABASE_FULL"
    file.write_text(file.read_text().replace(full, "select 1"))
    await migrations.upgrade(samples.admin_url, "alpha", history)
