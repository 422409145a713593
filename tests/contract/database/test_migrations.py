"""Migrations: one history a service, one process at a time, and tables.py never apart from it."""

from __future__ import annotations

import asyncio
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from shared.database import migrations, roles
from shared.database.address import with_database
from shared.errors import FailedPrecondition
from shared.postgres import EmbeddedPostgres
from tests.fakes.databases import Databases

pytestmark = pytest.mark.slow

_UPGRADE = """
import asyncio, sys
from pathlib import Path
from shared.database import migrations, roles
url, folder = sys.argv[1], Path(sys.argv[2])
async def work():
    await roles.initialise(url, ["alpha", "beta"], {})
    await migrations.upgrade(url, "alpha", folder)
    await migrations.upgrade(url, "beta", folder)
asyncio.run(work())
print("alembic" in sys.modules)
"""


async def _upgrade_in_a_process(url: str, folder: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _UPGRADE, url, str(folder), stdout=asyncio.subprocess.PIPE
    )
    answer, _ = await process.communicate()
    assert process.returncode == 0
    return answer.decode().strip()


@pytest.fixture
async def empty_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    name = f"empty_{uuid.uuid4().hex[:8]}"
    connection = await asyncpg.connect(postgres.url)
    await connection.execute(f"create database {name}")
    yield with_database(postgres.url, name)
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


async def test_processes_that_upgrade_at_once_all_succeed(
    empty_url: str, histories: dict[str, Path]
) -> None:
    await asyncio.gather(*(_upgrade_in_a_process(empty_url, histories["alpha"]) for _ in range(3)))
    connection = await asyncpg.connect(empty_url)
    rows = await connection.fetch("select version_num from alpha.alembic_version")
    tables = await connection.fetch(
        "select schemaname, tableowner from pg_tables where tablename = 'sample'"
    )
    await connection.close()
    assert [tuple(row) for row in rows] == [("0001",)]
    assert {tuple(row) for row in tables} == {("alpha", "alpha_owner"), ("beta", "beta_owner")}


async def test_a_schema_that_is_up_to_date_starts_without_alembic(
    samples: Databases, histories: dict[str, Path]
) -> None:
    assert await _upgrade_in_a_process(samples.admin_url, histories["alpha"]) == "False"


async def test_the_owner_can_migrate_without_the_administrator(
    empty_url: str, histories: dict[str, Path], samples: Databases
) -> None:
    await roles.initialise(empty_url, ["alpha"], {})
    owner_url = with_database(samples.owner_url("alpha"), urlsplit(empty_url).path[1:])
    await migrations.upgrade(owner_url, "alpha", histories["alpha"])
    await migrations.check(owner_url, "alpha", histories["alpha"])


async def test_check_is_silent_when_tables_equal_the_history(
    samples: Databases, histories: dict[str, Path]
) -> None:
    await asyncio.gather(*(migrations.check(samples.admin_url, s, h) for s, h in histories.items()))


async def test_check_names_a_column_nobody_migrated(
    samples: Databases, histories: dict[str, Path]
) -> None:
    connection = await asyncpg.connect(samples.owner_url("beta"))
    await connection.execute("alter table sample drop column flag")
    await connection.close()
    with pytest.raises(FailedPrecondition, match="flag") as caught:
        await migrations.check(samples.admin_url, "beta", histories["beta"])
    assert caught.value.reason == "SCHEMA_DRIFT"


async def test_a_draft_holds_what_the_history_lacks(
    empty_url: str, histories: dict[str, Path], tmp_path: Path
) -> None:
    for name in ("env.py", "script.py.mako"):
        (tmp_path / name).write_text((histories["alpha"] / name).read_text())
    await roles.initialise(empty_url, ["alpha"], {})
    written = await migrations.draft(empty_url, "alpha", tmp_path, "first table")
    assert written.name == "0001_first_table.py"
    await migrations.upgrade(empty_url, "alpha", tmp_path)
    await migrations.check(empty_url, "alpha", tmp_path)


async def test_a_failing_migration_leaves_nothing_behind(
    samples: Databases, histories: dict[str, Path], tmp_path: Path
) -> None:
    versions = tmp_path / "versions"
    versions.mkdir()
    (tmp_path / "env.py").write_text((histories["alpha"] / "env.py").read_text())
    first = (histories["alpha"] / "versions" / "0001_first_table.py").read_text()
    (versions / "0001_first_table.py").write_text(first)
    second = first.replace("down_revision = None", 'down_revision = "0001"')
    second = second.replace('revision = "0001"', 'revision = "0002"', 1)
    body = '    op.execute("create table half (id int)")\n    op.execute("select 1 / 0")\n'
    (versions / "0002_half.py").write_text(second[: second.index("    op.create_table")] + body)
    with pytest.raises(Exception, match="division by zero"):
        await migrations.upgrade(samples.admin_url, "alpha", tmp_path)
    connection = await asyncpg.connect(samples.owner_url("alpha"))
    assert await connection.fetchval("select to_regclass('half')") is None
    assert await connection.fetchval("select version_num from alembic_version") == "0001"
    await connection.close()


async def test_a_database_of_a_later_version_is_refused(
    samples: Databases, histories: dict[str, Path]
) -> None:
    connection = await asyncpg.connect(samples.owner_url("alpha"))
    await connection.execute("update alembic_version set version_num = '0099'")
    await connection.close()
    with pytest.raises(FailedPrecondition, match="0099"):
        await migrations.upgrade(samples.admin_url, "alpha", histories["alpha"])


async def test_who_goes_back_a_release_may_leave_a_later_schema_as_it_is(
    samples: Databases, histories: dict[str, Path]
) -> None:
    connection = await asyncpg.connect(samples.owner_url("alpha"))
    await connection.execute("update alembic_version set version_num = '0099'")
    asked: list[list[str]] = []

    async def before(changing: Sequence[str]) -> None:
        asked.append([*changing])

    locations = {"alpha": histories["alpha"]}
    await migrations.upgrade_all(samples.admin_url, locations, before=before, leaves_newer=True)
    assert await connection.fetchval("select version_num from alembic_version") == "0099"
    assert asked == [], "nothing is changed, so nothing is to be saved before"
    await connection.close()


async def test_whoever_saves_hears_whose_tables_are_about_to_change_and_of_no_new_ones(
    empty_url: str, histories: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(histories["alpha"], tmp_path / "alpha")
    asked: list[list[str]] = []

    async def before(changing: Sequence[str]) -> None:
        asked.append([*changing])

    locations = {"alpha": tmp_path / "alpha"}
    await roles.initialise(empty_url, ["alpha"], {})
    await migrations.upgrade_all(empty_url, locations, before=before)
    await migrations.upgrade_all(empty_url, locations, before=before)
    assert asked == []
    (tmp_path / "alpha" / "versions" / "0002_more.py").write_text(
        'revision = "0002"\ndown_revision = "0001"\ndef upgrade():\n    pass\n'
    )
    await migrations.upgrade_all(empty_url, locations, before=before)
    assert asked == [["alpha"]]


async def test_a_history_with_two_ends_is_refused(tmp_path: Path) -> None:
    (tmp_path / "versions").mkdir()
    for name in ("a", "b"):
        (tmp_path / "versions" / f"{name}.py").write_text(
            f'revision = "{name}"\ndown_revision = None\n'
        )
    with pytest.raises(FailedPrecondition, match="several last revisions"):
        migrations.head(tmp_path)
