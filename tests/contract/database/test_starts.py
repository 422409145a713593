"""A history that began anew: the new start is exactly what the history before it led to."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from shared.database import migrations, roles
from shared.database.address import with_database
from shared.postgres import EmbeddedPostgres
from tests.fakes.databases import Databases, found

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
HISTORIES = {
    service: folder
    for service, folder in found(ROOT / "services").items()
    if (folder / "before").is_dir()
}
# What a schema is, a line each; ids of the catalogue and the order of columns left out.
CATALOGUE = """
select concat_ws(' ', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
    a.attidentity, a.attstorage, a.attacl, pg_get_expr(d.adbin, d.adrelid))
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
where c.relnamespace = $1::text::regnamespace and c.relkind = 'r'
union all
select concat_ws(' ', c.relkind, c.relname, c.relacl, c.reloptions, c.relpersistence, c.relowner)
from pg_class c where c.relnamespace = $1::text::regnamespace
union all
select concat_ws(' ', conrelid::regclass, conname, contype, pg_get_constraintdef(oid))
from pg_constraint where connamespace = $1::text::regnamespace
union all
select concat_ws(' ', indexname, indexdef) from pg_indexes where schemaname = $1::text
union all
select concat_ws(' ', sequencename, data_type, start_value, increment_by, cycle, cache_size)
from pg_sequences where schemaname = $1::text
union all
select concat_ws(' ', proname, prosrc) from pg_proc where pronamespace = $1::text::regnamespace
union all
select concat_ws(' ', tgname, tgenabled) from pg_trigger t join pg_class c on c.oid = t.tgrelid
where c.relnamespace = $1::text::regnamespace and not tgisinternal
"""


@pytest.fixture
async def empty_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    name = f"empty_{uuid.uuid4().hex[:8]}"
    connection = await asyncpg.connect(postgres.url)
    await connection.execute(f"create database {name}")
    yield with_database(postgres.url, name)
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


async def _schema(url: str, service: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(CATALOGUE, service)
        # PostgreSQL puts other parentheses around what it reads again.
        return sorted({row[0].replace("(", "").replace(")", "") for row in rows})
    finally:
        await connection.close()


@pytest.mark.parametrize("service", HISTORIES)
async def test_a_home_of_the_history_before_gets_the_schema_of_a_new_one(
    service: str, databases: Databases, empty_url: str, tmp_path: Path
) -> None:
    folder = HISTORIES[service]
    shutil.copy(folder / "env.py", tmp_path / "env.py")
    shutil.copytree(folder / "before", tmp_path / "versions")
    await roles.initialise(empty_url, [service], {})
    assert migrations.head(tmp_path) is not None
    await migrations.upgrade(empty_url, service, tmp_path)
    await migrations.upgrade(empty_url, service, folder)
    assert await _schema(empty_url, service) == await _schema(databases.admin_url, service)
