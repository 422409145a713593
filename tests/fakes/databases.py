"""Databases for tests: a template migrated once; a copy of it, made or emptied for each test."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from shared.database import migrations, roles
from shared.database.address import as_role, with_database
from tests.fakes.kept_connections import kept_processes

_LOOKS = 20
_LOOK_SECONDS = 0.01


@dataclass(frozen=True)
class Databases:
    """One database with every service's roles, schema and tables."""

    admin_url: str
    services: tuple[str, ...]
    broken: Mapping[str, Exception] = field(default_factory=dict)

    def url(self, service: str) -> str:
        """For the role the service runs as."""
        return as_role(self._working(service), service, password(service))

    def owner_url(self, service: str) -> str:
        """For the role that owns the schema."""
        holder = roles.owner(service)
        return as_role(self._working(service), holder, password(holder))

    def _working(self, service: str) -> str:
        if service in self.broken:
            raise AssertionError(f"the migrations of {service} fail") from self.broken[service]
        assert service in self.services, (
            f"services/{service}/migrations is not there, {self.services} are"
        )
        return self.admin_url


@dataclass(frozen=True)
class Template:
    """A migrated database nobody is connected to, to be copied."""

    server_url: str
    name: str
    services: tuple[str, ...]
    broken: Mapping[str, Exception]
    administrator: asyncpg.Connection[asyncpg.Record]
    _idle: list[_Copy] = field(default_factory=list)

    @asynccontextmanager
    async def copy(self) -> AsyncIterator[Databases]:
        """A database of its own, as new; dropped afterwards when it cannot be made so again."""
        copy = self._idle.pop() if self._idle else await self._made()
        try:
            url = with_database(self.server_url, copy.name)
            yield Databases(url, self.services, self.broken)
        finally:
            if await copy.is_as_new():
                self._idle.append(copy)
            else:
                await self._drop(copy)

    async def _made(self) -> _Copy:
        name = f"test_{uuid.uuid4().hex[:16]}"
        # Without the log of every page: a sixth of the time.
        await self.administrator.execute(
            f"create database {name} template {self.name} strategy file_copy"
        )
        # Rights on schemas and tables are copied, those on the database itself are not.
        await roles.admit(self.administrator, name, self.services)
        connection = await asyncpg.connect(with_database(self.server_url, name))
        services = list(self.services)
        rows, places = await _contents(connection, services)
        print_ = await connection.fetch(_FINGERPRINT, services)
        writes = dict(await connection.fetch(_WRITES, services))
        return _Copy(name, services, connection, rows, places, print_, writes)

    async def _drop(self, copy: _Copy) -> None:
        """Also when somebody is still connected."""
        await copy.connection.close(timeout=5)
        await self.administrator.execute(f"drop database if exists {copy.name} with (force)")

    async def stop(self) -> None:
        """Drop what is kept."""
        while self._idle:
            await self._drop(self._idle.pop())


@dataclass
class _Copy:
    """A database that is kept from test to test, with the administrator's connection to it.

    `rows`: of each table the statement that gives it the rows it began with. `writes`: how many
    rows of it were ever written, as last counted.
    """

    name: str
    services: list[str]
    connection: asyncpg.Connection[asyncpg.Record]
    rows: Mapping[str, str]
    places: Sequence[str]
    fingerprint: list[asyncpg.Record]
    writes: Mapping[str, int]

    async def is_as_new(self) -> bool:
        """Its rows are those it began with; not when it was altered, is in use or gone."""
        try:
            if await self._is_in_use():
                return False
            # Whoever left has counted what he wrote before he was gone.
            writes = dict(await self.connection.fetch(_WRITES, self.services))
            written = [name for name, count in writes.items() if count != self.writes.get(name)]
            await self.connection.execute(self._emptying(written))
            found = await self.connection.fetch(_FINGERPRINT, self.services)
            self.writes = dict(await self.connection.fetch(_WRITES, self.services))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            return False
        return bool(found == self.fingerprint)

    async def _is_in_use(self) -> bool:
        """Whether somebody is connected who does not leave: a server needs a moment to notice."""
        for _ in range(_LOOKS):
            if not await self.connection.fetchval(_IN_USE, kept_processes()):
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True

    def _emptying(self, tables: Sequence[str]) -> str:
        """The script that gives these tables the rows they had, and every sequence its place."""
        steps = [
            "begin",
            "set local session_replication_role = replica",
            *(f"delete from {name}" for name in tables),
            *(self.rows[name] for name in tables if name in self.rows),
            *self.places,
            "commit",
            # What was written just now is counted at once, not when there is time.
            "select pg_stat_force_next_flush()",
        ]
        return ";\n".join(steps)


# Everything a test may have altered but rows: columns, rights, indexes, constraints, settings. By
# who wrote a row of the catalog last, which costs a third of reading what it says.
_FINGERPRINT = """
with schemas as (select oid from pg_namespace where nspname = any($1::text[])),
    classes as (select oid, xmin from pg_class where relnamespace in (select oid from schemas))
select 'classes', count(*), sum(xmin::text::int8) from classes
union all
select 'columns', count(*), sum(xmin::text::int8) from pg_attribute
where attrelid in (select oid from classes)
union all
select 'constraints', count(*), sum(xmin::text::int8) from pg_constraint
where connamespace in (select oid from schemas)
union all
select 'schemas', count(*), sum(hashtext(concat_ws(' ', nspname, nspacl))::int8) from pg_namespace
where nspname !~ '^pg_(toast_)?temp'
union all
select 'triggers', count(*), sum(xmin::text::int8) from pg_trigger
union all
select 'database', count(*), sum(hashtext(concat_ws(' ', datacl, datconnlimit))::int8)
from pg_database where datname = current_database()
union all
select 'settings', count(*), sum(hashtext(setconfig::text)::int8) from pg_db_role_setting
"""
_IN_USE = """
select count(*) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
    and pid <> all($1::int[])
"""
_WRITES = """
select format('%I.%I', n.nspname, c.relname), pg_stat_get_tuples_inserted(c.oid)
    + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any($1::text[]) and c.relkind = 'r'
"""
_SEQUENCES = """
select format('select setval(%L, %s, %L)', format('%I.%I', schemaname, sequencename),
    coalesce(last_value, start_value), last_value is not null)
from pg_sequences where schemaname = any($1::text[])
"""


async def _contents(
    connection: asyncpg.Connection[asyncpg.Record], services: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """Of each table that has rows the statement that gives it those again, and the same of the
    sequences.
    """
    rows: dict[str, str] = {}
    for name, _ in await connection.fetch(_WRITES, services):
        text = await connection.fetchval(f"select json_agg(t) from {name} t")
        if text:
            literal = text.replace("'", "''")
            rows[name] = (
                f"insert into {name} overriding system value"
                f" select * from json_populate_recordset(null::{name}, '{literal}')"
            )
    return rows, [row[0] for row in await connection.fetch(_SEQUENCES, services)]


def password(role: str) -> str:
    """Every test server is on loopback and gone in a minute."""
    return f"{role}-password"


def found(services_folder: Path) -> dict[str, Path]:
    """The services that have a migration history."""
    return {folder.parent.name: folder for folder in sorted(services_folder.glob("*/migrations"))}


@asynccontextmanager
async def template(
    server_url: str, histories: Mapping[str, Path], name: str = "template_system"
) -> AsyncIterator[Template]:
    """Make the template; one service's broken migration spoils only the tests that ask for that
    service.
    """
    services = tuple(histories)
    administrator = await asyncpg.connect(server_url)
    try:
        await administrator.execute(f"create database {name}")
        url = with_database(server_url, name)
        everybody = [role for service in services for role in (service, roles.owner(service))]
        # Their passwords are in this file: a login need not be hard to guess, and a test has
        # dozens.
        await roles.initialise(
            url, services, {role: password(role) for role in everybody}, scram_rounds=1
        )
        broken: dict[str, Exception] = {}
        for service, history in histories.items():
            try:
                await migrations.upgrade(url, service, history)
            except Exception as problem:  # noqa: BLE001 - whatever a migration raises is for that service's tests
                broken[service] = problem
        made = Template(server_url, name, services, broken, administrator)
        yield made
        await made.stop()
    finally:
        await administrator.close()
